//! The health address: plain HTTP on the same accept loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keyguard::http::health::router;
use keyguard::http::limits::ConnectionLimits;
use keyguard::http::server::{Drained, Transport};
use keyguard::sources::source::Readiness;
use keyguard::telemetry::metrics::Metrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::harness::{certificate, serve, within};

/// A cluster that answers or does not.
#[derive(Default)]
struct Cluster(AtomicBool);

impl Readiness for Cluster {
    async fn answers(&self) -> Result<(), String> {
        match self.0.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err("connection refused".to_owned()),
        }
    }
}

#[tokio::test]
async fn it_is_alive_at_once_ready_when_the_cluster_answers_and_not_while_draining() {
    let (certificate, _) = certificate();
    let (cluster, draining) = (Arc::new(Cluster::default()), CancellationToken::new());
    let router = router(
        Arc::clone(&cluster),
        certificate,
        Arc::new(Metrics::new()),
        draining.clone(),
    );
    let (address, stop, served) = serve(
        Transport::Plain,
        router,
        ConnectionLimits::default(),
        &draining,
    )
    .await;
    let get = async |path: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within(path, stream.read_to_string(&mut answer))
            .await
            .unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head.lines().next().unwrap().to_owned(),
            head.to_lowercase(),
            body.to_owned(),
        )
    };

    let (status, _, body) = get("/healthz").await;
    assert_eq!(
        (status.as_str(), body.as_str()),
        ("HTTP/1.1 200 OK", "ok\n")
    );
    let (status, _, body) = get("/readyz").await;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(body, "cluster: connection refused\n");
    cluster.0.store(true, Ordering::Relaxed);
    let (status, _, body) = get("/readyz").await;
    assert_eq!(
        (status.as_str(), body.as_str()),
        ("HTTP/1.1 200 OK", "ok\n")
    );
    draining.cancel();
    let (status, _, body) = get("/readyz").await;
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(body, "draining: keyguard is about to end\n");
    assert_eq!(
        get("/healthz").await.0,
        "HTTP/1.1 200 OK",
        "draining is alive"
    );

    let (status, head, body) = get("/metrics").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{head}"
    );
    assert!(body.ends_with("# EOF\n"));
    assert_eq!(get("/debug").await.0, "HTTP/1.1 404 Not Found");

    stop.send(()).unwrap();
    assert_eq!(within("served", served).await.unwrap(), Drained { cut: 0 });
}
