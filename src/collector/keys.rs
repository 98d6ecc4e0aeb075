//! The keys of the trail: one signs the log, and one makes fingerprints; from files, or in a Secret that the collector makes.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use keyguard_audit::note::{NoteError, SigningKey};
use serde::Serialize;
use thiserror::Error;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::sources::cluster::Cluster;
use crate::sources::object;
use crate::sources::source::SecretRead;
use keyguard_core::policy::facts::Unread;

/// The member of the Secret that signs the log.
pub const LOG_KEY: &str = "log.key";
/// The member of the Secret that fingerprints are made with; replicas mount it.
pub const FINGERPRINT_KEY: &str = "fingerprint.key";
/// How long the API server may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Why there is no key.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The API server does not let it be read or made.
    #[error("cannot {verb} the Secret {secret}: {}", .cause.what())]
    Call {
        /// What was wanted.
        verb: &'static str,
        /// Its namespace and name.
        secret: String,
        /// Why not.
        cause: Unread,
    },
    /// The member is missing.
    #[error(
        "the Secret {0} has no {LOG_KEY}; restore it, or delete the Secret for a new key and a new store"
    )]
    NoMember(String),
    /// What it holds is no key.
    #[error("{LOG_KEY} of the Secret {0}")]
    NoKey(String, #[source] NoteError),
    /// A log is there, and its key is not.
    #[error(
        "the store has a log, and the Secret {0} with the key that signs it is gone; restore the Secret, or name another \
         store for a log with a new key"
    )]
    Gone(String),
}

/// A Secret by its namespace and name.
pub struct KeySecret<'a> {
    /// Where it is.
    pub cluster: &'a Cluster,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecretToMake<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    string_data: BTreeMap<&'static str, &'a str>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    labels: BTreeMap<&'static str, &'static str>,
}

impl KeySecret<'_> {
    /// The key that signs the log. When there is no Secret, one is made, unless the store has a log already.
    ///
    /// # Errors
    /// When it cannot be read or made, or would be another one than that of the log.
    pub async fn log_key(&self, has_log: bool) -> Result<SigningKey, KeysError> {
        let shown = self.shown();
        if let Some(key) = self.read().await? {
            return SigningKey::parse(&key).map_err(|error| KeysError::NoKey(shown, error));
        }
        if has_log {
            return Err(KeysError::Gone(shown));
        }
        self.make().await?;
        // Another may have come first.
        let key = self.read().await?;
        let key = key.ok_or_else(|| KeysError::NoMember(shown.clone()))?;
        SigningKey::parse(&key).map_err(|error| KeysError::NoKey(shown, error))
    }

    async fn read(&self) -> Result<Option<Zeroizing<String>>, KeysError> {
        let path = format!("{}/{}", self.collection(), self.name);
        let read = timeout(DEADLINE, self.cluster.get(&path)).await;
        let read = read.unwrap_or(Err(Unread::Timeout));
        let Some(json) = read.map_err(|cause| self.error("get", cause))? else {
            return Ok(None);
        };
        let data = match object::secret(&json, &[LOG_KEY]) {
            SecretRead::Found(data) => data,
            SecretRead::Missing => return Err(KeysError::NoMember(self.shown())),
            SecretRead::Unread(cause) => return Err(self.error("get", cause)),
        };
        let key = data.get(LOG_KEY).map(|key| key.expose().to_vec());
        let key = key.and_then(|key| String::from_utf8(key).ok());
        key.map(|key| Some(Zeroizing::new(key)))
            .ok_or_else(|| KeysError::NoMember(self.shown()))
    }

    async fn make(&self) -> Result<bool, KeysError> {
        let generate =
            || SigningKey::generate().map_err(|error| KeysError::NoKey(self.shown(), error));
        // A key of the same kind and nothing else than random bytes.
        let (log_key, fingerprint_key) = (generate()?, generate()?);
        let labels = [
            ("app.kubernetes.io/name", "keyguard-audit"),
            ("app.kubernetes.io/managed-by", "keyguard"),
        ];
        let secret = SecretToMake {
            api_version: "v1",
            kind: "Secret",
            metadata: Metadata {
                name: self.name,
                labels: labels.into(),
            },
            string_data: [
                (LOG_KEY, log_key.as_str()),
                (FINGERPRINT_KEY, fingerprint_key.as_str()),
            ]
            .into(),
        };
        // Room for all of it: growing would leave copies behind that nothing zeroes.
        let mut json = Zeroizing::new(Vec::with_capacity(4096));
        // Memory takes everything.
        let _ = serde_json::to_writer(&mut *json, &secret);
        let collection = self.collection();
        let made = timeout(DEADLINE, self.cluster.create(&collection, json)).await;
        let made = made.unwrap_or(Err(Unread::Timeout));
        made.map_err(|cause| self.error("create", cause))
    }

    fn collection(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", self.namespace)
    }

    fn shown(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    fn error(&self, verb: &'static str, cause: Unread) -> KeysError {
        let secret = self.shown();
        KeysError::Call {
            verb,
            secret,
            cause,
        }
    }
}

/// The bytes of a key of fingerprints in a file, once it is there.
pub fn fingerprint_key(file: &Path) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = std::fs::read(file).map(Zeroizing::new).ok()?;
    (!bytes.trim_ascii().is_empty()).then_some(bytes)
}
