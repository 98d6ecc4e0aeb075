//! The source that was chosen at the start.

use super::cluster::Cluster;
use super::manifests::Manifests;
use super::source::{ConfigMapRead, SecretRead, Source};

/// The sources that keyguard has.
pub enum AnySource {
    /// A Kubernetes API server.
    Cluster(Cluster),
    /// A folder of manifests.
    Manifests(Manifests),
}

impl AnySource {
    /// The API server, if that is the source.
    pub fn cluster(&self) -> Option<&Cluster> {
        match self {
            AnySource::Cluster(cluster) => Some(cluster),
            AnySource::Manifests(_) => None,
        }
    }
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
