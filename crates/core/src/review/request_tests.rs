use super::*;
use serde_json::{Value, json};

fn review(request: Value) -> Vec<u8> {
    serde_json::to_vec(&json!({"apiVersion": API_VERSION, "kind": KIND, "request": request}))
        .unwrap()
}

pub(super) fn config_map_review() -> Value {
    json!({
        "uid": "u-1",
        "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
        "name": "argocd-cm", "namespace": "argocd", "operation": "UPDATE",
        "userInfo": {"username": "alice", "groups": ["dev", "system:authenticated"]},
        "object": {"metadata": {"name": "argocd-cm", "namespace": "argocd", "labels": {"app.kubernetes.io/part-of": "argocd"}},
                   "data": {"accounts.admin": "login", "url": "x", "accounts.b\"ob": "apiKey"}},
        "oldObject": {"metadata": {"name": "argocd-cm"}, "data": {"accounts.admin": "apiKey"}},
        "dryRun": true,
    })
}

pub(super) fn with(mut request: Value, path: &str, value: Value) -> Value {
    *request.pointer_mut(path).unwrap() = value;
    request
}

pub(super) fn decode(request: Value) -> Result<Request, Undecodable> {
    Request::decode(&review(request), 128)
}

#[test]
fn a_config_map_review_keeps_what_is_decided_on_and_nothing_else() {
    let request = decode(config_map_review()).unwrap();
    assert_eq!(request.uid, "u-1");
    assert!(request.case.dry_run);
    assert_eq!(request.case.groups, ["dev", "system:authenticated"]);
    assert_eq!(
        (request.kind.as_str(), request.name.as_str()),
        ("ConfigMap", "argocd-cm")
    );
    assert_eq!(request.webhook, Webhook::ArgocdCm);
    let case = request.case;
    assert_eq!(
        (case.operation, case.user.as_str(), case.namespace.as_str()),
        (Operation::Update, "alice", "argocd")
    );
    let Subject::Accounts {
        old: Some(old),
        new: Some(new),
    } = case.subject
    else {
        panic!("{:?}", case.subject)
    };
    assert!(new.labelled && !old.labelled);
    assert_eq!(
        old.data,
        [("accounts.admin".to_owned(), "apiKey".to_owned())].into()
    );
    assert_eq!(new.data.len(), 2, "{:?}", new.data);
}

#[test]
fn a_delete_of_a_collection_takes_the_name_from_the_object() {
    let mut request = with(config_map_review(), "/operation", json!("DELETE"));
    request["object"] = Value::Null;
    request.as_object_mut().unwrap().remove("name");
    let request = decode(request).unwrap();
    assert_eq!(request.name, "argocd-cm");
    assert!(matches!(
        request.case.subject,
        Subject::Accounts {
            old: Some(_),
            new: None
        }
    ));
}

#[test]
fn the_annotation_that_lifts_rules_is_that_of_what_will_be_there_or_else_of_what_goes() {
    let annotated =
        |value: Option<&str>| json!({"other": 1, "keyguard.dev/allow": value, "more": {}});
    let allow = |operation, object: Option<&str>, old: Option<&str>| {
        let mut request = with(config_map_review(), "/operation", json!(operation));
        for (which, value) in [("object", object), ("oldObject", old)] {
            if value.is_some() {
                request[which]["metadata"]["annotations"] = annotated(value);
            }
        }
        if operation == "DELETE" {
            request["object"] = Value::Null;
        }
        decode(request).unwrap().case.allow
    };
    assert_eq!(allow("UPDATE", Some("a"), Some("b")).as_deref(), Some("a"));
    assert_eq!(allow("UPDATE", None, Some("b")), None);
    assert_eq!(allow("CREATE", Some("a"), None).as_deref(), Some("a"));
    assert_eq!(allow("DELETE", None, Some("b")).as_deref(), Some("b"));
    let long = "x".repeat(1_000_000);
    assert_eq!(allow("UPDATE", Some(&long), None).unwrap().len(), 4096);
}

#[test]
fn what_is_not_guarded_is_told_as_such() {
    let table = [
        with(
            with(config_map_review(), "/object/metadata/name", json!("other")),
            "/oldObject/metadata/name",
            json!("other"),
        ),
        with(config_map_review(), "/kind/group", json!("example.com")),
        with(config_map_review(), "/kind/kind", json!("ServiceAccount")),
    ];
    for request in table {
        let request = decode(request).unwrap();
        assert_eq!(
            (request.webhook, request.case.subject),
            (Webhook::None, Subject::NotGuarded)
        );
    }
    let mut scale = config_map_review();
    scale["subResource"] = json!("scale");
    assert_eq!(decode(scale).unwrap().case.subject, Subject::NotGuarded);
}

#[test]
fn a_text_that_is_missing_in_argocd_cm_is_told() {
    let request = with(
        config_map_review(),
        "/object/data/accounts.admin",
        Value::Null,
    );
    let error = decode(request).unwrap_err();
    assert!(
        error.to_string().starts_with("a text in data is missing"),
        "{error}"
    );
}

#[test]
fn an_object_with_a_deletion_timestamp_is_being_deleted() {
    let mut request = config_map_review();
    request["oldObject"]["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert!(decode(request).unwrap().case.being_deleted);
    let mut request = config_map_review();
    request["object"]["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert!(
        !decode(request).unwrap().case.being_deleted,
        "the old object tells; the new one is what a user sent"
    );
}

#[test]
fn what_cannot_be_answered_or_decided_is_an_error_with_its_reason() {
    let without = |key: &str| {
        let mut request = config_map_review();
        request.as_object_mut().unwrap().remove(key);
        decode(request).unwrap_err()
    };
    assert_eq!(without("uid"), Undecodable::Missing("request.uid"));
    assert_eq!(
        without("operation"),
        Undecodable::Missing("request.operation")
    );
    assert_eq!(without("kind"), Undecodable::Missing("request.kind"));
    assert_eq!(without("object"), Undecodable::Missing("request.object"));
    assert_eq!(
        without("oldObject"),
        Undecodable::Missing("request.oldObject")
    );
    let missing = |request| decode(request).unwrap_err();
    assert_eq!(
        missing(with(config_map_review(), "/uid", json!(""))),
        Undecodable::Missing("request.uid")
    );
    assert_eq!(
        missing(with(config_map_review(), "/operation", json!("PATCH"))),
        Undecodable::Missing("request.operation")
    );
    assert_eq!(missing(Value::Null), Undecodable::Missing("request"));
    for kind in [
        json!({}),
        json!({"group": "", "version": "v1"}),
        json!({"kind": "ConfigMap"}),
    ] {
        assert_eq!(
            missing(with(config_map_review(), "/kind", kind)),
            Undecodable::Missing("request.kind")
        );
    }
    let version =
        |body: Value| Request::decode(&serde_json::to_vec(&body).unwrap(), 128).unwrap_err();
    for body in [
        json!({"apiVersion": "admission.k8s.io/v1beta1", "kind": KIND, "request": config_map_review()}),
        json!({"apiVersion": API_VERSION, "kind": "Other", "request": config_map_review()}),
        json!({"request": config_map_review()}),
        json!({}),
    ] {
        assert_eq!(version(body), Undecodable::Version);
    }
}

#[test]
fn bad_json_is_told_in_one_line_that_never_quotes_the_body() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let bodies = [
        "",
        "{",
        "nonsense",
        "[]",
        "null",
        "1",
        &deep,
        r#"{"apiVersion": "sup3rs3cret", "apiVersion": "x"}"#,
        r#"{"request": "sup3rs3cret"}"#,
        r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"a","object":{"data":{"accounts.admin":["sup3rs3cret"]}}}}"#,
        r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":["sup3rs3cret"]}}"#,
    ];
    for body in bodies {
        let error = Request::decode(body.as_bytes(), 128)
            .unwrap_err()
            .to_string();
        assert!(
            !error.contains("sup3rs3cret") && !error.contains('\n'),
            "{error}"
        );
    }
}

#[test]
fn a_review_spelled_as_an_array_is_no_review() {
    let request = config_map_review();
    let body = json!([API_VERSION, KIND, request]).to_string();
    assert_eq!(
        Request::decode(body.as_bytes(), 128).unwrap_err(),
        Undecodable::NoObject
    );
}

#[test]
fn what_must_be_an_object_is_no_array_and_nothing_else() {
    let request = config_map_review();
    let fields =
        |value: &Value| -> Vec<Value> { value.as_object().unwrap().values().cloned().collect() };
    let others = |value: &Value| [json!(fields(value)), json!([]), json!("text"), json!(1)];
    let mut bodies: Vec<Value> = others(&request).into();
    for path in [
        "/kind",
        "/userInfo",
        "/object",
        "/oldObject",
        "/object/metadata",
        "/object/data",
    ] {
        let value = request.pointer(path).unwrap();
        let spelled = others(value).into_iter();
        bodies.extend(spelled.map(|other| with(request.clone(), path, other)));
    }
    for request in bodies {
        let error = decode(request.clone()).unwrap_err();
        let told = matches!(&error, Undecodable::Json { problem, .. } if problem.ends_with("not an object"));
        assert!(told, "{request} {error}");
    }
}

#[test]
fn a_field_that_stands_twice_is_refused_where_it_is_read() {
    let review = |request: &str| {
        format!(
            r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{{request}}}}}"#
        )
    };
    let table = [
        r#""uid":"a","uid":"b""#,
        r#""uid":"a","object":{"data":{"accounts.admin":"apiKey","accounts.admin":"login"}}"#,
        r#""uid":"a","object":{},"object":{}"#,
    ];
    for request in table {
        let error = Request::decode(review(request).as_bytes(), 128).unwrap_err();
        assert!(
            matches!(
                error,
                Undecodable::Json {
                    problem: "a field of the wrong type, or one that stands twice",
                    ..
                }
            ),
            "{request} {error}"
        );
    }
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
            prop_oneof![
                Just("CREATE"),
                Just("UPDATE"),
                Just("argocd-cm"),
                Just("ConfigMap"),
                Just("v1"),
                Just("Pod")
            ]
            .prop_map(Value::from),
        ];
        let key = prop_oneof![
            Just("uid"),
            Just("kind"),
            Just("object"),
            Just("oldObject"),
            Just("metadata"),
            Just("data"),
            Just("spec"),
            Just("template"),
            Just("containers"),
            Just("env"),
            Just("name"),
            Just("valueFrom"),
            Just("secretKeyRef"),
            Just("operation"),
        ];
        leaf.prop_recursive(6, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((key.clone(), inner), 0..6).prop_map(
                    |entries| Value::Object(
                        entries
                            .into_iter()
                            .map(|(key, value)| (key.to_owned(), value))
                            .collect()
                    )
                ),
            ]
        })
    }

    proptest! {
        #[test]
        fn decoding_never_panics_on_any_bytes(body in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = Request::decode(&body, 64);
        }

        #[test]
        fn decoding_never_panics_on_any_request(request in json_value()) {
            let _ = decode(request);
        }

        #[test]
        fn a_body_cut_anywhere_is_an_error(at in 0_usize..600) {
            let body = review(config_map_review());
            let cut = &body[..at.min(body.len() - 1)];
            prop_assert!(Request::decode(cut, 128).is_err());
        }
    }
}

#[test]
fn a_body_full_of_accounts_is_decoded_and_judged_in_no_time_that_grows_with_its_square() {
    // By the square this takes minutes; in a debug build it takes well under a second.
    let data: serde_json::Map<String, Value> = (0..40_000)
        .map(|index| (format!("accounts.a{index}.enabled"), json!("?")))
        .collect();
    let mut request = config_map_review();
    request["object"]["data"] = Value::Object(data);
    let request = decode(request).unwrap();
    let verdict = crate::policy::decide::Policy::default().decide(&request.case, None);
    assert_eq!(verdict.judged.len(), 100);
}
