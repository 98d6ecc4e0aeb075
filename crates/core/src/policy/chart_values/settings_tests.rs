use serde_json::{Value, json};

use super::tests::{NEW, OLD, assert_found, good, nested, with_external};
use crate::policy::check_finding::CheckSeverity::{self, *};
use crate::policy::check_rules::CheckRule::{self, *};

#[test]
fn settings_go_together() {
    let reference = json!({"name": "s", "key": "k"});
    let default = json!({"name": "argocd-initial-admin-secret", "key": "password"});
    let told = |rule, severity, key: &'static str| (rule, severity, key);
    let table: [(Value, Vec<(CheckRule, CheckSeverity, &str)>); 31] = [
        (good(), vec![]),
        (json!({"type": "password"}), vec![]),
        (json!({"username": "gitops"}), vec![]),
        (json!({"passwordSecretKeyRef": reference}), vec![]),
        (
            json!({"type": "token", "tokenSecretKeyRef": reference, "passwordSecretKeyRef": default, "password": "", "token": "", "username": "admin"}),
            vec![],
        ),
        (
            json!({"type": "password", "tokenSecretKeyRef": {}, "passwordSecretKeyRef": default, "token": ""}),
            vec![],
        ),
        // The type.
        (
            json!({"tokenSecretKeyRef": reference}),
            vec![told(TypeMismatch, Error, "tokenSecretKeyRef")],
        ),
        (
            json!({"type": "password", "tokenSecretKeyRef": reference}),
            vec![told(TypeMismatch, Error, "tokenSecretKeyRef")],
        ),
        (
            json!({"type": "token", "passwordSecretKeyRef": reference}),
            vec![told(TypeMismatch, Error, "passwordSecretKeyRef")],
        ),
        (
            json!({"type": "token", "tokenSecretKeyRef": reference, "passwordSecretKeyRef": reference}),
            vec![told(TypeMismatch, Warning, "passwordSecretKeyRef")],
        ),
        (
            json!({"type": "Token", "tokenSecretKeyRef": reference}),
            vec![told(TypeMismatch, Error, "type")],
        ),
        (
            json!({"type": null, "username": "a"}),
            vec![told(TypeMismatch, Error, "type")],
        ),
        (
            json!({"type": "{{ .type }}", "tokenSecretKeyRef": reference}),
            vec![],
        ),
        (
            json!({"type": "token"}),
            vec![told(ReferenceIncomplete, Error, "type")],
        ),
        // Both.
        (
            json!({"type": "token", "token": "a.b.c", "tokenSecretKeyRef": reference}),
            vec![
                told(PlainAndReference, Warning, "token"),
                told(PlainCredential, Warning, "token"),
            ],
        ),
        (
            json!({"password": "secret", "passwordSecretKeyRef": reference}),
            vec![
                told(PlainAndReference, Warning, "password"),
                told(PlainCredential, Warning, "password"),
            ],
        ),
        (
            json!({"password": "secret", "passwordSecretKeyRef": default}),
            vec![told(PlainCredential, Warning, "password")],
        ),
        // Half a reference.
        (
            json!({"type": "token", "tokenSecretKeyRef": {"name": "s"}}),
            vec![told(ReferenceIncomplete, Error, "tokenSecretKeyRef")],
        ),
        (
            json!({"type": "token", "tokenSecretKeyRef": {"key": "k"}}),
            vec![told(ReferenceIncomplete, Error, "tokenSecretKeyRef")],
        ),
        (
            json!({"type": "token", "tokenSecretKeyRef": {"name": "s", "key": ""}}),
            vec![told(ReferenceIncomplete, Error, "tokenSecretKeyRef.key")],
        ),
        (
            json!({"type": "token", "tokenSecretKeyRef": {"name": 12, "key": "k"}}),
            vec![told(ReferenceIncomplete, Error, "tokenSecretKeyRef.name")],
        ),
        (
            json!({"type": "token", "tokenSecretKeyRef": "s"}),
            vec![told(ReferenceIncomplete, Error, "tokenSecretKeyRef")],
        ),
        (
            json!({"passwordSecretKeyRef": {"name": "s"}}),
            vec![told(ReferenceIncomplete, Warning, "passwordSecretKeyRef")],
        ),
        (
            json!({"passwordSecretKeyRef": {"key": "k"}}),
            vec![told(ReferenceIncomplete, Error, "passwordSecretKeyRef")],
        ),
        (
            json!({"passwordSecretKeyRef": {"name": null, "key": "k"}}),
            vec![told(
                ReferenceIncomplete,
                Error,
                "passwordSecretKeyRef.name",
            )],
        ),
        (
            json!({"passwordSecretKeyRef": null, "username": "a"}),
            vec![told(ReferenceIncomplete, Error, "passwordSecretKeyRef")],
        ),
        // Plain.
        (
            json!({"type": "token", "token": "a.b.c"}),
            vec![told(PlainCredential, Warning, "token")],
        ),
        (json!({"password": "ENC[AES256_GCM,data:x]"}), vec![]),
        (
            json!({"password": 12345}),
            vec![
                told(PlainCredential, Warning, "password"),
                told(PlainNotText, Error, "password"),
            ],
        ),
        (
            json!({"password": "a #b"}),
            vec![
                told(PlainCredential, Warning, "password"),
                told(PlainNotText, Error, "password"),
            ],
        ),
        (
            json!({"password": false}),
            vec![told(PlainNotText, Error, "password")],
        ),
    ];
    for (auth, expected) in table {
        for (base, version) in [(NEW, "0.30.0"), (OLD, "0.25.2")] {
            let paths: Vec<_> = expected
                .iter()
                .map(|(rule, severity, key)| (*rule, *severity, format!("{base}.{key}")))
                .collect();
            let expected: Vec<_> = paths
                .iter()
                .map(|(rule, severity, path)| (*rule, *severity, path.as_str()))
                .collect();
            assert_found(&with_external(nested(base, &auth)), version, &expected);
        }
    }
}

#[test]
fn up_to_0_24_3_app_proxy_takes_the_default_reference_before_a_plain_password() {
    let values = with_external(nested(OLD, &json!({"password": "secret"})));
    let path = &format!("{OLD}.password");
    let plain = (PlainCredential, Warning, path.as_str());
    assert_found(&values, "0.24.4", &[plain]);
    assert_found(
        &values,
        "0.24.3",
        &[plain, (PlainAndReference, Warning, path)],
    );
}
