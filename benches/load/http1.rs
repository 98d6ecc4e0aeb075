//! HTTP/1.1 keep-alive connections, as kube-apiserver holds them; as little client as possible.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Sends `reviews` requests over `connections`; panics on the first answer that is not an allow.
#[allow(dead_code, reason = "not every measurement sends as much as it can")]
pub(crate) async fn send(
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    body: &[u8],
    connections: usize,
    reviews: usize,
) {
    let request = request(address, body);
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let (tls, request) = (Arc::clone(&tls), Arc::clone(&request));
            tokio::spawn(async move {
                let mut connection = Connection::open(address, tls).await;
                for _ in 0..reviews / connections {
                    let answer = connection.ask(&request).await;
                    assert!(is_answered(answer), "{}", String::from_utf8_lossy(answer));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// A review as it goes over the wire.
pub(crate) fn request(address: SocketAddr, body: &[u8]) -> Arc<[u8]> {
    let head = format!(
        "POST /validate?timeout=5s HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat().into()
}

/// Whether an answer lets the object through.
#[allow(dead_code, reason = "not every measurement asks for it")]
pub(crate) fn is_allowed(answer: &[u8]) -> bool {
    has(answer, br#""allowed":true"#)
}

/// Whether an answer lets the object through or refuses it.
#[allow(dead_code, reason = "not every measurement asks for it")]
pub(crate) fn is_answered(answer: &[u8]) -> bool {
    has(answer, br#""allowed":"#)
}

fn has(answer: &[u8], part: &[u8]) -> bool {
    answer.windows(part.len()).any(|window| window == part)
}

/// One keep-alive connection.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr, tls: Arc<ClientConfig>) -> Connection {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::from(address.ip());
        Connection {
            stream: TlsConnector::from(tls).connect(name, stream).await.unwrap(),
            buffer: vec![0; 16 * 1024],
        }
    }

    /// Sends a request and gives back the whole answer, which must be a review's.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> &[u8] {
        self.stream.write_all(request).await.unwrap();
        self.stream.flush().await.unwrap();
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await.unwrap();
            assert!(read > 0, "the connection was closed");
            filled += read;
            if is_whole(&self.buffer[..filled]) {
                break;
            }
        }
        let answer = &self.buffer[..filled];
        assert!(
            answer.starts_with(b"HTTP/1.1 200 "),
            "{}",
            String::from_utf8_lossy(answer)
        );
        answer
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let text = std::str::from_utf8(answer).unwrap();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map(|length| length.parse::<usize>().unwrap());
    length.is_some_and(|length| body.len() >= length)
}
