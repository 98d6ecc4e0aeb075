//! The API server as a source of facts.

use keyguard_core::argocd::settings::SECRET_NAME;

use crate::sources::cluster::Cluster;
use crate::sources::object;
use crate::sources::source::{
    Bound, ConfigMapRead, Read, Readiness, SecretRead, Source, WorkloadsRead,
};
use crate::sources::workload_list;

impl Source for Cluster {
    async fn secret(&self, namespace: &str, name: &str, keys: &[&str]) -> SecretRead {
        let json = self.get(&path(namespace, "secrets", name)).await;
        Read::of(json, |json| object::secret(&json, keys))
    }

    async fn argocd_secret(&self, namespace: &str, wanted: fn(&str) -> bool) -> SecretRead {
        let json = self.get(&path(namespace, "secrets", SECRET_NAME)).await;
        Read::of(json, |json| object::argocd_secret(&json, wanted))
    }

    async fn config_map(&self, namespace: &str, name: &str) -> ConfigMapRead {
        let json = self.get(&path(namespace, "configmaps", name)).await;
        Read::of(json, |json| object::config_map(&json))
    }

    async fn workloads(&self, namespace: Option<&str>, bound: Bound) -> WorkloadsRead {
        workload_list::read(self, namespace, bound).await
    }

    async fn namespace_ends(&self, namespace: &str) -> bool {
        let json = self.get(&format!("/api/v1/namespaces/{namespace}")).await;
        // Not knowing is no reason to let anything go.
        matches!(json, Ok(Some(json)) if object::is_being_deleted(&json))
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
