//! Where facts come from: one trait, and what a read can come to.

use std::collections::BTreeMap;
use std::future::Future;

use crate::policy::facts::Unread;
use crate::runtime::secret_bytes::SecretBytes;

use super::cluster::Cluster;
use super::manifests::Manifests;

/// What reading a Secret came to.
#[derive(Debug)]
pub enum SecretRead {
    /// It does not exist.
    Missing,
    /// It could not be read.
    Unread(Unread),
    /// It exists; the wanted keys that it has.
    Found(BTreeMap<String, SecretBytes>),
}

/// What reading a ConfigMap came to.
#[derive(Debug)]
pub enum ConfigMapRead {
    /// It does not exist.
    Missing,
    /// It could not be read.
    Unread(Unread),
    /// It exists, with this data.
    Found(BTreeMap<String, String>),
}

/// Something that the cluster's objects can be read from, afresh each time.
pub trait Source: Send + Sync + 'static {
    /// Reads `keys` of one Secret. Not knowing is an answer, so it never fails.
    fn secret(
        &self,
        namespace: &str,
        name: &str,
        keys: &[&str],
    ) -> impl Future<Output = SecretRead> + Send;

    /// Reads one ConfigMap.
    fn config_map(&self, namespace: &str, name: &str)
    -> impl Future<Output = ConfigMapRead> + Send;

    /// Whether the cluster answers.
    ///
    /// # Errors
    /// When it does not: why, in one line.
    fn answers(&self) -> impl Future<Output = Result<(), String>> + Send;
}

/// The sources that keyguard has.
pub enum AnySource {
    /// A Kubernetes API server.
    Cluster(Cluster),
    /// A folder of manifests.
    Manifests(Manifests),
}

impl Source for AnySource {
    async fn secret(&self, namespace: &str, name: &str, keys: &[&str]) -> SecretRead {
        match self {
            AnySource::Cluster(cluster) => cluster.secret(namespace, name, keys).await,
            AnySource::Manifests(manifests) => manifests.secret(namespace, name, keys).await,
        }
    }

    async fn config_map(&self, namespace: &str, name: &str) -> ConfigMapRead {
        match self {
            AnySource::Cluster(cluster) => cluster.config_map(namespace, name).await,
            AnySource::Manifests(manifests) => manifests.config_map(namespace, name).await,
        }
    }

    async fn answers(&self) -> Result<(), String> {
        match self {
            AnySource::Cluster(cluster) => cluster.answers().await,
            AnySource::Manifests(manifests) => manifests.answers().await,
        }
    }
}
