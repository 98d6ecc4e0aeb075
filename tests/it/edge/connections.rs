//! What becomes of connections: silent, slow, idle, too many.

use futures_util::future::join_all;
use keyguard::http::limits::ConnectionLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{Protocol, exchange};
use super::harness::{NEVER, SOON, Server, Setup, certificate, within};

/// ConnectionLimits with timeouts that no test waits for; each test shortens one.
fn patient() -> ConnectionLimits {
    ConnectionLimits {
        tls_handshake_timeout: NEVER,
        idle_timeout: NEVER,
        drain_timeout: NEVER,
        ..ConnectionLimits::default()
    }
}

async fn start(limits: ConnectionLimits) -> Server {
    Server::start(Setup {
        limits,
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn a_connection_that_does_not_shake_hands_is_closed() {
    let server = start(ConnectionLimits {
        tls_handshake_timeout: SOON,
        ..patient()
    })
    .await;
    let mut silent = server.connect_silently().await;
    server.shows("keyguard_connections 1").await;
    assert_eq!(within("closed", silent.read(&mut [0; 1])).await.unwrap(), 0);
    server.shows("keyguard_tls_handshakes_failed_total 1").await;
    server.shows("keyguard_connections 0").await;
}

#[tokio::test]
async fn a_connection_that_speaks_no_tls_is_closed_and_counted() {
    let server = start(patient()).await;
    let mut plain = server.connect_silently().await;
    plain
        .write_all(b"POST /validate HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let _ = within("closed", plain.read_to_end(&mut Vec::new())).await;
    server.shows("keyguard_tls_handshakes_failed_total 1").await;
}

#[tokio::test]
async fn a_connection_that_nobody_uses_and_a_header_that_does_not_end_are_cut() {
    let server = start(ConnectionLimits {
        // Long enough for a first request on a slow machine.
        idle_timeout: SOON * 10,
        ..patient()
    })
    .await;
    let mut busy = server.client(Protocol::Http1).await;
    let waiting = tokio::spawn(async move { busy.review("wait").await });
    server.is_waiting().await;
    let unused = server.client(Protocol::Http1).await;
    let mut used = server.client(Protocol::Http1).await;
    used.review("{}").await.unwrap();
    let mut slow = server.connect("http/1.1").await;
    let answer = exchange(&mut slow, "POST /validate HTTP/1.1\r\nHost: ").await;
    assert!(!answer.contains("200"), "{answer}");
    within("closed", unused.connection).await.unwrap();
    within("closed", used.connection).await.unwrap();
    server.shows("keyguard_connections 1").await;
    server.release();
    assert_eq!(
        waiting.await.unwrap().unwrap().body,
        "wait",
        "a request in progress is never cut"
    );
}

#[tokio::test]
async fn silent_connections_however_many_do_not_keep_others_out() {
    let server = start(ConnectionLimits {
        max_connections: 8,
        ..patient()
    })
    .await;
    let mut busy = server.client(Protocol::Http1).await;
    let waiting = tokio::spawn(async move { busy.review("wait").await });
    server.is_waiting().await;
    let mut known = server.client(Protocol::Http1).await;
    known.review("{}").await.unwrap();

    let mut silent = join_all((0..200).map(|_| server.connect_silently())).await;
    silent.push(server.connect("http/1.1").await.into_inner().0);
    let mut newcomer = server.client(Protocol::Http1).await;
    assert_eq!(newcomer.review("{}").await.unwrap().body, "{}");
    assert_eq!(
        known.review("{}").await.unwrap().body,
        "{}",
        "one that has asked before is not who makes room"
    );
    server.release();
    assert_eq!(
        waiting.await.unwrap().unwrap().body,
        "wait",
        "a request in progress is never cut"
    );
    server.shows("keyguard_connections 8").await;
    drop(silent);
}

#[tokio::test]
async fn when_every_connection_is_at_work_the_next_one_waits_for_its_turn() {
    let server = start(ConnectionLimits {
        max_connections: 1,
        ..patient()
    })
    .await;
    let mut busy = server.client(Protocol::Http1).await;
    let waiting = tokio::spawn(async move { busy.review("wait").await });
    server.is_waiting().await;
    let next = server.connect("http/1.1");
    tokio::pin!(next);
    assert!(tokio::time::timeout(SOON, &mut next).await.is_err());
    server.release();
    assert_eq!(waiting.await.unwrap().unwrap().body, "wait");
    within("its turn", next).await;
}

#[tokio::test]
async fn another_certificate_is_presented_from_the_next_handshake_on() {
    let mut server = start(patient()).await;
    let mut before = server.client(Protocol::Http1).await;
    let (fresh, root) = certificate();
    server
        .certificate
        .present(fresh.pair().unwrap(), &server.metrics);
    server.root = root;
    let mut after = server.client(Protocol::Http1).await;
    assert_eq!(after.review("{}").await.unwrap().body, "{}");
    assert_eq!(before.review("{}").await.unwrap().body, "{}");
}
