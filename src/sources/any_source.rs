//! The source that was chosen at the start.

use crate::sources::cluster::Cluster;
use crate::sources::manifests::Manifests;
use crate::sources::source::{Bound, ConfigMapRead, Readiness, SecretRead, Source, WorkloadsRead};

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

    /// The same source, of which no object of more than `max_object_bytes` is read. A folder has no such limit.
    pub fn reading_up_to(&self, max_object_bytes: usize) -> AnySource {
        match self {
            AnySource::Cluster(cluster) => {
                AnySource::Cluster(cluster.reading_up_to(max_object_bytes))
            }
            AnySource::Manifests(manifests) => AnySource::Manifests(manifests.clone()),
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

    async fn argocd_secret(&self, namespace: &str, wanted: fn(&str) -> bool) -> SecretRead {
        match self {
            AnySource::Cluster(cluster) => cluster.argocd_secret(namespace, wanted).await,
            AnySource::Manifests(manifests) => manifests.argocd_secret(namespace, wanted).await,
        }
    }

    async fn config_map(&self, namespace: &str, name: &str) -> ConfigMapRead {
        match self {
            AnySource::Cluster(cluster) => cluster.config_map(namespace, name).await,
            AnySource::Manifests(manifests) => manifests.config_map(namespace, name).await,
        }
    }

    async fn workloads(&self, namespace: Option<&str>, bound: Bound) -> WorkloadsRead {
        match self {
            AnySource::Cluster(cluster) => cluster.workloads(namespace, bound).await,
            AnySource::Manifests(manifests) => manifests.workloads(namespace, bound).await,
        }
    }

    async fn namespace_ends(&self, namespace: &str) -> bool {
        match self {
            AnySource::Cluster(cluster) => cluster.namespace_ends(namespace).await,
            AnySource::Manifests(manifests) => manifests.namespace_ends(namespace).await,
        }
    }
}

impl Readiness for AnySource {
    async fn answers(&self) -> Result<(), String> {
        match self {
            AnySource::Cluster(cluster) => cluster.answers().await,
            AnySource::Manifests(manifests) => manifests.answers().await,
        }
    }
}
