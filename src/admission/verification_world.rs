//! A cluster for tests of what Argo CD's own state says.

use std::collections::BTreeMap;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::sources::source::{Bound, ConfigMap, ConfigMapRead, SecretRead, Source, WorkloadsRead};
use keyguard_core::policy::facts::Unread;
use keyguard_core::runtime::secret_bytes::SecretBytes;

const KEY: &str = "key of the test";
/// Of "correct horse".
pub(crate) const HASH: &str = "$2a$04$.F6n2gQU/6XtWklSCGY9COQ14WyEC6q2rw9Dcb2rLOcQsDMvOWqgq";

/// A cluster that holds these objects, each by `namespace/name`, and says what was read.
#[derive(Default)]
pub(crate) struct World {
    secrets: BTreeMap<&'static str, BTreeMap<&'static str, String>>,
    config_maps: BTreeMap<&'static str, BTreeMap<&'static str, &'static str>>,
    unreadable: Option<&'static str>,
    pub(crate) read: Mutex<Vec<String>>,
}

impl World {
    /// Argo CD in the namespace argocd, with an account ci that may do everything.
    pub(crate) fn good() -> World {
        let argocd_secret = [
            ("server.secretkey", KEY.to_owned()),
            ("accounts.ci.tokens", r#"[{"id":"1","iat":1}]"#.to_owned()),
            ("accounts.ci.password", HASH.to_owned()),
            ("dex.github.clientSecret", "not asked for".to_owned()),
        ];
        World {
            secrets: [
                ("argocd/argocd-secret", argocd_secret.into()),
                (
                    "gitops/s",
                    [
                        ("token", token("ci", "1")),
                        ("password", "correct horse".to_owned()),
                    ]
                    .into(),
                ),
            ]
            .into(),
            config_maps: [
                (
                    "argocd/argocd-cm",
                    [("accounts.ci", "apiKey, login")].into(),
                ),
                (
                    "gitops/cap-app-proxy-cm",
                    [("isExternalArgoCD", "true"), ("argoCdUsername", "ci")].into(),
                ),
            ]
            .into(),
            ..World::default()
        }
    }

    pub(crate) fn secret(mut self, object: &'static str, key: &'static str, value: &str) -> World {
        self.secrets
            .entry(object)
            .or_default()
            .insert(key, value.to_owned());
        self
    }

    pub(crate) fn config_map(
        mut self,
        object: &'static str,
        key: &'static str,
        value: &'static str,
    ) -> World {
        self.config_maps
            .entry(object)
            .or_default()
            .insert(key, value);
        self
    }

    pub(crate) fn without(mut self, object: &'static str) -> World {
        self.secrets.remove(object);
        self.config_maps.remove(object);
        self
    }

    pub(crate) fn unreadable(mut self, object: &'static str) -> World {
        self.unreadable = Some(object);
        self
    }

    fn secret_of(&self, namespace: &str, name: &str, wanted: impl Fn(&str) -> bool) -> SecretRead {
        let object = format!("{namespace}/{name}");
        self.read.lock().unwrap().push(object.clone());
        if self.unreadable == Some(&object) {
            return SecretRead::Unread(Unread::Forbidden);
        }
        let Some(data) = self.secrets.get(&*object) else {
            return SecretRead::Missing;
        };
        let wanted = data.iter().filter(|(key, _)| wanted(key));
        SecretRead::Found(
            wanted
                .map(|(key, value)| {
                    let value = Zeroizing::new(value.clone().into_bytes());
                    ((*key).to_owned(), SecretBytes::new(value))
                })
                .collect(),
        )
    }
}

impl Source for World {
    async fn secret(&self, namespace: &str, name: &str, keys: &[&str]) -> SecretRead {
        self.secret_of(namespace, name, |key| keys.contains(&key))
    }

    async fn argocd_secret(&self, namespace: &str, wanted: fn(&str) -> bool) -> SecretRead {
        self.secret_of(namespace, "argocd-secret", wanted)
    }

    async fn config_map(&self, namespace: &str, name: &str) -> ConfigMapRead {
        let object = format!("{namespace}/{name}");
        self.read.lock().unwrap().push(object.clone());
        if self.unreadable == Some(&object) {
            return ConfigMapRead::Unread(Unread::Forbidden);
        }
        match self.config_maps.get(&*object) {
            None => ConfigMapRead::Missing,
            Some(data) => ConfigMapRead::Found(ConfigMap {
                data: data
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
                labelled: true,
            }),
        }
    }

    async fn workloads(&self, _: Option<&str>, _: Bound) -> WorkloadsRead {
        WorkloadsRead {
            users: Vec::new(),
            unread: None,
        }
    }

    async fn namespace_ends(&self, _: &str) -> bool {
        false
    }
}

/// An API key that Argo CD has signed.
pub(crate) fn token(subject: &str, id: &str) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let claims = json!({"iss": "argocd", "sub": subject, "iat": 1_794_996_400, "jti": id});
    let signed = format!("{}.{}", part(&json!({"alg": "HS256"})), part(&claims));
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(KEY.as_bytes()).unwrap();
    let signature = mac.chain_update(signed.as_bytes()).finalize().into_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
