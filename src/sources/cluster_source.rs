//! The API server as a source of facts.

use keyguard_core::argocd::settings::SECRET_NAME;

use crate::sources::cluster::Cluster;
use crate::sources::object;
use crate::sources::source::{Bound, ConfigMapRead, Readiness, SecretRead, Source, WorkloadsRead};
use crate::sources::workload_list;

impl Source for Cluster {
    async fn secret(&self, namespace: &str, name: &str, keys: &[&str]) -> SecretRead {
        match self.get(&path(namespace, "secrets", name)).await {
            Ok(None) => SecretRead::Missing,
            Ok(Some(json)) => object::secret(&json, keys),
            Err(unread) => SecretRead::Unread(unread),
        }
    }

    async fn argocd_secret(&self, namespace: &str, wanted: fn(&str) -> bool) -> SecretRead {
        match self.get(&path(namespace, "secrets", SECRET_NAME)).await {
            Ok(None) => SecretRead::Missing,
            Ok(Some(json)) => object::argocd_secret(&json, wanted),
            Err(unread) => SecretRead::Unread(unread),
        }
    }

    async fn config_map(&self, namespace: &str, name: &str) -> ConfigMapRead {
        match self.get(&path(namespace, "configmaps", name)).await {
            Ok(None) => ConfigMapRead::Missing,
            Ok(Some(json)) => object::config_map(&json),
            Err(unread) => ConfigMapRead::Unread(unread),
        }
    }

    async fn workloads(&self, namespace: Option<&str>, bound: Bound) -> WorkloadsRead {
        workload_list::read(self, namespace, bound).await
    }

    async fn namespace_ends(&self, namespace: &str) -> bool {
        match self.get(&format!("/api/v1/namespaces/{namespace}")).await {
            Ok(Some(json)) => object::is_being_deleted(&json),
            // Not knowing is no reason to let anything go.
            Ok(None) | Err(_) => false,
        }
    }
}

impl Readiness for Cluster {
    async fn answers(&self) -> Result<(), String> {
        match self.get("/version").await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("the API server has no /version".to_owned()),
            Err(unread) => Err(unread.what()),
        }
    }
}

/// The path of one object. The caller has checked that both are object names.
fn path(namespace: &str, resource: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/{resource}/{name}")
}
