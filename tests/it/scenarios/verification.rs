//! Argo CD's own state decides, when it is to be asked.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::guard::Guard;
use super::objects::{argocd_cm, deployment, password_from, secret, token_by_name, token_from};
use super::said::{refused_by, rules, warned_of};
use super::tokens::hs256;
use crate::control_plane::ControlPlane;
use crate::control_plane::users::ADMIN;

const VECTORS: &str = include_str!("../../fixtures/argocd-tokens.json");

/// What Argo CD decided on a token, and all that it knew.
#[derive(Deserialize)]
struct Vector {
    name: String,
    value_base64: String,
    argocd_cm: Value,
    argocd_secret_base64: BTreeMap<String, String>,
    /// The clock of the verdict, in Unix seconds.
    now: i64,
    argo_cd: String,
    has_exp: bool,
}

impl Vector {
    /// Whether a Runtime cannot use it.
    fn is_no_good(&self) -> bool {
        let accepted_and_useless = match self.name.as_str() {
            "exp zero" => false,
            "sub login session" | "trailing newline" | "trailing CRLF" => true,
            _ => self.has_exp,
        };
        self.argo_cd != "accepted" || accepted_and_useless
    }

    /// The rule that says why, where Argo CD's own state does.
    fn rule(&self) -> Option<&'static str> {
        let reason = self.argo_cd.as_str();
        // The token itself shows these, and nothing is asked for more.
        if ["sub missing", "header says HS384 signed HS256"].contains(&self.name.as_str()) {
            return None;
        }
        let table = [
            (
                reason.starts_with("token signature is invalid"),
                "credentials/token-signature",
            ),
            (
                reason.starts_with("accounts: "),
                "credentials/accounts-unreadable",
            ),
            (
                reason.ends_with("does not exist"),
                "credentials/account-missing",
            ),
            (
                reason.ends_with("is disabled"),
                "credentials/account-disabled",
            ),
            (
                reason.ends_with("' capability"),
                "credentials/account-capability",
            ),
            (
                reason.contains("does not have token with id"),
                "credentials/token-revoked",
            ),
            (
                reason.starts_with("account password has changed"),
                "credentials/token-password-changed",
            ),
        ];
        let mut found = table.into_iter().filter(|(holds, _)| *holds);
        found.next().map(|(_, rule)| rule)
    }

    /// The value of its Secret. The server has the machine's clock: a time by which it decides moves to there, and the
    /// token is signed again with Argo CD's key.
    fn value(&self) -> Vec<u8> {
        let value = STANDARD.decode(&self.value_base64).expect("base64");
        let moved = String::from_utf8(value.clone()).ok().and_then(|text| {
            let mut segments: Vec<_> = text.split('.').map(str::to_owned).collect();
            let claims = URL_SAFE_NO_PAD.decode(segments.get(1)?).ok()?;
            let mut claims: Value = serde_json::from_slice(&claims).ok()?;
            let not_before = claims.get("nbf").and_then(Value::as_i64)?;
            if not_before <= self.now {
                return None;
            }
            claims["nbf"] = (not_before - self.now + now()).into();
            segments[1] = URL_SAFE_NO_PAD.encode(claims.to_string());
            let signed = segments[..2].join(".");
            let key = STANDARD
                .decode(&self.argocd_secret_base64["server.secretkey"])
                .ok()?;
            Some(signed.clone() + "." + &URL_SAFE_NO_PAD.encode(hs256(&key, &signed)))
        });
        moved.map_or(value, String::into_bytes)
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_secs()).expect("before the end of time")
}

/// An Argo CD, as far as its own state goes.
struct Argocd {
    namespace: String,
}

impl Argocd {
    fn new() -> Argocd {
        let namespace = ControlPlane::shared().fresh_namespace("verified-argocd");
        Argocd { namespace }
    }

    /// A keyguard that asks it.
    fn guard(&self) -> Guard {
        Guard::configured(&format!("verify: {{argocdNamespace: {}}}", self.namespace))
    }

    fn put(&self, config_map: &Value, secret: &Value) {
        let objects = [
            argocd_cm(config_map),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "argocd-secret"}, "data": secret}),
        ];
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let kubectl = ControlPlane::shared().kubectl().as_user(ADMIN);
        let kubectl = kubectl.namespace(&self.namespace).stdin(list.to_string());
        kubectl.run(["apply", "-f", "-"]).expect_ok();
    }
}

#[test]
fn each_verdict_of_argo_cd_on_71_tokens_is_that_of_the_server() {
    let vectors: Vec<Vector> = serde_json::from_str(VECTORS).expect("vectors");
    let argocd = Argocd::new();
    let guard = argocd.guard();
    let scene = guard.scene("verified-tokens");
    let name = |index: usize| format!("token-{index}");
    let indexed = || vectors.iter().enumerate();
    let secrets = indexed().map(|(index, vector)| secret(&name(index), "key", vector.value()));
    scene.create(&secrets.collect::<Vec<_>>()).expect_silence();
    // Those with the same state of Argo CD go together.
    let mut by_state: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, vector) in indexed() {
        let state = json!([vector.argocd_cm, vector.argocd_secret_base64]);
        by_state.entry(state.to_string()).or_default().push(index);
    }
    let mut refused = 0;
    for (state, indices) in by_state {
        let state: Value = serde_json::from_str(&state).expect("JSON");
        argocd.put(&state[0], &state[1]);
        let deployments = indices
            .iter()
            .map(|index| deployment(&name(*index), token_by_name(&name(*index), "key")));
        let deployments: Vec<_> = deployments.collect();
        let answers = scene.create(&deployments);
        for (index, object) in indices.iter().zip(&deployments) {
            let vector = &vectors[*index];
            let refusal = answers.refusal(object, &scene.namespace);
            let told = format!(
                "{}: Argo CD says {}: {refusal}",
                vector.name, vector.argo_cd
            );
            assert_eq!(!refusal.is_empty(), vector.is_no_good(), "{told}");
            if let Some(rule) = vector.rule() {
                assert!(rules(refusal).contains(&rule), "{told}");
            }
            refused += usize::from(!refusal.is_empty());
        }
        assert_eq!(answers.warnings(""), [] as [&str; 0]);
    }
    assert_eq!((vectors.len(), refused), (71, 52));
}

#[test]
fn a_password_is_compared_and_one_that_was_mended_is_let_through() {
    // Of "correct horse", at the lowest cost.
    let hash = "$2a$04$.F6n2gQU/6XtWklSCGY9COQ14WyEC6q2rw9Dcb2rLOcQsDMvOWqgq";
    let argocd = Argocd::new();
    argocd.put(
        &json!({"accounts.ci": "apiKey, login"}),
        &json!({"accounts.ci.password": STANDARD.encode(hash)}),
    );
    let guard = argocd.guard();
    let scene = guard.scene("verified-passwords");
    let user = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "user"}, "data": {"name": "ci"}});
    let objects = [user, secret("argocd-password", "password", "wrong")];
    scene.create(&objects).expect_silence();
    let from = json!({"name": "ARGO_CD_USERNAME", "valueFrom": {"configMapKeyRef": {"name": "user", "key": "name"}}});
    let workload = |name: &str| {
        deployment(
            name,
            vec![password_from("argocd-password", "password"), from.clone()],
        )
    };
    // The second time the verdict is remembered.
    for name in ["first", "second"] {
        let told = refused_by(
            scene.send(["create"], &workload(name)),
            &["credentials/password-wrong"],
        );
        assert!(told.contains("account \"ci\""), "{told}");
    }
    let mended = secret("argocd-password", "password", "correct horse");
    scene.send(["replace"], &mended).expect_ok();
    warned_of(scene.send(["create"], &workload("third")), &[]);
}

#[test]
fn with_an_argo_cd_elsewhere_one_warning_says_so_and_what_the_credential_shows_decides() {
    let guard = Argocd::new().guard();
    let scene = guard.scene("verified-elsewhere");
    let token = super::tokens::Token::api_key("admin");
    let objects = [
        secret("good", "token", token.text()),
        secret("expiring", "token", token.claim("exp", now() + 3600).text()),
    ];
    scene.create(&objects).expect_silence();
    let twice = |name: &str, secret: &str| {
        let mut object = deployment(name, vec![token_from(secret, "token")]);
        let container = object["spec"]["template"]["spec"]["containers"][0].clone();
        object["spec"]["template"]["spec"]["initContainers"] = json!([container]);
        object["spec"]["template"]["spec"]["initContainers"][0]["name"] = "init".into();
        object
    };
    warned_of(
        scene.send(["create"], &twice("good", "good")),
        &["credentials/argocd-not-found"],
    );
    // The warning stands before the refusal.
    let both = ["credentials/argocd-not-found", "credentials/token-expires"];
    refused_by(
        scene.send(["create"], &twice("expiring", "expiring")),
        &both,
    );
}
