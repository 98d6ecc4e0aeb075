//! The fast reader and serde_json: the first must never take what the second does not, nor otherwise.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use super::super::scan::Scan;
use super::tests::{config_map_review, with};
use super::*;

const DEPTH: usize = 128;

/// Reviews as kube-apiserver writes them: no white space, a line feed at the end.
fn seeds() -> Vec<String> {
    let managed = |time: &str| {
        json!([
            {"manager": "helm", "operation": "Update", "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1",
             "fieldsV1": {"f:data": {".": {}, "f:accounts.admin": {}}, "f:metadata": {"f:labels": {".": {}}}}},
            {"manager": "kubectl", "operation": "Update", "time": time, "fieldsType": "FieldsV1",
             "fieldsV1": {"f:data": {"f:url": {}}}},
        ])
    };
    let mut update = config_map_review();
    for (state, time) in [
        ("object", "2026-01-02T00:00:00Z"),
        ("oldObject", "2026-01-01T00:00:00Z"),
    ] {
        update[state]["metadata"]["managedFields"] = managed(time);
        update[state]["metadata"]["annotations"] = json!({
            "kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{\"url\":\"a\\nb \u{e4} \u{1f600}\"}}\n",
        });
        update[state]["metadata"]["generation"] = json!(3);
        update[state]["data"] =
            json!({"accounts.admin": "login", "policy.csv": "p, role:a,\n\tg, \"b\", c"});
    }
    let kind = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
    let mut workload = with(config_map_review(), "/kind", kind);
    workload["oldObject"] = json!(null);
    workload["operation"] = json!("CREATE");
    workload["options"] = json!({"fieldValidation": "Strict", "numbers": [0, -1, 1.5, 1e9, true, false, null, [], {}]});
    workload["object"] = json!({
        "metadata": {"name": "w", "ownerReferences": [{"controller": true, "uid": "u"}]},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [
            {"name": "c", "env": [{"name": "ARGO_CD_TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
        ]}}},
    });
    let secret = json!({"group": "", "version": "v1", "kind": "Secret"});
    let mut secret = with(config_map_review(), "/kind", secret);
    secret["name"] = json!("s");
    for state in ["object", "oldObject"] {
        secret[state] =
            json!({"metadata": {"name": "s"}, "data": {"token": "YWJj"}, "type": "Opaque"});
    }
    [update, workload, secret]
        .iter()
        .map(|request| {
            let review = json!({"apiVersion": API_VERSION, "kind": KIND, "request": request});
            format!("{review}\n")
        })
        .collect()
}

fn shown(request: Result<Request, Undecodable>) -> String {
    format!("{request:?}")
}

/// Holds the fast reader to the other where it takes `body`, and says whether it does.
fn agrees(body: &str, depth: usize) -> bool {
    let Ok(Object(review)) = reader::read::<Object<wire::Review<'_>>>(body, depth) else {
        return false;
    };
    let slow = read_slowly(body, depth).unwrap_or_else(|error| panic!("{error}: {body}"));
    assert_eq!(
        shown(Request::of(review, body)),
        shown(Request::of(slow, body)),
        "{body}"
    );
    true
}

/// Whether all of `text` is passed over.
fn is_passed_over(text: &str, depth: usize) -> bool {
    let passed_over = |mut scan: Scan<'_>| scan.value().and_then(|()| scan.end());
    Scan::new(text, depth).and_then(passed_over).is_ok()
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

#[test]
fn what_kube_apiserver_writes_is_read_at_once() {
    for seed in seeds() {
        assert!(agrees(&seed, DEPTH), "{seed}");
    }
}

#[test]
fn what_is_written_otherwise_is_left_to_serde_json() {
    let plain = &seeds()[0];
    let spaced = plain.replacen(':', ": ", 1);
    let escaped = plain.replacen("alice", "\\u0061lice", 1);
    for body in [spaced, escaped] {
        assert!(!agrees(&body, DEPTH), "{body}");
        let [odd, plain] = [&body, plain].map(|body| Request::decode(body.as_bytes(), DEPTH));
        assert_eq!(shown(odd), shown(plain));
    }
}

#[test]
fn json_is_passed_over_to_its_end_and_nothing_else_is() {
    let table = [
        (
            r#"{"a":[1,-0.5e+7,"b\"\\\/\b\f\n\r\t\u00e4",true,false,null,{},[],[[]],[{}]]}"#,
            true,
        ),
        (r#""""#, true),
        ("0", true),
        ("", false),
        ("{", false),
        (r#"{"a"}"#, false),
        (r#"{"a":}"#, false),
        (r#"{"a":1,}"#, false),
        (r#"{,"a":1}"#, false),
        (r#"{"a":1 }"#, false),
        (r#"{"a":1]"#, false),
        (r#"{a:1}"#, false),
        (r#"{"a":1}}"#, false),
        (r#"{"a":1"b":2}"#, false),
        ("[1,]", false),
        ("[,1]", false),
        ("[1}", false),
        ("[1 2]", false),
        (r#"["a"#, false),
        (r#"["a\"]"#, false),
        (r#"["\x"]"#, false),
        (r#"["\u00g0"]"#, false),
        (r#"["\u00"]"#, false),
        ("[\"\u{1}\"]", false),
        ("[\"\n\"]", false),
        ("01", false),
        ("-", false),
        ("1.", false),
        (".5", false),
        ("1e", false),
        ("+1", false),
        ("tru", false),
        ("nulls", false),
        ("1E5", true),
        (r#"["\v"]"#, false),
        (r#"["\u000"]"#, false),
        (r#"["\u00ex"]"#, false),
        (r#"{"a",1}"#, false),
        ("{} \t\r\n", true),
        ("{}\u{c}", false),
        ("{}\u{a0}", false),
    ];
    for (text, passed_over) in table {
        assert_eq!(is_passed_over(text, DEPTH), passed_over, "{text}");
        assert!(!passed_over || is_json(text), "{text}");
    }
}

#[test]
fn a_string_is_found_to_end_wherever_the_blocks_do_that_are_looked_at() {
    for length in 0..200 {
        for inside in ["", "\\\\", "\\\"", "\u{e4}"] {
            let text = format!("[\"{}{inside}\",1]", "x".repeat(length));
            assert!(is_passed_over(&text, DEPTH), "{text}");
            assert!(!is_passed_over(&text[..text.len() - 4], DEPTH), "{text}");
        }
    }
}

#[test]
fn nothing_deeper_than_the_limit_is_passed_over_though_it_was_seen_before() {
    for (deep, depth) in [("[]", 1), ("{}", 1), (r#"{"a":[{}]}"#, 3), ("[[[]]]", 3)] {
        assert!(is_passed_over(deep, depth), "{deep}");
        assert!(!is_passed_over(deep, depth - 1), "{deep}");
    }
    let object = format!("{{\"{}\":{{}}}}", "a".repeat(80));
    let twice = format!("[{object},[{object}]]");
    assert!(is_passed_over(&twice, 4) && !is_passed_over(&twice, 3));
    // What ends gives its depth back.
    for many in [",[]", ",{}", r#",{"a":1}"#, ",[1]"] {
        let many = format!("[1{}]", many.repeat(100));
        assert!(is_passed_over(&many, 2), "{many}");
    }
    let sixty_five = "[".repeat(65) + &"]".repeat(65);
    assert!(is_json(&sixty_five) && !is_passed_over(&sixty_five, DEPTH));
    assert!(is_passed_over(&sixty_five[1..129], DEPTH));
}

#[test]
fn what_only_begins_like_an_object_seen_before_is_looked_at() {
    let members = format!("\"{}\":{{}}", "a".repeat(80));
    for (text, passed_over) in [
        ("[{A},{A},{A,\"b\":1}]", true),
        ("[{A},{A}}]", false),
        ("[{A},{A}{A}]", false),
        ("[{A},{A]", false),
    ] {
        let text = text.replace('A', &members);
        assert_eq!(is_passed_over(&text, DEPTH), passed_over, "{text}");
    }
}

#[test]
fn what_is_read_is_read_as_strictly() {
    type Review<'a> = Object<wire::Review<'a>>;
    let groups = r#"{"request":{"userInfo":{"groups":["a",]}}}"#;
    for text in [
        r#"{"kind":"a",}"#,
        groups,
        r#"{"request":nxyz}"#,
        r#"{"request":{"dryRun":fxyz!}}"#,
        r#"{"kind","a"}"#,
    ] {
        assert!(reader::read::<Review<'_>>(text, DEPTH).is_err(), "{text}");
    }
    type Named = BTreeMap<Option<String>, u8>;
    assert!(reader::read::<Named>("{null:1}", DEPTH).is_err());
    let group = r#"{"controller":true}"#;
    let owners = format!(
        r#"{{"request":{{"object":{{"metadata":{{"ownerReferences":[{}]}}}}}}}}"#,
        [group; 100].join(",")
    );
    assert!(reader::read::<Review<'_>>(&owners, 6).is_ok(), "{owners}");
    assert!(reader::read::<Review<'_>>(&owners, 5).is_err(), "{owners}");
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|it| json!(it)),
        any::<i64>().prop_map(|it| json!(it)),
        any::<f64>().prop_map(|it| json!(it)),
        any::<String>().prop_map(|it| json!(it)),
        "[ -~]{0,150}".prop_map(|it| json!(it)),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|it| json!(it)),
            prop::collection::btree_map("[a-z.:]{0,70}", inner, 0..6).prop_map(|it| json!(it)),
        ]
    })
}

/// A text with some pieces of it exchanged, left out, doubled or put in.
fn damaged(mut text: String, damages: &[(Index, Index, &'static str)]) -> String {
    for (start, length, put_in) in damages {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        if places.is_empty() {
            break;
        }
        let first = start.index(places.len());
        let last = (first + length.index(4)).min(places.len() - 1);
        match put_in {
            &"twice" => {
                let again = text[places[first]..].to_owned();
                text.truncate(places[last]);
                text.push_str(&again);
            }
            put_in => text.replace_range(places[first]..places[last], put_in),
        }
    }
    text
}

fn damages() -> impl Strategy<Value = Vec<(Index, Index, &'static str)>> {
    let put_in = prop::sample::select(vec![
        "", "\"", "\\", "{", "}", "[", "]", ":", ",", "1", "-", ".", "e", " ", "\n", "\u{1f}",
        "null", "true", "{}", "[]", "\"\"", "\"uid\":", "\u{e4}", "\u{c}", "twice",
    ]);
    prop::collection::vec((any::<Index>(), any::<Index>(), put_in), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_json_without_white_space_is_passed_over(value in any_json()) {
        let text = value.to_string();
        prop_assert!(is_passed_over(&text, DEPTH), "{}", text);
    }

    #[test]
    fn nothing_is_passed_over_that_is_no_json(value in any_json(), damages in damages()) {
        let text = damaged(value.to_string(), &damages);
        prop_assert!(is_json(&text) || !is_passed_over(&text, DEPTH), "{}", text);
    }

    #[test]
    fn a_damaged_review_is_read_as_serde_json_reads_it_or_left_to_it(
        seed in prop::sample::select(seeds()), damages in damages(), depth in 3..12_usize,
    ) {
        let body = damaged(seed, &damages);
        agrees(&body, DEPTH);
        agrees(&body, depth);
    }
}
