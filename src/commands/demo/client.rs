//! Asks as kube-apiserver does: over TLS, with the CA of the webhook configuration.

use std::net::SocketAddr;
use std::path::Path;

use hyper::Request;
use kube::Config;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// Why no answer came.
#[derive(Debug, Error)]
#[error("the demonstration's server gave no answer: {0}")]
pub struct ClientError(String);

fn because(error: impl std::fmt::Display) -> ClientError {
    ClientError(error.to_string())
}

/// A client of the demonstration's server.
pub(crate) struct Client(kube::Client);

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
    /// A client that trusts nobody but `authority`.
    pub(crate) fn new(address: SocketAddr, authority: &Path) -> Result<Client, ClientError> {
        let authority = CertificateDer::from_pem_file(authority).map_err(because)?;
        let mut config = Config::new(format!("https://{address}").parse().map_err(because)?);
        config.root_cert = Some(vec![authority.to_vec()]);
        kube::Client::try_from(config).map(Client).map_err(because)
    }

    /// Sends a review and reads the answer.
    pub(crate) async fn ask(&self, review: &Value) -> Result<Answer, ClientError> {
        let request = Request::post("/validate?timeout=5s")
            .header("content-type", "application/json")
            .body(review.to_string().into_bytes())
            .map_err(because)?;
        let reply: Reply = self.0.request(request).await.map_err(because)?;
        Ok(reply.response)
    }
}
