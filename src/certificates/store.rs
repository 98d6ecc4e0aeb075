//! Where keyguard keeps its certificates: a Secret of its own, and its webhook configuration.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::Resource;
use thiserror::Error;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::sources::cluster::Cluster;
use crate::telemetry::labels::{Kind, WriteOutcome};
use crate::telemetry::metrics::Metrics;
use keyguard_core::policy::facts::Unread;
use keyguard_core::policy::plan::is_object_name;

/// How long the API server may take to answer one call.
const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// The most bytes of the Secret or the webhook configuration, metadata included.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Names a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretName {
    namespace: String,
    name: String,
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
}

/// One object of the API server, read and written with the rights of keyguard's own account.
///
/// `kube::Api` would do the same, but logs the whole of an answer that it cannot read, and zeroes nothing.
pub struct Stored {
    cluster: Cluster,
    kind: Kind,
    /// The plural of its kind, as RBAC names it.
    resource: String,
    collection: String,
    name: String,
    /// Its name as errors give it.
    shown: String,
    metrics: Arc<Metrics>,
}

impl Stored {
    /// A Secret.
    pub fn secret(cluster: &Cluster, secret: &SecretName, metrics: &Arc<Metrics>) -> Stored {
        let SecretName { namespace, name } = secret;
        Stored {
            shown: format!("{name:?} in namespace {namespace:?}"),
            collection: Secret::url_path(&(), Some(namespace)),
            ..Stored::new::<Secret>(cluster, Kind::Secret, name, metrics)
        }
    }

    /// The webhook configuration of this name, which must be an object name.
    pub fn registration(cluster: &Cluster, name: &str, metrics: &Arc<Metrics>) -> Stored {
        let kind = Kind::WebhookConfiguration;
        Stored::new::<ValidatingWebhookConfiguration>(cluster, kind, name, metrics)
    }

    fn new<K: Resource<DynamicType = ()>>(
        cluster: &Cluster,
        kind: Kind,
        name: &str,
        metrics: &Arc<Metrics>,
    ) -> Stored {
        Stored {
            cluster: cluster.reading_up_to(MAX_BYTES),
            kind,
            resource: K::plural(&()).into_owned(),
            collection: K::url_path(&(), None),
            name: name.to_owned(),
            shown: format!("{name:?}"),
            metrics: Arc::clone(metrics),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads it; nothing when it does not exist.
    ///
    /// # Errors
    /// When the API server does not let it be read, or `parse` gives nothing.
    pub(super) async fn read<T>(
        &self,
        parse: fn(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let path = self.path();
        let read = async {
            let json = self.cluster.get(&path).await?;
            let parse = |json: Zeroizing<Vec<u8>>| parse(&json).ok_or(Unread::Garbled);
            json.map(parse).transpose()
        };
        self.call("get", read).await
    }

    /// Creates it; whether this write came first.
    ///
    /// # Errors
    /// When the API server does not let it be written.
    pub(super) async fn create(&self, json: Zeroizing<Vec<u8>>) -> Result<bool, StoreError> {
        let created = self.cluster.create(&self.collection, json);
        self.counted(self.call("create", created).await)
    }

    /// Applies a strategic merge patch; whether this write came first since the version that the patch names.
    ///
    /// # Errors
    /// When the API server does not let it be written.
    pub(super) async fn patch(&self, json: Zeroizing<Vec<u8>>) -> Result<bool, StoreError> {
        let path = self.path();
        let patched = self.cluster.patch(&path, json);
        self.counted(self.call("patch", patched).await)
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection, self.name)
    }

    async fn call<T>(
        &self,
        verb: &'static str,
        call: impl Future<Output = Result<T, Unread>>,
    ) -> Result<T, StoreError> {
        let answer = timeout(CALL_DEADLINE, call).await;
        answer.unwrap_or(Err(Unread::Timeout)).map_err(|cause| {
            let right = format!("{verb} {}", self.resource);
            StoreError::new(right, self.shown.clone(), &cause)
        })
    }

    fn counted(&self, written: Result<bool, StoreError>) -> Result<bool, StoreError> {
        let outcome = match &written {
            Ok(true) => WriteOutcome::Written,
            Ok(false) => WriteOutcome::Lost,
            Err(StoreError::Forbidden { .. }) => WriteOutcome::Forbidden,
            Err(StoreError::Failed { .. }) => WriteOutcome::Error,
        };
        self.metrics.certificate_written(self.kind, outcome);
        written
    }
}

/// What keyguard wanted to do and could not.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Its account may not.
    #[error("keyguard may not {right} {object}; give its account the right to {right}")]
    Forbidden {
        /// A verb and a resource.
        right: String,
        /// The object's name.
        object: String,
    },
    /// Anything else.
    #[error("cannot {right} {object}: {why}")]
    Failed {
        /// A verb and a resource.
        right: String,
        /// The object's name.
        object: String,
        /// What went wrong.
        why: String,
    },
}

impl StoreError {
    fn new(right: String, object: String, cause: &Unread) -> StoreError {
        let why = match cause {
            Unread::Forbidden => return StoreError::Forbidden { right, object },
            Unread::Status(404) => "the namespace does not exist".to_owned(),
            Unread::TooLarge => format!("it has more than {MAX_BYTES} bytes"),
            cause => cause.what(),
        };
        StoreError::Failed { right, object, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_by_its_namespace_and_its_name() {
        let name = SecretName::parse("keyguard/own").unwrap();
        assert_eq!((&*name.namespace, &*name.name), ("keyguard", "own"));
        for bad in ["", "a", "a/", "/a", "a/b/c", "A/b", "a.b/c", "a/b c"] {
            assert_eq!(SecretName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_could_not_be_done_is_told_with_its_verb_and_resource() {
        let error = |right: &str, cause| {
            let object = "\"own\" in namespace \"keyguard\"".to_owned();
            StoreError::new(right.to_owned(), object, &cause).to_string()
        };
        assert_eq!(
            error("create secrets", Unread::Forbidden),
            r#"keyguard may not create secrets "own" in namespace "keyguard"; give its account the right to create secrets"#
        );
        assert_eq!(
            error("patch secrets", Unread::Unreachable),
            r#"cannot patch secrets "own" in namespace "keyguard": the API server could not be reached"#
        );
    }
}
