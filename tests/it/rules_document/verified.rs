//! Situations in which Argo CD's own state decides: it is good, and one thing of it is changed.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use keyguard_core::argocd::verification::State;
use keyguard_core::policy::facts::{Verification, Verified};
use keyguard_core::runtime::user_name::UserName;
use keyguard_core::runtime::value::Role;
use serde_json::{Value, json};
use sha2::Sha256;

use super::examples::{Known, SECRET, Situation, deployment_of};

/// The password of the account.
pub(super) const PASSWORD: &str = "correct horse";
/// Its hash, at the lowest cost.
const HASH: &str = "$2a$04$.F6n2gQU/6XtWklSCGY9COQ14WyEC6q2rw9Dcb2rLOcQsDMvOWqgq";
const KEY: &str = "a key of the example";

/// Argo CD with the account ci, which may do everything and has one API key.
pub(super) fn state() -> Argocd {
    let secret = [
        ("server.secretkey", KEY),
        (
            "accounts.ci.tokens",
            r#"[{"id": "example", "iat": 1794996400}]"#,
        ),
        ("accounts.ci.password", HASH),
    ];
    Argocd {
        secret: secret.into(),
        config_map: [("accounts.ci", "apiKey, login")].into(),
    }
}

pub(super) struct Argocd {
    secret: BTreeMap<&'static str, &'static str>,
    config_map: BTreeMap<&'static str, &'static str>,
}

impl Argocd {
    /// With this value in `argocd-secret`.
    pub(super) fn with(mut self, key: &'static str, value: &'static str) -> Argocd {
        self.secret.insert(key, value);
        self
    }

    /// With this value in `argocd-cm`.
    pub(super) fn account(mut self, key: &'static str, value: Option<&'static str>) -> Argocd {
        self.config_map.remove(key);
        self.config_map.extend(value.map(|value| (key, value)));
        self
    }

    /// What is in `argocd-secret`.
    pub(super) fn secret(&self) -> &BTreeMap<&'static str, &'static str> {
        &self.secret
    }

    fn read(&self) -> State<'_> {
        let secret = self
            .secret
            .iter()
            .map(|(key, value)| (*key, value.as_bytes()));
        let config_map = self.config_map.iter().map(|(key, value)| (*key, *value));
        State::read(secret, Some(config_map))
    }

    /// A Deployment with an API key of the account.
    pub(super) fn token(self) -> Situation {
        let token = token();
        let rejections = self.read().verify(&token);
        situation(Role::Token, token, Verified::Judged(rejections))
    }

    /// A Deployment with a password.
    pub(super) fn password(self, password: &str) -> Situation {
        let state = self.read();
        let matches = state.password_hash("ci");
        let matches = matches.map(|hash| hash.matches(password.as_bytes()));
        let rejections = state.login("ci", password.as_bytes(), matches);
        situation(
            Role::Password,
            password.to_owned(),
            Verified::Judged(rejections),
        )
    }

    /// A Deployment with a password of which this is known.
    pub(super) fn untold(self, verified: Verified) -> Situation {
        situation(Role::Password, PASSWORD.to_owned(), verified)
    }

    /// A Deployment with a token, and Argo CD's state of which this is known.
    pub(super) fn told(self, verification: Verification) -> Situation {
        let mut situation = self.token();
        situation.verification = verification;
        situation
    }
}

fn situation(role: Role, value: String, verified: Verified) -> Situation {
    let from = |variable: &str| json!({"name": variable, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": "token"}}});
    let (env, user_name) = match role {
        Role::Token => (json!([from("ARGO_CD_TOKEN")]), None),
        Role::Password => (
            json!([from("ARGO_CD_PASSWORD"), {"name": "ARGO_CD_USERNAME", "value": "ci"}]),
            Some(UserName::Plain("ci".into())),
        ),
    };
    let key = ((SECRET.into(), "token".into(), role), user_name);
    Situation {
        verification: Verification::Known(BTreeMap::from([(key, verified)])),
        ..deployment_of(&env, Known::Value(value.into_bytes()))
    }
}

/// An API key of the account.
pub(super) fn token() -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let claims =
        json!({"iss": "argocd", "sub": "ci:apiKey", "iat": 1_794_996_400, "jti": "example"});
    let signed = format!("{}.{}", part(&json!({"alg": "HS256"})), part(&claims));
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(KEY.as_bytes()).unwrap();
    let signature = mac.chain_update(signed.as_bytes()).finalize().into_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
