//! Asks as kube-apiserver does: TLS, HTTP/1.1, kept alive, with the CA of the webhook configuration.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Why no answer came.
#[derive(Debug, Error)]
#[error("the demonstration's server gave no answer: {0}")]
pub struct ClientError(String);

fn because(error: impl std::fmt::Display) -> ClientError {
    ClientError(error.to_string())
}

/// A kept-alive connection.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
}

/// What the server said.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    /// Whether the change goes through.
    pub(crate) allowed: bool,
    /// The refusal, if it is one.
    #[serde(default)]
    pub(crate) status: Option<Status>,
    /// The warnings.
    #[serde(default)]
    pub(crate) warnings: Vec<String>,
}

/// The refusal.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    /// What kubectl prints.
    pub(crate) message: String,
}

#[derive(Deserialize)]
struct Reply {
    response: Answer,
}

impl Client {
    /// Connects, trusting nobody but `authority`.
    pub(crate) async fn connect(
        address: SocketAddr,
        authority: &Path,
    ) -> Result<Client, ClientError> {
        let authority = CertificateDer::from_pem_file(authority).map_err(because)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority).map_err(because)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(because)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await.map_err(because)?;
        let name = ServerName::from(address.ip());
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .map_err(because)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(because)?;
        tokio::spawn(connection);
        Ok(Client { sender, address })
    }

    /// Sends a review and reads the answer.
    pub(crate) async fn ask(&mut self, review: &Value) -> Result<Answer, ClientError> {
        let request = Request::post("/validate?timeout=5s")
            .header("host", self.address.to_string())
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(review.to_string())))
            .map_err(because)?;
        self.sender.ready().await.map_err(because)?;
        let response = self.sender.send_request(request).await.map_err(because)?;
        let status = response.status();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(because)?
            .to_bytes();
        if !status.is_success() {
            return Err(because(format!(
                "HTTP {status}: {}",
                String::from_utf8_lossy(&body)
            )));
        }
        serde_json::from_slice::<Reply>(&body)
            .map(|reply| reply.response)
            .map_err(because)
    }
}
