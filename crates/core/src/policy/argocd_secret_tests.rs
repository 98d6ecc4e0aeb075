use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::*;
use crate::policy::argocd_secret_change::{Change, lost};
use crate::runtime::secret_bytes::{SecretBytes, SecretData};
use crate::runtime::workload::WorkloadKind;

const KEY: &str = "the key of this test";
const NOW: f64 = 1_795_000_000.0;

fn bytes(text: &str) -> SecretBytes {
    SecretBytes::new(Zeroizing::new(text.as_bytes().to_vec()))
}

fn data(entries: &[(&str, &str)]) -> SecretData {
    let mut data = SecretData::default();
    for (key, value) in entries {
        data.insert(key, bytes(value));
    }
    data
}

/// Argo CD's Secret with the API key "one" of bob, and "two" of admin, and these values in place of its own.
fn argocd(changes: &[(&str, &str)]) -> SecretData {
    let mut state = data(&[
        ("server.secretkey", KEY),
        ("admin.password", "a hash"),
        ("admin.passwordMtime", "2026-01-01T00:00:00Z"),
        ("accounts.bob.tokens", r#"[{"id":"one"}]"#),
        ("admin.tokens", r#"[{"id":"two"}]"#),
    ]);
    for (key, value) in changes {
        state.insert(key, bytes(value));
    }
    state
}

fn signed(claims: &Value, key: &str) -> SecretBytes {
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let header = json!({"alg": "HS256", "typ": "JWT"}).to_string();
    let signed = format!("{}.{}", part(header), part(claims.to_string()));
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    let mac = mac.chain_update(signed.as_bytes()).finalize().into_bytes();
    bytes(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac)))
}

fn bobs() -> Value {
    json!({"iss": "argocd", "sub": "bob:apiKey", "iat": NOW - 3600.0, "jti": "one"})
}

fn accounts() -> BTreeMap<String, String> {
    [("accounts.bob".to_owned(), "apiKey".to_owned())].into()
}

fn lost_by(token: &SecretBytes, old: &SecretData, new: Option<&SecretData>) -> Vec<Rejection> {
    let change = Change::of(old, new);
    let accounts = accounts();
    let lost = lost(token, &change.states(Some(&accounts), NOW), NOW);
    let rejections = lost.map(|(rejections, _)| rejections).unwrap_or_default();
    // Nobody would look for who uses it.
    assert!(rejections.is_empty() || change.may_revoke());
    rejections
}

fn user(name: &str) -> User {
    User {
        kind: WorkloadKind::Deployment,
        namespace: "gitops".to_owned(),
        name: name.to_owned(),
        references: Vec::new(),
    }
}

fn found(rejections: Vec<Rejection>, users: &[(&str, Need)]) -> ArgocdSecretUse {
    let users = users.iter().map(|(name, need)| (user(name), *need));
    let users = users.collect();
    ArgocdSecretUse {
        lost: vec![Lost {
            rejections,
            doomed: false,
            users,
        }],
        ..ArgocdSecretUse::default()
    }
}

fn judged(facts: &ArgocdSecretUse, deleted: bool) -> Vec<Finding> {
    let fate = match deleted {
        true => Fate::Deleted,
        false => Fate::Changed,
    };
    judge("argocd", fate, Some(facts), OnError::Deny)
}

#[test]
fn a_change_is_refused_by_what_it_does_to_a_token_in_use() {
    let later = "2026-11-18T18:00:00Z";
    let earlier = "2026-11-01T00:00:00Z";
    let table: [(&str, &str, Option<(Rule, &str)>); 9] = [
        (
            "accounts.bob.tokens",
            r#"[{"id":"other"}]"#,
            Some((
                Rule::ArgocdSecretTokenRevoked,
                "data[\"accounts.bob.tokens\"]",
            )),
        ),
        (
            "server.secretkey",
            "another",
            Some((Rule::ArgocdSecretKeyChanged, "data[\"server.secretkey\"]")),
        ),
        (
            "accounts.bob.passwordMtime",
            later,
            Some((
                Rule::ArgocdSecretPasswordChanged,
                "data[\"accounts.bob.passwordMtime\"]",
            )),
        ),
        (
            "accounts.bob.passwordMtime",
            "yesterday",
            Some((
                Rule::ArgocdSecretUnreadable,
                "data[\"accounts.bob.passwordMtime\"]",
            )),
        ),
        (
            "admin.tokens",
            "[",
            Some((Rule::ArgocdSecretUnreadable, "data[\"admin.tokens\"]")),
        ),
        // Another good state, and what is somebody else's.
        ("accounts.bob.passwordMtime", earlier, None),
        (
            "accounts.bob.tokens",
            r#"[{"id":"new"},{"id":"one"}]"#,
            None,
        ),
        ("admin.tokens", "[]", None),
        ("admin.passwordMtime", later, None),
    ];
    let old = argocd(&[]);
    let token = signed(&bobs(), KEY);
    for (key, value, expected) in table {
        let new = argocd(&[(key, value)]);
        let rejections = lost_by(&token, &old, Some(&new));
        let findings = judged(&found(rejections, &[("operator", Need::Certain)]), false);
        let told: Vec<_> = findings
            .iter()
            .map(|finding| (finding.rule, finding.fields[0].as_str()))
            .collect();
        assert_eq!(told, Vec::from_iter(expected), "{key} {value}");
        for finding in &findings {
            assert_eq!(finding.severity, Severity::Refusal);
            assert!(
                finding
                    .what
                    .contains("Deployment \"operator\" in namespace \"gitops\""),
                "{}",
                finding.what
            );
        }
    }
    let deleted = lost_by(&token, &old, None);
    let findings = judged(&found(deleted, &[("operator", Need::Certain)]), true);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].rule, Rule::ArgocdSecretDeleted);
}

#[test]
fn a_token_that_argo_cd_refused_before_is_not_lost_by_the_change() {
    let with = |name: &str, value: Value| {
        let mut claims = bobs();
        claims[name] = value;
        claims
    };
    let dead = [
        signed(&bobs(), "of another Argo CD"),
        signed(&with("jti", json!("revoked")), KEY),
        signed(&with("exp", json!(NOW - 1.0)), KEY),
        signed(&with("sub", json!("eve:apiKey")), KEY),
        signed(&with("iss", json!("dex")), KEY),
        signed(&with("sub", json!("proj:web:deployer")), KEY),
        bytes("no token"),
        SecretBytes::new(Zeroizing::new(vec![0xff])),
    ];
    let old = argocd(&[]);
    let new = argocd(&[("server.secretkey", "another"), ("accounts.bob.tokens", "")]);
    for (row, token) in dead.iter().enumerate() {
        assert_eq!(lost_by(token, &old, Some(&new)), [], "row {row}");
        assert_eq!(lost_by(token, &old, None), [], "row {row}");
    }
    // As good as it will be for a while.
    let expires = signed(&with("exp", json!(NOW + 60.0)), KEY);
    assert_eq!(lost_by(&expires, &old, Some(&new)).len(), 1);
    // At its first start Argo CD fills in what is empty.
    let token = signed(&bobs(), KEY);
    assert_eq!(lost_by(&token, &data(&[]), Some(&old)), []);
}

#[test]
fn what_app_proxy_makes_again_is_no_reason_and_what_nobody_can_tell_is_a_warning() {
    let token = signed(&bobs(), KEY);
    let rejections = lost_by(
        &token,
        &argocd(&[]),
        Some(&argocd(&[("accounts.bob.tokens", "")])),
    );
    let severity = |users: &[(&str, Need)]| {
        let findings = judged(&found(rejections.clone(), users), false);
        findings
            .iter()
            .map(|finding| {
                assert_eq!(finding.rule, Rule::ArgocdSecretTokenRevoked);
                (finding.severity, finding.what.contains("\"maybe\""))
            })
            .collect::<Vec<_>>()
    };
    let (certain, maybe) = (("sure", Need::Certain), ("maybe", Need::Uncertain));
    assert_eq!(severity(&[]), []);
    assert_eq!(severity(&[maybe]), [(Severity::Warning, true)]);
    assert_eq!(
        severity(&[maybe, certain, certain]),
        [(Severity::Refusal, false)]
    );
}

#[test]
fn what_could_not_be_found_out_is_decided_by_on_error_and_a_bound_only_warns() {
    let unlisted = |why| ArgocdSecretUse {
        unlisted: vec![Unlisted {
            kind: None,
            namespace: None,
            why,
        }],
        ..ArgocdSecretUse::default()
    };
    let unread = |why| ArgocdSecretUse {
        unread: Some(why),
        ..ArgocdSecretUse::default()
    };
    let config_map = ArgocdSecretUse {
        config_map: Some(Unread::Timeout),
        ..ArgocdSecretUse::default()
    };
    let table = [
        (unlisted(Unread::Forbidden), Severity::Refusal),
        (unlisted(Unread::TooMany), Severity::Warning),
        (unread(Unread::Unreachable), Severity::Refusal),
        (unread(Unread::TooMany), Severity::Warning),
        (config_map, Severity::Refusal),
    ];
    for (facts, expected) in table {
        for (on_error, expected) in [
            (OnError::Deny, expected),
            (OnError::Allow, Severity::Warning),
        ] {
            let findings = judge("argocd", Fate::Changed, Some(&facts), on_error);
            let told: Vec<_> = findings
                .iter()
                .map(|finding| (finding.rule, finding.severity))
                .collect();
            assert_eq!(told, [(Rule::InUseUnknown, expected)], "{facts:?}");
        }
        let ending = ArgocdSecretUse {
            namespace_ends: true,
            ..facts
        };
        assert_eq!(
            judge("argocd", Fate::Deleted, Some(&ending), OnError::Deny),
            []
        );
    }
    let nobody_looked = judge("argocd", Fate::Deleted, None, OnError::Deny);
    assert_eq!(nobody_looked[0].severity, Severity::Refusal);
}
