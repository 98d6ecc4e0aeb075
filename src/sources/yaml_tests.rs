use keyguard_core::document::field::position;
use serde_json::{Value, json};

use super::*;

fn documents(text: &str) -> Vec<Node> {
    read(text, &Arc::from("f.yaml")).unwrap()
}

fn as_json(text: &str) -> Vec<Value> {
    documents(text).iter().map(Node::to_json).collect()
}

#[test]
fn documents_are_what_kubernetes_reads() {
    let table: [(&str, Value); 14] = [
        ("", json!([])),
        ("---\n---\n# nothing\n", json!([])),
        ("a: 1\n---\nb: x\n", json!([{"a": 1}, {"b": "x"}])),
        (
            r#"{"a": [1, "2", null, true]}"#,
            json!([{"a": [1, "2", null, true]}]),
        ),
        (
            "a: yes\nb: 'yes'\nc:\nd: ~\n",
            json!([{"a": true, "b": "yes", "c": null, "d": null}]),
        ),
        ("a: !!str 1\nb: !vault x\n", json!([{"a": "1", "b": "x"}])),
        ("1: a\ntrue: b\n", json!([{"1": "a", "true": "b"}])),
        ("a: 1\na: 2\n", json!([{"a": 2}])),
        (
            "a: &x {b: 1}\nc: *x\n",
            json!([{"a": {"b": 1}, "c": {"b": 1}}]),
        ),
        (
            "a: &x {b: 1, d: 2}\nc: {<<: *x, d: 3}\n",
            json!([{"a": {"b": 1, "d": 2}, "c": {"d": 3, "b": 1}}]),
        ),
        (
            "a: &x {b: 1}\nz: &y {b: 2, e: 3}\nc: {<<: [*x, *y]}\n",
            json!([{"a": {"b": 1}, "z": {"b": 2, "e": 3}, "c": {"b": 1, "e": 3}}]),
        ),
        ("a: |\n  b\n  c\n", json!([{"a": "b\nc\n"}])),
        ("a: {\"<<\": 1}\n", json!([{"a": {"<<": 1}}])),
        (
            "a: 1_000\nb: 0x10\nc: 1.50\n",
            json!([{"a": 1000, "b": "0x10", "c": 1.5}]),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(Value::from(as_json(text)), expected, "{text}");
    }
}

#[test]
fn a_field_has_the_place_that_a_person_edits() {
    let text = "kind: ConfigMap\nbase: &base\n  accounts.admin: login\ndata:\n  <<: *base\n  other: \"x\"\nlist:\n- name: a\n- {name: b}\n";
    let document = &documents(text)[0];
    let table = [
        ("kind", (1, 7)),
        ("data", (4, 1)),
        ("data[\"accounts.admin\"]", (3, 19)),
        ("data.other", (6, 10)),
        ("list[1].name", (9, 10)),
        ("list[7].name", (7, 1)),
        ("nothing", (1, 1)),
    ];
    for (field, expected) in table {
        let at = position(document, field);
        assert_eq!((at.line, at.column), expected, "{field}");
    }
    let text = position(document, "data.other");
    assert_eq!((text.end_line, text.end_column), (6, 13));
}

#[test]
fn what_is_no_yaml_is_told_with_its_place_and_nothing_of_it() {
    let deep = "- ".repeat(150);
    let table = [
        ("a: [1\n", "is not YAML or JSON"),
        ("a: 1\n b: secret\n", "is not YAML or JSON"),
        ("a: *x\n", "is not YAML or JSON"),
        ("? {a: 1}\n: b\n", "has a key that is no text"),
        (&deep, "is nested too deeply"),
    ];
    for (text, why) in table {
        let error = read(text, &Arc::from("f.yaml")).unwrap_err();
        assert_eq!(error.why, why, "{text}");
        assert!(error.line > 0 && !error.to_string().contains("secret"));
    }
}

#[test]
fn aliases_cannot_make_a_small_file_large() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = level - 1;
        let items = vec![format!("*a{before}"); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    let error = read(&text, &Arc::from("f.yaml")).unwrap_err();
    assert_eq!(error.why, "has too many parts, or too many aliases");
}
