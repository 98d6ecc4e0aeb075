//! HTTP clients on one TLS connection, and raw bytes over it.

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ProtocolVersion;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;

use super::harness::within;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    pub(super) fn name(self) -> &'static str {
        match self {
            Protocol::Http1 => "http/1.1",
            Protocol::Http2 => "h2",
        }
    }
}

/// An HTTP client on one connection.
pub(super) struct Client {
    sender: Sender,
    pub(super) version: Option<ProtocolVersion>,
    /// Ends when the connection does.
    pub(super) connection: JoinHandle<()>,
}

enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Client {
    pub(super) async fn over(stream: TlsStream<TcpStream>, protocol: Protocol) -> Client {
        let version = stream.get_ref().1.protocol_version();
        assert_eq!(
            stream.get_ref().1.alpn_protocol(),
            Some(protocol.name().as_bytes())
        );
        let stream = TokioIo::new(stream);
        let (sender, connection) = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(stream).await.unwrap();
                (
                    Sender::Http1(sender),
                    tokio::spawn(async { drop(connection.await) }),
                )
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
                    .await
                    .unwrap();
                (
                    Sender::Http2(sender),
                    tokio::spawn(async { drop(connection.await) }),
                )
            }
        };
        Client {
            sender,
            version,
            connection,
        }
    }

    pub(super) async fn review(&mut self, body: impl Into<Body>) -> hyper::Result<Reply> {
        let request =
            Request::post("https://localhost/validate").header("content-type", "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(super) async fn send(&mut self, mut request: Request<Body>) -> hyper::Result<Reply> {
        let response = match &mut self.sender {
            Sender::Http1(sender) => {
                request
                    .headers_mut()
                    .insert("host", "localhost".parse().unwrap());
                let path = request
                    .uri()
                    .path_and_query()
                    .unwrap()
                    .as_str()
                    .parse()
                    .unwrap();
                *request.uri_mut() = path;
                within("connection", sender.ready()).await?;
                within("answer", sender.send_request(request)).await?
            }
            Sender::Http2(sender) => {
                within("connection", sender.ready()).await?;
                within("answer", sender.send_request(request)).await?
            }
        };
        let (parts, body) = response.into_parts();
        let body = within("answer's body", body.collect()).await?.to_bytes();
        Ok(Reply {
            status: parts.status,
            version: parts.version,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        })
    }
}

/// Sends `bytes` as they are and reads until the server closes.
pub(super) async fn exchange(stream: &mut TlsStream<TcpStream>, bytes: impl AsRef<[u8]>) -> String {
    within("write", stream.write_all(bytes.as_ref()))
        .await
        .unwrap();
    let mut answer = Vec::new();
    // How it closes, with or without a farewell, is not what is asked here.
    let _ = within("the server closes", stream.read_to_end(&mut answer)).await;
    String::from_utf8(answer).unwrap()
}
