//! A state of Argo CD with a credential that is shown to it, and what keyguard says of it.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyguard_core::argocd::claims::Capability;
use keyguard_core::argocd::verification::{Rejection, State};
use keyguard_core::credential::{Credential, Defect, works};
use keyguard_core::runtime::secret_bytes::SecretBytes;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::token::Token;
use super::version::Version;

pub(super) const PART_OF: (&str, &str) = ("app.kubernetes.io/part-of", "argocd");
pub(super) const CLUSTER: (&str, &str) = ("argocd.argoproj.io/secret-type", "cluster");

pub(super) type Entries = BTreeMap<String, String>;

/// A ConfigMap or a Secret, or nothing where there is none.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) labels: Entries,
    pub(super) data: Entries,
}

/// A state of Argo CD, and a credential that somebody shows it.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) config_map: Option<Object>,
    pub(super) secret: Option<Object>,
    pub(super) server_tls: Option<Object>,
    pub(super) shown: Shown,
}

#[derive(Clone, Debug)]
pub(super) enum Shown {
    Token(Token),
    Password(&'static str, &'static str),
}

impl Question {
    /// Why keyguard says that Argo CD refuses it; `started`: after the next start of argocd-server.
    pub(super) fn refused(&self, version: Version, now: f64, started: bool) -> Vec<String> {
        let config_map = self.config_map.as_ref().filter(|map| map.has(PART_OF));
        let hidden = |secret: &&Object| version.hides_clusters() && secret.has(CLUSTER);
        let secret = self.secret.as_ref().filter(|secret| !hidden(secret));
        let overridden = self
            .server_tls
            .as_ref()
            .is_some_and(|tls| tls.data.len() == 2);
        let entries = secret.into_iter().flat_map(|secret| &secret.data);
        let entries = entries.filter(|(key, _)| !overridden || !key.starts_with("tls."));
        let state = State::read(
            entries.map(|(key, value)| (key.as_str(), value.as_bytes())),
            config_map.map(|map| {
                map.data
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_str()))
            }),
        );
        let state = match started {
            true => state.after_start(now),
            false => state,
        };
        let bytes = |text: &str| SecretBytes::new(Zeroizing::new(text.as_bytes().to_vec()));
        let defects = match &self.shown {
            Shown::Token(token) => {
                works(&Credential::Token(&bytes(&token.text())), Some(&state), now)
            }
            Shown::Password(user, password) => {
                let hash = state.password_hash(user);
                let password = Credential::Password {
                    user,
                    matches: hash.map(|hash| hash.matches(password.as_bytes())),
                    value: &bytes(password),
                };
                works(&password, Some(&state), now)
            }
        };
        let stops = defects.err().into_iter().flatten();
        // Argo CD lets it log in all the same; that it can make no API key shows only then.
        let stops = stops.filter(|defect| {
            let no_api_key = matches!(
                defect,
                Defect::Rejected(Rejection::Capability(_, Capability::ApiKey))
            );
            !(no_api_key && matches!(self.shown, Shown::Password(..)))
        });
        stops.map(|defect| format!("{defect:?}")).collect()
    }

    pub(super) fn is_valid_soon(&self) -> bool {
        matches!(&self.shown, Shown::Token(token) if token.is_valid_soon())
    }

    pub(super) fn has_signing_key(&self) -> bool {
        let secret = self.secret.as_ref();
        secret.is_some_and(|secret| secret.data.contains_key("server.secretkey"))
    }

    pub(super) fn is_login(&self) -> bool {
        matches!(self.shown, Shown::Password(..))
    }

    pub(super) fn has_federated_claims(&self) -> bool {
        matches!(&self.shown, Shown::Token(token) if token.claims.contains_key("federated_claims"))
    }

    /// As the program that asks Argo CD reads it, under this number.
    pub(super) fn to_json(&self, id: usize) -> Value {
        let config_map = self.config_map.as_ref();
        let secret = |secret: &Object| {
            let data = secret
                .data
                .iter()
                .map(|(key, value)| (key, STANDARD.encode(value)));
            json!({"labels": secret.labels, "data": data.collect::<BTreeMap<_, _>>()})
        };
        let mut question = json!({
            "id": id,
            "configMap": config_map.map(|map| json!({"labels": map.labels, "data": map.data})),
            "secret": self.secret.as_ref().map(secret),
            "serverTLS": self.server_tls.as_ref().map(secret),
        });
        match &self.shown {
            Shown::Token(token) => question["token"] = token.text().into(),
            Shown::Password(user, password) => {
                question["user"] = (*user).into();
                question["password"] = (*password).into();
            }
        }
        question
    }
}

impl Object {
    fn has(&self, (label, value): (&str, &str)) -> bool {
        self.labels.get(label).is_some_and(|found| found == value)
    }
}

impl fmt::Display for Question {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.to_json(0))
    }
}
