//! Where keyguard keeps its certificates: a Secret of its own, and the `caBundle` of its webhook configuration.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::certificates::authority::{Issued, Signer};
use crate::certificates::kept::Authority;
use crate::certificates::registration::Registration;
use crate::certificates::secret::{Contents, KeptSecret};
use crate::sources::cluster::{Cluster, Written};
use crate::telemetry::labels::{Kind, WriteOutcome};
use crate::telemetry::metrics::Metrics;
use keyguard_core::policy::facts::Unread;
use keyguard_core::policy::plan::is_object_name;

/// How long the API server may take to answer one call.
const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// The most bytes of the Secret or the webhook configuration, metadata included.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Names a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretName {
    namespace: String,
    name: String,
}

/// A webhook configuration that is read, and no more.
pub struct RegistrationReader {
    cluster: Cluster,
    name: String,
}

/// The Secret and the webhook configuration, read and written with the rights of keyguard's own account.
pub struct CertificateStore {
    cluster: Cluster,
    secret: SecretName,
    registration: RegistrationReader,
    metrics: Arc<Metrics>,
}

/// What keyguard wanted to do and could not.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct StoreError {
    verb: &'static str,
    resource: &'static str,
    object: String,
    cause: Unread,
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StoreError {
            verb,
            resource,
            object,
            cause,
        } = self;
        match cause {
            Unread::Forbidden => write!(
                formatter,
                "keyguard may not {verb} {resource} {object}; give its account the right to {verb} {resource}"
            ),
            Unread::Status(404) => write!(
                formatter,
                "cannot {verb} {resource} {object}: the namespace does not exist"
            ),
            Unread::TooLarge => write!(
                formatter,
                "cannot {verb} {resource} {object}: it has more than {MOST_BYTES} bytes"
            ),
            cause => write!(
                formatter,
                "cannot {verb} {resource} {object}: {}",
                cause.what()
            ),
        }
    }
}

impl SecretName {
    /// Reads `NAMESPACE/NAME`.
    pub fn parse(text: &str) -> Option<SecretName> {
        let (namespace, name) = text.split_once('/')?;
        let valid = is_object_name(namespace) && !namespace.contains('.') && is_object_name(name);
        valid.then(|| SecretName {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    fn collection(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", self.namespace)
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection(), self.name)
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:?} in namespace {:?}",
            self.name, self.namespace
        )
    }
}

impl RegistrationReader {
    /// The configuration of this name, which must be an object name.
    pub fn new(cluster: &Cluster, name: &str) -> RegistrationReader {
        RegistrationReader {
            cluster: cluster.reading_up_to(MOST_BYTES),
            name: name.to_owned(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads it; nothing when it does not exist.
    ///
    /// # Errors
    /// When the API server does not let it be read.
    pub async fn read(&self) -> Result<Option<Registration>, StoreError> {
        let fail = |cause| self.error("get", cause);
        let read = within(self.cluster.get(&self.path())).await.map_err(fail)?;
        let parse = |json: Zeroizing<Vec<u8>>| Registration::parse(&json);
        match read {
            None => Ok(None),
            Some(json) => parse(json).map(Some).ok_or(fail(Unread::Garbled)),
        }
    }

    fn path(&self) -> String {
        let collection = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
        format!("{collection}/{}", self.name)
    }

    fn error(&self, verb: &'static str, cause: Unread) -> StoreError {
        StoreError {
            verb,
            resource: "validatingwebhookconfigurations",
            object: format!("{:?}", self.name),
            cause,
        }
    }
}

impl CertificateStore {
    /// The Secret, and the webhook configuration whose `caBundle` goes with it.
    pub fn new(
        cluster: &Cluster,
        secret: SecretName,
        registration: RegistrationReader,
        metrics: Arc<Metrics>,
    ) -> CertificateStore {
        CertificateStore {
            cluster: cluster.reading_up_to(MOST_BYTES),
            secret,
            registration,
            metrics,
        }
    }

    /// The webhook configuration.
    pub fn registration(&self) -> &RegistrationReader {
        &self.registration
    }

    /// Reads the Secret; nothing when it does not exist.
    ///
    /// # Errors
    /// When the API server does not let it be read.
    pub async fn secret(&self) -> Result<Option<KeptSecret>, StoreError> {
        let fail = |cause| self.error("get", cause);
        let read = within(self.cluster.get(&self.secret.path())).await;
        match read.map_err(fail)? {
            None => Ok(None),
            Some(json) => {
                let secret = KeptSecret::parse(&json);
                secret.map(Some).ok_or_else(|| fail(Unread::Garbled))
            }
        }
    }

    /// Writes the Secret in place of the one that was read, or where there was none; whether this write came first.
    ///
    /// # Errors
    /// When the API server does not let it be written.
    pub async fn put(
        &self,
        read: Option<&KeptSecret>,
        signer: &Signer,
        issued: &Issued,
        next: Option<&Signer>,
    ) -> Result<bool, StoreError> {
        let contents = Contents {
            signer,
            issued,
            next,
        };
        let (verb, written) = match read {
            None => {
                let json = contents.new_secret(&self.secret.name);
                let collection = self.secret.collection();
                let created = self.cluster.create(&collection, json);
                ("create", within(created).await)
            }
            Some(secret) => {
                let path = self.secret.path();
                let patched = self.cluster.patch(&path, contents.patch(&secret.version));
                ("patch", within(patched).await)
            }
        };
        self.count(Kind::Secret, &written);
        let written = written.map_err(|cause| self.error(verb, cause))?;
        Ok(written == Written::Done)
    }

    /// Puts `bundle` into each webhook of the configuration that was read; whether this write came first.
    ///
    /// # Errors
    /// When the API server does not let it be written.
    pub async fn publish(
        &self,
        read: &Registration,
        bundle: &[Authority],
    ) -> Result<bool, StoreError> {
        let path = self.registration.path();
        let patch = Zeroizing::new(read.patch(bundle));
        let written = within(self.cluster.patch(&path, patch)).await;
        self.count(Kind::WebhookConfiguration, &written);
        let written = written.map_err(|cause| self.registration.error("patch", cause))?;
        Ok(written == Written::Done)
    }

    fn count(&self, kind: Kind, written: &Result<Written, Unread>) {
        let outcome = match written {
            Ok(Written::Done) => WriteOutcome::Written,
            Ok(Written::Lost) => WriteOutcome::Lost,
            Err(Unread::Forbidden) => WriteOutcome::Forbidden,
            Err(_) => WriteOutcome::Error,
        };
        self.metrics.certificate_written(kind, outcome);
    }

    fn error(&self, verb: &'static str, cause: Unread) -> StoreError {
        StoreError {
            verb,
            resource: "secrets",
            object: self.secret.to_string(),
            cause,
        }
    }
}

async fn within<T>(call: impl Future<Output = Result<T, Unread>>) -> Result<T, Unread> {
    timeout(CALL_DEADLINE, call)
        .await
        .unwrap_or(Err(Unread::Timeout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_by_its_namespace_and_its_name() {
        let name = SecretName::parse("keyguard/keyguard-certificates").unwrap();
        let path = "/api/v1/namespaces/keyguard/secrets/keyguard-certificates";
        assert_eq!(name.path(), path);
        for bad in ["", "a", "a/", "/a", "a/b/c", "A/b", "a.b/c", "a/b c"] {
            assert_eq!(SecretName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_could_not_be_done_is_told_with_its_verb_and_resource() {
        let error = |verb, cause| {
            let error = StoreError {
                verb,
                resource: "secrets",
                object: SecretName::parse("keyguard/own").unwrap().to_string(),
                cause,
            };
            error.to_string()
        };
        assert_eq!(
            error("create", Unread::Forbidden),
            r#"keyguard may not create secrets "own" in namespace "keyguard"; give its account the right to create secrets"#
        );
        assert_eq!(
            error("patch", Unread::Unreachable),
            r#"cannot patch secrets "own" in namespace "keyguard": the API server could not be reached"#
        );
    }
}
