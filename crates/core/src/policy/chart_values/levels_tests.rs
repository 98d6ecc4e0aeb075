use serde_json::{Value, json};

use super::beside_dependency;
use super::tests::{NEW, assert_found, good, nested, with_external};
use crate::document::testing::node;
use crate::policy::check_finding::CheckSeverity::{self, *};
use crate::policy::check_rules::CheckRule::*;

#[test]
fn settings_one_level_off_are_not_read() {
    let reference = json!({"name": "s", "key": "k"});
    let one = |path: &str, value: &Value| with_external(nested(path, value));
    let table = [
        (
            "global.integrations.argo-cd.server.tokenSecretKeyRef",
            reference.clone(),
            "0.30.0",
        ),
        (
            "global.integrations.argo-cd.server.type",
            json!("token"),
            "0.30.0",
        ),
        (
            "global.integrations.argo-cd.passwordSecretKeyRef",
            reference.clone(),
            "0.30.0",
        ),
        (
            "global.integrations.tokenSecretKeyRef",
            reference.clone(),
            "0.30.0",
        ),
        ("global.integrations.argo-cd.auth", good(), "0.30.0"),
        ("global.integrations.auth", good(), "0.30.0"),
        ("global.argo-cd.server.auth", good(), "0.30.0"),
        ("integrations.argo-cd.server.auth", good(), "0.30.0"),
        (
            "argo-cd-server.global.integrations.argo-cd.server.auth",
            good(),
            "0.30.0",
        ),
        (
            "gitops-runtime.global.integrations.argo-cd.server.auth",
            good(),
            "0.30.0",
        ),
        (
            "gitops-runtime.global.external-argo-cd.auth",
            good(),
            "0.25.2",
        ),
        (
            "global.external-argo-cd.tokenSecretKeyRef",
            reference.clone(),
            "0.25.2",
        ),
        (
            "global.external-argo-cd.server.tokenSecretKeyRef",
            reference.clone(),
            "0.25.2",
        ),
        ("global.external-argo-cd.server.auth", good(), "0.25.2"),
        ("external-argo-cd.auth", good(), "0.25.2"),
        ("global.tokenSecretKeyRef", reference, "0.25.2"),
        ("auth", good(), "0.30.0"),
    ];
    for (path, value, version) in table {
        assert_found(&one(path, &value), version, &[(PathMisplaced, Error, path)]);
    }
}

#[test]
fn what_stands_in_auth_is_a_setting_of_it() {
    let misplaced = |end: &str| format!("{NEW}.{end}");
    let table: [(&str, Value, &str, CheckSeverity); 8] = [
        ("name", json!("s"), "name", Error),
        (
            "secretKeyRef",
            json!({"name": "s", "key": "k"}),
            "secretKeyRef",
            Error,
        ),
        ("auth", good(), "auth", Error),
        (
            "tokenSecretRef",
            json!({"name": "s", "key": "k"}),
            "tokenSecretRef",
            Error,
        ),
        (
            "tokensecretkeyref",
            json!({"name": "s", "key": "k"}),
            "tokensecretkeyref",
            Error,
        ),
        ("svc", json!("argocd"), "svc", Warning),
        (
            "passwordSecretKeyRef",
            json!({"secretKeyRef": {"name": "s", "key": "k"}}),
            "passwordSecretKeyRef.secretKeyRef",
            Error,
        ),
        ("a key", json!("x"), "…", Warning),
    ];
    for (key, value, path, severity) in table {
        let auth = json!({ key: value });
        let path = misplaced(path);
        assert_found(
            &nested(NEW, &auth),
            "0.30.0",
            &[(PathMisplaced, severity, &path)],
        );
    }
    let auth = json!({"type": "token", "token": {"secretKeyRef": {"name": "s", "key": "k"}}});
    assert_found(
        &nested(NEW, &auth),
        "0.30.0",
        &[(PathMisplaced, Error, &misplaced("token"))],
    );
}

#[test]
fn values_of_a_dependency_stand_under_its_name() {
    let parent = |key: &str, value: Value| node(&json!({ key: value }));
    let global = nested(NEW, &good());
    let table = [
        (parent("gitops-runtime", global.clone()), None),
        (parent("global", global["global"].clone()), None),
        (
            parent("runtime", global),
            Some("runtime.global.integrations.argo-cd.server.auth"),
        ),
        (
            parent(
                "integrations",
                json!({"argo-cd": {"server": {"auth": good()}}}),
            ),
            Some("integrations"),
        ),
        (
            parent("external-argo-cd", json!({"auth": good()})),
            Some("external-argo-cd"),
        ),
        (
            parent("app-proxy", json!({"env": {"ARGO_CD_TOKEN": "x"}})),
            Some("app-proxy"),
        ),
        (parent("app-proxy", json!({"replicas": 2})), None),
    ];
    for (values, expected) in table {
        let found = beside_dependency(&values, "gitops-runtime");
        let paths: Vec<&str> = found.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(
            paths,
            expected.into_iter().collect::<Vec<_>>(),
            "{values:?}"
        );
    }
}
