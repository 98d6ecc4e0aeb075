//! The API server: direct GETs, bounded in size. The only file that names the Kubernetes client.

use std::path::Path;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::{Request, StatusCode};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::policy::facts::Unread;

use super::object;
use super::source::{ConfigMapRead, SecretRead, Source};

/// How long a connection to the API server may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A Kubernetes API server, read with the rights of keyguard's own account.
pub struct Cluster {
    client: Client,
    max_object_bytes: usize,
}

/// Why there is no client for the API server.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// Not in a pod, and no other source was named.
    #[error(
        "there is no in-cluster service account; run in a pod, or name --kubeconfig FILE or --state DIR"
    )]
    InCluster(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The kubeconfig cannot be used.
    #[error("--kubeconfig {path} cannot be used")]
    Kubeconfig {
        /// The file.
        path: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The configuration makes no client.
    #[error("the connection to the API server cannot be set up")]
    Client(#[from] kube::Error),
}

impl Cluster {
    /// A client with the account of the pod that keyguard runs in.
    ///
    /// # Errors
    /// When keyguard runs in no pod.
    pub fn in_cluster(max_object_bytes: usize) -> Result<Cluster, ClusterError> {
        let config =
            Config::incluster().map_err(|error| ClusterError::InCluster(Box::new(error)))?;
        Cluster::new(config, max_object_bytes)
    }

    /// A client with the current context of a kubeconfig.
    ///
    /// # Errors
    /// When the file cannot be read or has no usable context.
    pub async fn from_kubeconfig(
        path: &Path,
        max_object_bytes: usize,
    ) -> Result<Cluster, ClusterError> {
        let fail = |source| ClusterError::Kubeconfig {
            path: path.display().to_string(),
            source,
        };
        let kubeconfig = Kubeconfig::read_from(path).map_err(|error| fail(Box::new(error)))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .map_err(|error| fail(Box::new(error)))?;
        Cluster::new(config, max_object_bytes)
    }

    fn new(mut config: Config, max_object_bytes: usize) -> Result<Cluster, ClusterError> {
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // The deadline of the review bounds every read, retries included.
        config.default_retry = false;
        Ok(Cluster {
            client: Client::try_from(config)?,
            max_object_bytes,
        })
    }

    /// One GET. A connection that broke before an answer came is tried once more: a kept-alive
    /// connection may have died unnoticed, and that is no reason to refuse anybody anything.
    async fn get(&self, path: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Unread> {
        match self.get_once(path).await {
            Err(Unread::Unreachable) => self.get_once(path).await,
            answer => answer,
        }
    }

    async fn get_once(&self, path: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Unread> {
        let request = Request::get(path)
            .header("accept", "application/json")
            .body(Body::empty())
            .map_err(|_| Unread::Garbled)?;
        let response = self
            .client
            .send(request)
            .await
            .map_err(|_| Unread::Unreachable)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            StatusCode::FORBIDDEN => return Err(Unread::Forbidden),
            status => return Err(Unread::Status(status.as_u16())),
        }
        self.bounded(response.into_body()).await.map(Some)
    }

    async fn bounded(&self, mut body: Body) -> Result<Zeroizing<Vec<u8>>, Unread> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Unread::Unreachable)?.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > self.max_object_bytes {
                return Err(Unread::TooLarge);
            }
            extend(&mut bytes, &data);
        }
        Ok(bytes)
    }
}

/// Grows by hand, so that the smaller buffer is zeroed instead of freed as it is.
fn extend(bytes: &mut Zeroizing<Vec<u8>>, data: &[u8]) {
    if bytes.capacity() - bytes.len() < data.len() {
        let mut larger = Zeroizing::new(Vec::with_capacity((bytes.len() + data.len()) * 2));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    bytes.extend_from_slice(data);
}

impl Source for Cluster {
    async fn secret(&self, namespace: &str, name: &str, keys: &[&str]) -> SecretRead {
        match self.get(&path(namespace, "secrets", name)).await {
            Ok(None) => SecretRead::Missing,
            Ok(Some(json)) => object::secret(&json, keys),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_in_many_frames_is_whole() {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1));
        for _ in 0..1000 {
            extend(&mut bytes, b"abc");
        }
        assert_eq!(bytes.len(), 3000);
        assert!(bytes.chunks(3).all(|chunk| chunk == b"abc"));
    }
}
