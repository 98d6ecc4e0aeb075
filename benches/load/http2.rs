//! HTTP/2 connections with several reviews at once on each.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Reviews at once on each connection.
const STREAMS: usize = 8;

/// Sends `reviews` requests over `connections`; panics on the first answer that is not an allow.
pub(crate) async fn send(
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    body: &[u8],
    connections: usize,
    reviews: usize,
) {
    let body = Bytes::copy_from_slice(body);
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::from(address.ip());
        let stream = TlsConnector::from(Arc::clone(&tls))
            .connect(name, stream)
            .await
            .unwrap();
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        for _ in 0..STREAMS {
            let reviews = reviews / connections / STREAMS;
            tasks.push(tokio::spawn(stream_of(
                sender.clone(),
                address,
                body.clone(),
                reviews,
            )));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
}

async fn stream_of(
    mut sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    body: Bytes,
    reviews: usize,
) {
    for _ in 0..reviews {
        sender.ready().await.unwrap();
        let request = Request::post(format!("https://{address}/validate?timeout=5s"))
            .header("content-type", "application/json")
            .body(Full::new(body.clone()))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        let answer = response.into_body().collect().await.unwrap().to_bytes();
        assert!(crate::http1::is_answered(&answer));
    }
}
