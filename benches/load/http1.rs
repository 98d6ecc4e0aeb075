//! HTTP/1.1 keep-alive connections, as kube-apiserver holds them; as little client as possible.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Sends `reviews` requests over `connections`; panics on the first answer that is not an allow.
pub(crate) async fn send(
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    body: &[u8],
    connections: usize,
    reviews: usize,
) {
    let head = format!(
        "POST /validate?timeout=5s HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let request: Arc<[u8]> = [head.as_bytes(), body].concat().into();
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            tokio::spawn(connection(
                address,
                Arc::clone(&tls),
                Arc::clone(&request),
                reviews / connections,
            ))
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn connection(
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    request: Arc<[u8]>,
    reviews: usize,
) {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let name = ServerName::from(address.ip());
    let mut stream = TlsConnector::from(tls).connect(name, stream).await.unwrap();
    let mut buffer = vec![0; 16 * 1024];
    for _ in 0..reviews {
        stream.write_all(&request).await.unwrap();
        stream.flush().await.unwrap();
        let mut filled = 0;
        loop {
            let read = stream.read(&mut buffer[filled..]).await.unwrap();
            assert!(read > 0, "the connection was closed");
            filled += read;
            if is_whole(&buffer[..filled]) {
                break;
            }
        }
        let answer = &buffer[..filled];
        assert!(
            answer.starts_with(b"HTTP/1.1 200 "),
            "{}",
            String::from_utf8_lossy(answer)
        );
        let allowed = answer
            .windows(14)
            .any(|window| window == br#""allowed":true"#);
        assert!(allowed, "{}", String::from_utf8_lossy(answer));
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
