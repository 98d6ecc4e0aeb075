//! The API server: direct reads, bounded in size, and single writes.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http_body_util::BodyExt;
use hyper::header::{ACCEPT, HeaderValue};
use hyper::http::request::Builder;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ConfigExt};
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use thiserror::Error;
use tower::{BoxError, ServiceBuilder};
use tracing::Instrument as _;
use zeroize::Zeroizing;

use keyguard_core::policy::facts::Unread;

use crate::sources::clock_skew::ClockSkew;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::spans;

/// How long a connection to the API server may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection to the API server is kept for the next read.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of an answer is read at once: a connection keeps the buffer for as long as it is kept.
const BUFFER_BYTES: usize = 64 << 10;

/// A Kubernetes API server, asked with the rights of keyguard's own account.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    clock_skew: ClockSkew,
    max_object_bytes: usize,
}

/// Why there is no client for the API server.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// Not in a pod, and no other source was named.
    #[error(
        "there is no in-cluster service account; run in a pod, or name --kubeconfig FILE or --state DIR"
    )]
    InCluster(#[source] InClusterError),
    /// The kubeconfig cannot be used.
    #[error("--kubeconfig {path} cannot be used")]
    Kubeconfig {
        /// The file.
        path: String,
        /// Why.
        source: KubeconfigError,
    },
    /// The configuration makes no client.
    #[error("the connection to the API server cannot be set up")]
    Client(#[from] kube::Error),
}

impl Cluster {
    /// A client with the current context of a kubeconfig, or with the account of the pod that keyguard runs in.
    ///
    /// # Errors
    /// When the file cannot be read or has no usable context, or keyguard runs in no pod.
    pub async fn open(
        kubeconfig: Option<&Path>,
        max_object_bytes: usize,
        metrics: Arc<Metrics>,
    ) -> Result<Cluster, ClusterError> {
        let mut config = match kubeconfig {
            None => Config::incluster().map_err(ClusterError::InCluster)?,
            Some(path) => {
                let read = of_file(path).await;
                read.map_err(|source| ClusterError::Kubeconfig {
                    path: path.display().to_string(),
                    source,
                })?
            }
        };
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // The deadline of the review bounds every read, retries included.
        config.default_retry = false;
        Ok(Cluster {
            client: client(config)?,
            clock_skew: ClockSkew::new(metrics),
            max_object_bytes,
        })
    }

    /// The same API server, of which objects of up to this size are read.
    pub(crate) fn reading_up_to(&self, max_object_bytes: usize) -> Cluster {
        Cluster {
            max_object_bytes,
            ..self.clone()
        }
    }

    /// Creates an object in the collection at `path`; whether there was none.
    pub(crate) async fn create(
        &self,
        path: &str,
        json: Zeroizing<Vec<u8>>,
    ) -> Result<bool, Unread> {
        self.write(Request::post(path), "application/json", json)
            .await
    }

    /// Applies a strategic merge patch to the object at `path`; whether it is there, at the version that the patch names.
    pub(crate) async fn patch(&self, path: &str, json: Zeroizing<Vec<u8>>) -> Result<bool, Unread> {
        let media_type = "application/strategic-merge-patch+json";
        match self.write(Request::patch(path), media_type, json).await {
            Err(Unread::Status(404)) => Ok(false),
            written => written,
        }
    }

    /// Makes the object at `path` what `json` says, by a server-side apply that takes over what others wrote.
    pub(crate) async fn apply(
        &self,
        path: &str,
        manager: &str,
        json: Vec<u8>,
    ) -> Result<bool, Unread> {
        let path = format!("{path}?fieldManager={manager}&force=true");
        let media_type = "application/apply-patch+yaml";
        self.write(Request::patch(path), media_type, Zeroizing::new(json))
            .await
    }

    /// Deletes the object at `path`; whether there was one.
    pub(crate) async fn delete(&self, path: &str) -> Result<bool, Unread> {
        let json = Zeroizing::new(b"{}".to_vec());
        match self
            .write(Request::delete(path), "application/json", json)
            .await
        {
            Err(Unread::Status(404)) => Ok(false),
            written => written,
        }
    }

    /// One GET of a list, of whose objects the metadata alone is sent.
    pub(crate) async fn get_metadata(
        &self,
        path: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Unread> {
        let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        let request = Request::get(path).header("accept", accept);
        self.answer(self.send(request, Body::empty()).await?).await
    }

    async fn write(
        &self,
        request: Builder,
        media_type: &str,
        json: Zeroizing<Vec<u8>>,
    ) -> Result<bool, Unread> {
        let response = self.send_json(request, media_type, json).await?;
        let status = response.status();
        // Read to its end, so that the connection can be used again; what it says may hold a key.
        let _ = self.bounded(response.into_body()).await;
        match status {
            StatusCode::OK | StatusCode::CREATED => Ok(true),
            StatusCode::CONFLICT => Ok(false),
            status => Err(refused(status)),
        }
    }

    /// Sends a body. The HTTP client's own copy of `json` is not zeroed.
    pub(crate) async fn send_json(
        &self,
        request: Builder,
        media_type: &str,
        mut json: Zeroizing<Vec<u8>>,
    ) -> Result<Response<Body>, Unread> {
        let request = request.header("content-type", media_type);
        let body = Body::from(std::mem::take(&mut *json));
        self.send(request, body).await
    }

    async fn send(&self, request: Builder, body: Body) -> Result<Response<Body>, Unread> {
        let request = request.body(body);
        let mut request = request.map_err(|_| Unread::Garbled)?;
        let headers = request.headers_mut();
        headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static("application/json"));
        let span = spans::call(request.method(), request.uri().path());
        let response = self.client.send(request).instrument(span.clone()).await;
        let response = response.map_err(|_| Unread::Unreachable)?;
        span.record("http.response.status_code", response.status().as_u16());
        Ok(response)
    }

    /// One GET. A connection that broke before an answer came is tried once more: a kept-alive
    /// connection may have died unnoticed, and that is no reason to refuse anybody anything.
    pub(crate) async fn get(&self, path: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Unread> {
        match self.get_once(path).await {
            Err(Unread::Unreachable) => self.get_once(path).await,
            answer => answer,
        }
    }

    async fn get_once(&self, path: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Unread> {
        let response = self.send(Request::get(path), Body::empty()).await?;
        self.answer(response).await
    }

    async fn answer(&self, response: Response<Body>) -> Result<Option<Zeroizing<Vec<u8>>>, Unread> {
        self.clock_skew.note(response.headers(), SystemTime::now());
        match response.status() {
            StatusCode::OK => self.bounded(response.into_body()).await.map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(refused(status)),
        }
    }

    pub(crate) async fn bounded(&self, mut body: Body) -> Result<Zeroizing<Vec<u8>>, Unread> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Unread::Unreachable)?.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > self.max_object_bytes {
                return Err(Unread::TooLarge);
            }
            extend(&mut bytes, &data, self.max_object_bytes);
        }
        Ok(bytes)
    }
}

fn refused(status: StatusCode) -> Unread {
    match status {
        StatusCode::FORBIDDEN => Unread::Forbidden,
        status => Unread::Status(status.as_u16()),
    }
}

async fn of_file(kubeconfig: &Path) -> Result<Config, KubeconfigError> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await
}

/// As the Kubernetes client makes its own, on connections that send at once: after a TLS handshake a request is the
/// second small thing to be sent, and would wait some 40 ms for the API server to acknowledge the first.
fn client(config: Config) -> Result<Client, kube::Error> {
    if config.proxy_url.is_some() {
        return Client::try_from(config);
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(config.connect_timeout);
    let tls = config.rustls_https_connector_with_connector(tcp)?;
    let mut http = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
    http.pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .http1_max_buf_size(BUFFER_BYTES);
    let http = http.build(tls);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace))
}

/// Grows by hand, so that the smaller buffer is zeroed instead of freed as it is, and to no more than `most` bytes,
/// within which the result must be.
fn extend(bytes: &mut Zeroizing<Vec<u8>>, data: &[u8], most: usize) {
    let length = bytes.len() + data.len();
    if bytes.capacity() < length {
        let capacity = (length * 2).min(most).max(length);
        let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    bytes.extend_from_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_in_many_frames_is_whole() {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1));
        for _ in 0..1000 {
            extend(&mut bytes, b"abc", 3000);
        }
        assert_eq!((bytes.len(), bytes.capacity()), (3000, 3000));
        assert!(bytes.chunks(3).all(|chunk| chunk == b"abc"));
    }
}
