//! Where keyguard keeps its certificates: a Secret of its own, and its webhook configuration.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kube::Resource;
use thiserror::Error;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::sources::cluster::Cluster;
use crate::telemetry::labels::{Kind, WriteOutcome};
use crate::telemetry::metrics::Metrics;
use keyguard_core::policy::facts::Unread;

/// How long the API server may take to answer one call.
const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// The most bytes of the Secret or the webhook configuration, metadata included.
const MAX_BYTES: usize = 4 * 1024 * 1024;

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
    /// The object of this name and kind, which metrics call `kind`.
    pub fn new<K: Resource<DynamicType = ()>>(
        cluster: &Cluster,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
        metrics: &Arc<Metrics>,
    ) -> Stored {
        Stored {
            cluster: cluster.reading_up_to(MAX_BYTES),
            kind,
            resource: K::plural(&()).into_owned(),
            collection: K::url_path(&(), namespace),
            name: name.to_owned(),
            shown: match namespace {
                Some(namespace) => format!("{name:?} in namespace {namespace:?}"),
                None => format!("{name:?}"),
            },
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
        let read = self.call("get", self.cluster.get(&self.path())).await?;
        let parse = |json: Zeroizing<Vec<u8>>| parse(&json).ok_or(Unread::Garbled);
        let parsed = read.map(parse).transpose();
        parsed.map_err(|cause| self.error("get", cause))
    }

    /// Creates it; whether this write came first.
    ///
    /// # Errors
    /// When the API server does not let it be written.
    pub(super) async fn create(&self, json: Zeroizing<Vec<u8>>) -> Result<bool, StoreError> {
        let created = self.cluster.create(&self.collection, json);
        self.write("create", created).await
    }

    /// Applies a strategic merge patch; whether this write came first since the version that the patch names.
    ///
    /// # Errors
    /// When the API server does not let it be written.
    pub(super) async fn patch(&self, json: Zeroizing<Vec<u8>>) -> Result<bool, StoreError> {
        let path = self.path();
        let patched = self.cluster.patch(&path, json);
        self.write("patch", patched).await
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection, self.name)
    }

    async fn write(
        &self,
        verb: &str,
        call: impl Future<Output = Result<bool, Unread>>,
    ) -> Result<bool, StoreError> {
        let written = self.call(verb, call).await;
        let outcome = match &written {
            Ok(true) => WriteOutcome::Written,
            Ok(false) => WriteOutcome::Lost,
            Err(error) if error.cause == Unread::Forbidden => WriteOutcome::Forbidden,
            Err(_) => WriteOutcome::Error,
        };
        self.metrics.certificate_written(self.kind, outcome);
        written
    }

    async fn call<T>(
        &self,
        verb: &str,
        call: impl Future<Output = Result<T, Unread>>,
    ) -> Result<T, StoreError> {
        let answer = timeout(CALL_DEADLINE, call).await;
        let answer = answer.unwrap_or(Err(Unread::Timeout));
        answer.map_err(|cause| self.error(verb, cause))
    }

    fn error(&self, verb: &str, cause: Unread) -> StoreError {
        StoreError {
            right: format!("{verb} {}", self.resource),
            object: self.shown.clone(),
            cause,
        }
    }
}

/// What keyguard wanted to do and could not.
#[derive(Debug, Error)]
#[error("{}", told(.right, .object, .cause))]
pub struct StoreError {
    /// A verb and a resource.
    right: String,
    /// The object's name.
    object: String,
    cause: Unread,
}

fn told(right: &str, object: &str, cause: &Unread) -> String {
    let why = match cause {
        Unread::Forbidden => {
            return format!(
                "keyguard may not {right} {object}; give its account the right to {right}"
            );
        }
        Unread::Status(404) => "the namespace does not exist".to_owned(),
        Unread::TooLarge => format!("it has more than {MAX_BYTES} bytes"),
        cause => cause.what(),
    };
    format!("cannot {right} {object}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_done_is_told_with_its_verb_and_resource() {
        let error = |right: &str, cause| {
            let object = "\"own\" in namespace \"keyguard\"";
            told(right, object, &cause)
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
