//! A client that behaves as kube-apiserver's does: it keeps connections, goes elsewhere when asked to, and never sends
//! the same review twice.

use std::error::Error as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::header::CONNECTION;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// TLS that trusts this authority and offers one protocol.
pub(super) fn tls(authority: &Path, protocol: Protocol) -> Arc<ClientConfig> {
    let pem = fs::read(authority).expect("read a certificate");
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&pem).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![match protocol {
        Protocol::Http1 => b"http/1.1".to_vec(),
        Protocol::Http2 => b"h2".to_vec(),
    }];
    Arc::new(config)
}

/// One connection, or one of the requests at once on it.
#[derive(Clone)]
pub(super) struct Connection(Sender);

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Clone for Sender {
    fn clone(&self) -> Self {
        match self {
            Sender::Http1(_) => panic!("HTTP/1.1 has one request at once"),
            Sender::Http2(sender) => Sender::Http2(sender.clone()),
        }
    }
}

/// What came of sending a review.
pub(super) enum Sent {
    /// An answer; and whether the connection may be used again.
    Answered(StatusCode, Bytes, bool),
    /// It was not sent: the connection has ended.
    NotSent,
}

impl Connection {
    /// Connects to `address`, which is not necessarily the one that answers.
    pub(super) async fn open(
        address: SocketAddr,
        tls: Arc<ClientConfig>,
        protocol: Protocol,
    ) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(|error| format!("connect: {error}"))?;
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(tls).connect(name, stream).await;
        let stream = TokioIo::new(stream.map_err(|error| format!("TLS handshake: {error}"))?);
        let fail = |error| format!("HTTP handshake: {error}");
        Ok(Self(match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(stream).await.map_err(fail)?;
                tokio::spawn(connection);
                Sender::Http1(sender)
            }
            Protocol::Http2 => {
                let handshake = http2::handshake(TokioExecutor::new(), stream).await;
                let (sender, connection) = handshake.map_err(fail)?;
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        }))
    }

    /// Sends a review and reads the answer.
    ///
    /// # Errors
    /// Whatever would have failed the admission.
    pub(super) async fn review(&mut self, body: Bytes) -> Result<Sent, String> {
        let request = Request::post(match &self.0 {
            Sender::Http1(_) => "/validate?timeout=5s",
            Sender::Http2(_) => "https://localhost/validate?timeout=5s",
        });
        let request = request
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .unwrap();
        let sent = match &mut self.0 {
            Sender::Http1(sender) => match sender.ready().await {
                Ok(()) => sender.try_send_request(request).await,
                Err(_) => return Ok(Sent::NotSent),
            },
            Sender::Http2(sender) => match sender.ready().await {
                Ok(()) => sender.try_send_request(request).await,
                Err(_) => return Ok(Sent::NotSent),
            },
        };
        let response = match sent {
            Ok(response) => response,
            Err(error) if error.message().is_some() => return Ok(Sent::NotSent),
            Err(error) => {
                let error = error.into_error();
                if is_unprocessed(&error) {
                    return Ok(Sent::NotSent);
                }
                return Err(format!("send: {error:?}"));
            }
        };
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| format!("{error:?}"))?;
        let keep = parts
            .headers
            .get(CONNECTION)
            .is_none_or(|value| value != "close");
        Ok(Sent::Answered(parts.status, body.to_bytes(), keep))
    }
}

/// Whether a server that goes away has not looked at the request: streams that GOAWAY leaves out are not processed
/// (RFC 9113, section 6.8), and clients such as Go's send them again elsewhere.
fn is_unprocessed(error: &hyper::Error) -> bool {
    let source = error
        .source()
        .and_then(|source| source.downcast_ref::<h2::Error>());
    source.is_some_and(|error| error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR))
}
