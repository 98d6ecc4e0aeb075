//! Calls of a collector, over HTTPS, with the token in a file.

use std::error::Error;
use std::fs;
use std::io;
use std::iter::successors;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// How long a call may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long a connection is kept for the next call.
const IDLE: Duration = Duration::from_secs(30);
/// The most bytes of an answer: a page of 10,000 of the longest records would be more, and nobody reads it.
const ANSWER_BYTES: usize = 256 << 20;

/// Who is called, and as whom.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where the collector answers, such as `https://keyguard-audit.keyguard.svc:8444`.
    pub server: Uri,
    /// The CA certificates that verify it, PEM.
    pub ca: PathBuf,
    /// A ServiceAccount token for its audience.
    pub token: PathBuf,
}

/// Why a call came to nothing.
#[derive(Debug, Error)]
pub enum CallError {
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    File {
        /// Its path.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The CA certificates are none.
    #[error("{0} has no CA certificate in PEM")]
    NoCa(String),
    /// The token is none.
    #[error("{0} has no token")]
    NoToken(String),
    /// The collector was not reached, or broke off.
    #[error("the collector cannot be reached: {0}")]
    Unreachable(String),
    /// It took too long.
    #[error("the collector did not answer within {} s", DEADLINE.as_secs())]
    Timeout,
    /// It says no, and why.
    #[error("the collector answers {0}: {1}")]
    Refused(StatusCode, String),
}

/// A client for HTTPS.
pub(super) type Https = HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Calls a collector; keeps a connection.
pub struct Client {
    target: Target,
    http: Https,
}

impl Client {
    /// A client with the CA certificates as they are now.
    ///
    /// # Errors
    /// When there are none.
    pub fn new(target: Target) -> Result<Client, CallError> {
        let shown = target.ca.display().to_string();
        let roots = roots(&read(&target.ca)?).ok_or(CallError::NoCa(shown))?;
        Ok(Client {
            target,
            http: https(roots).map_err(|error| CallError::Unreachable(error.to_string()))?,
        })
    }

    /// Asks for what is at a path with its query.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn get(&self, path: &str) -> Result<Bytes, CallError> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    /// Sends a body to a path.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn post(&self, path: &str, body: Bytes) -> Result<Bytes, CallError> {
        self.call(Method::POST, path, body).await
    }

    async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, CallError> {
        let server = self.target.server.to_string();
        let uri = format!("{}{path}", server.trim_end_matches('/'));
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(AUTHORIZATION, self.authorization()?)
            .body(Full::new(body))
            .map_err(|error| CallError::Unreachable(error.to_string()))?;
        let call = async {
            let answer = self.http.request(request).await.map_err(|error| {
                let host = self.target.server.host().unwrap_or_default();
                CallError::Unreachable(format!("{host}: {}", innermost(&error)))
            })?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES)
                .collect()
                .await;
            let body = body.map_err(|error| CallError::Unreachable(error.to_string()))?;
            Ok((status, body.to_bytes()))
        };
        let answer: Result<_, CallError> = timeout(DEADLINE, call)
            .await
            .unwrap_or(Err(CallError::Timeout));
        match answer? {
            (StatusCode::OK, body) => Ok(body),
            (status, body) => {
                let said = String::from_utf8_lossy(&body);
                let said = said.lines().next().unwrap_or_default().to_owned();
                Err(CallError::Refused(status, said))
            }
        }
    }

    /// The kubelet writes a new token before the old one ends, so it is read for each call.
    fn authorization(&self) -> Result<HeaderValue, CallError> {
        let path = &self.target.token;
        let none = || CallError::NoToken(path.display().to_string());
        let token = Zeroizing::new(read(path)?);
        let token = token.trim_ascii();
        if token.is_empty() {
            return Err(none());
        }
        let mut line = Zeroizing::new(Vec::with_capacity(token.len() + 7));
        line.extend_from_slice(b"Bearer ");
        line.extend_from_slice(token);
        let mut value = HeaderValue::from_bytes(&line).map_err(|_| none())?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// What an error is about in the end; what is around it may repeat an address that is nobody's business.
pub(super) fn innermost(error: &dyn Error) -> String {
    let causes = successors(Some(error), |&error| error.source());
    causes.last().map(ToString::to_string).unwrap_or_default()
}

/// The CA certificates in a PEM file, if there are any.
pub(super) fn roots(pem: &[u8]) -> Option<RootCertStore> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates.unwrap_or_default());
    (added > 0).then_some(roots)
}

/// What calls over HTTPS alone, and keeps connections for a while.
pub(super) fn https(roots: RootCertStore) -> Result<Https, rustls::Error> {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_only()
        .enable_http1()
        .build();
    let mut http = HttpClient::builder(TokioExecutor::new());
    http.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
    Ok(http.build(connector))
}

fn read(path: &Path) -> Result<Vec<u8>, CallError> {
    fs::read(path).map_err(|source| CallError::File {
        path: path.display().to_string(),
        source,
    })
}
