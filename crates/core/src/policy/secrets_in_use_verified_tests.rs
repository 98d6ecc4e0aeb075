//! A credential is exchanged, and Argo CD is asked about the one that was there and the one that will be.

use super::*;
use crate::argocd::verification::State;
use crate::policy::secret_values::{Compared, States, compare};
use crate::runtime::secret_bytes::{SecretBytes, SecretData};
use crate::runtime::workload::WorkloadKind;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

const NOW: f64 = 1_795_000_000.0;
const KEY: &str = "the key of this test";
const GOOD: &str = "the password";
/// Of it, at the lowest cost.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuAngRcXn5iAtPuYmfvz74.UKQ61G1byu";

const REFUSED: &[(Rule, Severity)] = &[(Rule::SecretInUseBroken, Severity::Refusal)];
const WARNED: &[(Rule, Severity)] = &[(Rule::SecretInUseBroken, Severity::Warning)];
const NOTHING: &[(Rule, Severity)] = &[];

fn token(id: &str, issued: f64, key: &str) -> String {
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let claims = json!({"iss": "argocd", "sub": "admin:apiKey", "iat": issued, "jti": id});
    let header = json!({"alg": "HS256"}).to_string();
    let signed = format!("{}.{}", part(header), part(claims.to_string()));
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    let mac = mac.chain_update(signed.as_bytes()).finalize().into_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
}

fn data(value: &str) -> SecretData {
    let mut data = SecretData::default();
    data.insert(
        "k",
        SecretBytes::new(Zeroizing::new(value.as_bytes().to_vec())),
    );
    data
}

fn user(variable: &str) -> User {
    let env: Value = json!([
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "ARGO_CD_USERNAME", "value": "admin"},
    ]);
    let spec = json!({"template": {"spec": {"containers": [{"env": env}]}}}).to_string();
    User::of(WorkloadKind::Deployment, "gitops", "app-proxy", &spec).unwrap()
}

/// What Argo CD has: two API keys of admin, and these entries in place of its own.
fn states(config_map: &'static [(&str, &str)], mtime: &'static str) -> States<'static> {
    let secret = [
        ("server.secretkey", KEY),
        ("admin.tokens", r#"[{"id":"one"},{"id":"two"}]"#),
        ("admin.password", HASH),
        ("admin.passwordMtime", mtime),
    ];
    let state = || {
        let secret = secret.map(|(key, value)| (key, value.as_bytes()));
        State::read(secret, Some(config_map.iter().copied()))
    };
    [state(), state().after_start(NOW)]
}

const EARLY: &str = "2020-01-01T00:00:00Z";
const ON: &[(&str, &str)] = &[("accounts.admin", "apiKey, login")];

struct Scene {
    variable: &'static str,
    states: Option<States<'static>>,
    matches: [Option<bool>; 2],
    unverified: Option<Unasked>,
}

impl Scene {
    fn new(variable: &'static str, states: States<'static>) -> Scene {
        Scene {
            variable,
            states: Some(states),
            matches: [Some(true); 2],
            unverified: None,
        }
    }

    fn findings(&self, old: &str, new: &str, on_error: OnError) -> Vec<Finding> {
        let (name, users) = (Name::from("s"), vec![user(self.variable)]);
        let (old, new) = (data(old), data(new));
        let compared = Compared::from([((Name::from("k"), "admin".to_owned()), self.matches)]);
        let argocd = self.states.as_ref().map(|states| (states, &compared));
        let facts = SecretUse {
            values: compare(&name, &users, &old, Some(&new), argocd, NOW),
            suspects: BTreeSet::new(),
            users: Users {
                found: users,
                unlisted: None,
            },
            namespace_ends: false,
            mode: ModeFact::NotNeeded,
            unverified: self.unverified.clone(),
        };
        judge(&name, "gitops", None, Some(&facts), on_error)
    }

    fn judged(&self, old: &str, new: &str) -> Vec<(Rule, Severity)> {
        let findings = self.findings(old, new, OnError::Deny);
        findings
            .iter()
            .map(|finding| (finding.rule, finding.severity))
            .collect()
    }
}

#[test]
fn a_token_is_exchanged_for_one_that_argo_cd_accepts_now_and_after_its_next_start() {
    let issued = NOW - 60.0;
    let (one, two) = (token("one", issued, KEY), token("two", issued, KEY));
    let foreign = token("two", issued, "another key");
    let revoked = token("three", issued, KEY);
    let scene = |config_map, mtime| Scene::new("ARGO_CD_TOKEN", states(config_map, mtime));
    let good = || scene(ON, EARLY);
    // The next start of argocd-server ends every API key of admin.
    let ends = || scene(ON, "no time");
    let table = [
        (good(), &one, &two, NOTHING),
        (good(), &one, &foreign, REFUSED),
        (good(), &one, &revoked, REFUSED),
        // What Argo CD did not accept is not lost.
        (good(), &foreign, &revoked, WARNED),
        (good(), &revoked, &two, NOTHING),
        (scene(&[], EARLY), &one, &two, WARNED),
        (ends(), &one, &two, WARNED),
    ];
    for (row, (scene, old, new, expected)) in table.into_iter().enumerate() {
        assert_eq!(scene.judged(old, new), expected, "row {row}");
    }
}

#[test]
fn a_password_is_exchanged_for_the_one_that_the_account_has() {
    let (right, wrong) = (Some(true), Some(false));
    let table = [
        ([right, right], ON, NOTHING),
        ([right, wrong], ON, REFUSED),
        // The account got its new password first, and the Secret follows.
        ([wrong, right], ON, NOTHING),
        ([wrong, wrong], ON, WARNED),
        // Nobody compared them: the account alone decides.
        ([None, None], ON, NOTHING),
        (
            [right, right],
            &[("accounts.admin", "apiKey"), ("admin.enabled", "false")],
            WARNED,
        ),
    ];
    for (row, (matches, config_map, expected)) in table.into_iter().enumerate() {
        let mut scene = Scene::new("ARGO_CD_PASSWORD", states(config_map, EARLY));
        scene.matches = matches;
        let judged = scene.judged(GOOD, "another password");
        assert_eq!(judged, expected, "row {row}");
    }
}

#[test]
fn when_argo_cd_cannot_be_asked_about_an_exchange_on_error_decides_and_it_is_said() {
    let (one, two) = (token("one", NOW, KEY), token("two", NOW, KEY));
    let unread = || {
        Unasked::Argocd(
            "Secret \"argocd-secret\"",
            "argocd".to_owned(),
            Unread::Timeout,
        )
    };
    let busy = || Unasked::Password(Unverified::Busy);
    let missing = || Unasked::NotFound("argocd".to_owned());
    let (unreadable, absent) = (Rule::ArgocdUnreadable, Rule::ArgocdNotFound);
    let (refusal, warning) = (Severity::Refusal, Severity::Warning);
    let table = [
        (unread(), OnError::Deny, &two, vec![(unreadable, refusal)]),
        (unread(), OnError::Allow, &two, vec![(unreadable, warning)]),
        (missing(), OnError::Deny, &two, vec![(absent, warning)]),
        // Nothing is exchanged, or it is no password.
        (unread(), OnError::Deny, &one, vec![]),
        (busy(), OnError::Deny, &two, vec![]),
    ];
    for (row, (untold, on_error, new, expected)) in table.into_iter().enumerate() {
        let scene = Scene {
            states: None,
            unverified: Some(untold),
            ..Scene::new("ARGO_CD_TOKEN", states(ON, EARLY))
        };
        let findings = scene.findings(&one, new, on_error);
        let judged: Vec<_> = findings
            .iter()
            .map(|finding| (finding.rule, finding.severity))
            .collect();
        assert_eq!(judged, expected, "row {row}");
        assert!(
            findings
                .iter()
                .all(|finding| !finding.what.contains(one.as_str()))
        );
    }
}
