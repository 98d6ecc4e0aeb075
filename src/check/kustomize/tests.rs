use std::sync::Arc;

use serde_json::json;

use super::merge::merge;
use super::select::pattern_matches;
use super::{build, json};
use crate::check::files::File;
use crate::sources::yaml;
use keyguard_core::document::Node;

fn node(text: &str) -> Node {
    yaml::read(text, &Arc::from("f.yaml")).unwrap().remove(0)
}

fn file(path: &str, text: &str) -> File {
    let path: Arc<str> = Arc::from(path);
    File {
        documents: yaml::read(text, &path).unwrap(),
        path,
        selected: true,
        comments: Vec::new(),
    }
}

#[test]
fn a_strategic_merge_patch_merges_what_kubernetes_merges() {
    let containers =
        "containers: [{name: a, env: [{name: X, value: '1'}, {name: W, value: '2'}]}, {name: b}]";
    let table = [
        (
            "{a: {b: 1, c: 2}}",
            "{a: {c: 3}}",
            json!({"a": {"b": 1, "c": 3}}),
        ),
        (
            "{a: {b: 1, c: 2}}",
            "{a: {c: null, d: null}}",
            json!({"a": {"b": 1}}),
        ),
        (
            "{a: {b: 1}, c: 1}",
            "{a: {$patch: delete}}",
            json!({"c": 1}),
        ),
        (
            "{a: {b: 1}}",
            "{a: {$patch: replace, c: 2}}",
            json!({"a": {"c": 2}}),
        ),
        ("{a: [1, 2]}", "{a: [3]}", json!({"a": [3]})),
        (
            "{envFrom: [{secretRef: {name: a}}]}",
            "{envFrom: [{secretRef: {name: b}}]}",
            json!({"envFrom": [{"secretRef": {"name": "b"}}]}),
        ),
        (
            containers,
            "containers: [{name: a, env: [{name: W, value: '3'}, {name: Z}]}]",
            json!({"containers": [
                {"name": "a", "env": [{"name": "W", "value": "3"}, {"name": "Z"}, {"name": "X", "value": "1"}]},
                {"name": "b"},
            ]}),
        ),
        (
            containers,
            "containers: [{name: a, $patch: delete}, {name: c, $patch: delete}]",
            json!({"containers": [{"name": "b"}]}),
        ),
        (
            containers,
            "containers: [{$patch: replace}, {name: d}]",
            json!({"containers": [{"name": "d"}]}),
        ),
    ];
    for (base, patch, expected) in table {
        let merged = merge(node(base), &node(patch), true).unwrap();
        assert_eq!(merged.to_json(), expected, "{patch}");
    }
    assert!(merge(node("a: 1"), &node("$patch: delete"), true).is_none());
    let atomic = merge(
        node("{env: [{name: A}]}"),
        &node("{env: [{name: B}]}"),
        false,
    );
    assert_eq!(atomic.unwrap().to_json(), json!({"env": [{"name": "B"}]}));
}

#[test]
fn a_json_patch_does_its_operations_in_order() {
    let table = [
        (
            "{op: replace, path: /a/b, value: 2}",
            json!({"a": {"b": 2}, "l": [1, 2]}),
        ),
        (
            "{op: add, path: /l/1, value: 9}",
            json!({"a": {"b": 1}, "l": [1, 9, 2]}),
        ),
        (
            "{op: add, path: /l/-, value: 9}",
            json!({"a": {"b": 1}, "l": [1, 2, 9]}),
        ),
        ("{op: remove, path: /l/0}", json!({"a": {"b": 1}, "l": [2]})),
        (
            "{op: add, path: /x~1y, value: 9}",
            json!({"a": {"b": 1}, "l": [1, 2], "x/y": 9}),
        ),
        (
            "{op: move, from: /a/b, path: /c}",
            json!({"a": {}, "l": [1, 2], "c": 1}),
        ),
        (
            "{op: copy, from: /l/1, path: /c}",
            json!({"a": {"b": 1}, "l": [1, 2], "c": 2}),
        ),
        (
            "{op: remove, path: /none/0}",
            json!({"a": {"b": 1}, "l": [1, 2]}),
        ),
        (
            "{op: replace, path: /l/7/x, value: 1}",
            json!({"a": {"b": 1}, "l": [1, 2]}),
        ),
        (
            "{op: test, path: /a/b, value: 7}",
            json!({"a": {"b": 1}, "l": [1, 2]}),
        ),
    ];
    for (operation, expected) in table {
        let mut document = node("{a: {b: 1}, l: [1, 2]}");
        json::apply(&mut document, &node(&format!("[{operation}]")));
        assert_eq!(document.to_json(), expected, "{operation}");
    }
}

#[test]
fn patterns_match_all_of_a_text_or_are_not_understood() {
    let table = [
        ("argocd-cm", "argocd-cm", Some(true)),
        ("argocd", "argocd-cm", Some(false)),
        ("argocd-.*", "argocd-cm", Some(true)),
        ("^(a|b)$", "b", Some(true)),
        (".+", "", Some(false)),
        (".*", "", Some(true)),
        ("a?b+c*", "bbb", Some(true)),
        ("a?b+c*", "ac", Some(false)),
        ("a\\.b", "a.b", Some(true)),
        ("a\\.b", "axb", Some(false)),
        ("a[0-9]", "a1", Some(true)),
        ("a|b", "ab", Some(false)),
        ("*", "a", None),
    ];
    for (pattern, text, expected) in table {
        assert_eq!(pattern_matches(pattern, text), expected, "{pattern} {text}");
    }
}

#[test]
fn bases_that_double_at_each_step_end() {
    let mut files = vec![
        file("0/kustomization.yaml", "resources: [w.yaml]"),
        file("0/w.yaml", "{apiVersion: v1, kind: Pod}"),
    ];
    for step in 1..64 {
        let below = step - 1;
        files.push(file(
            &format!("{step}/kustomization.yaml"),
            &format!("resources: [../{below}, ../{below}]"),
        ));
    }
    let built = build(&files);
    let documents: usize = built.documents.values().map(Vec::len).sum();
    assert!(documents < 2_000, "{documents}");
}

#[test]
fn what_flux_calls_a_kustomization_is_an_object() {
    let flux = "{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, spec: {patches: [{patch: x}]}}";
    let built = build(&[file("kustomization.yaml", flux)]);
    assert!(built.documents.is_empty() && built.unseen.is_empty());
}

#[test]
fn charts_of_a_base_are_in_the_namespace_of_the_overlay() {
    let built = build(&[
        file(
            "base/kustomization.yaml",
            "helmCharts: [{name: gitops-runtime, namespace: x}]",
        ),
        file(
            "top/kustomization.yaml",
            "{namespace: codefresh, resources: [../base]}",
        ),
    ]);
    let chart = &built.charts["base/kustomization.yaml"][0];
    let expected = json!({"namespace": "codefresh", "helmCharts": [{"name": "gitops-runtime", "namespace": "codefresh"}]});
    assert_eq!(chart.to_json(), expected);
}
