//! The end: who may finish, who is closed, who is cut.

use keyguard::http::limits::ConnectionLimits;
use keyguard::http::server::Drained;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::client::Protocol;
use super::harness::{NEVER, SOON, Server, Setup, within};

async fn start(drain_timeout: std::time::Duration) -> Server {
    let limits = ConnectionLimits {
        tls_handshake_timeout: NEVER,
        idle_timeout: NEVER,
        drain_timeout,
        ..ConnectionLimits::default()
    };
    Server::start(Setup {
        limits,
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn a_request_in_progress_ends_and_everything_else_is_closed() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let server = start(NEVER).await;
        let (reviewer, address) = (server.reviewer.clone(), server.address);
        let mut silent = server.connect_silently().await;
        let mut unused = server.connect("http/1.1").await;
        let (mut idle, mut busy) = (server.client(protocol).await, server.client(protocol).await);
        idle.review("{}").await.unwrap();
        let waiting = tokio::spawn(async move { (busy.review("wait").await, busy.connection) });
        server.is_waiting().await;

        let served = server.stop();
        assert_eq!(within("silent", silent.read(&mut [0; 1])).await.unwrap(), 0);
        assert_eq!(within("unused", unused.read(&mut [0; 1])).await.unwrap(), 0);
        within("idle", idle.connection).await.unwrap();
        assert!(
            TcpStream::connect(address).await.is_err(),
            "nobody is accepted any more"
        );
        assert!(!served.is_finished());

        reviewer.released.add_permits(1);
        let (reply, connection) = waiting.await.unwrap();
        let reply = reply.unwrap();
        assert_eq!(reply.body, "wait", "{protocol:?}");
        if protocol == Protocol::Http1 {
            assert_eq!(reply.headers["connection"], "close");
        }
        within("closed after its answer", connection).await.unwrap();
        assert_eq!(within("served", served).await.unwrap(), Drained { cut: 0 });
    }
}

#[tokio::test]
async fn who_outlasts_the_drain_timeout_is_cut_and_counted() {
    let server = start(SOON).await;
    let mut busy = server.client(Protocol::Http1).await;
    let waiting = tokio::spawn(async move { busy.review("wait").await.map(|_| ()) });
    server.is_waiting().await;
    assert_eq!(
        within("served", server.stop()).await.unwrap(),
        Drained { cut: 1 }
    );
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test]
async fn nobody_there_is_no_wait() {
    assert_eq!(
        within("served", start(NEVER).await.stop()).await.unwrap(),
        Drained { cut: 0 }
    );
}

#[tokio::test]
async fn while_draining_http_2_is_sent_elsewhere_and_new_clients_are_answered() {
    let server = start(NEVER).await;
    let mut busy = server.client(Protocol::Http2).await;
    let mut idle = server.client(Protocol::Http2).await;
    let mut kept = server.client(Protocol::Http1).await;
    idle.review("{}").await.unwrap();
    kept.review("{}").await.unwrap();
    let waiting = tokio::spawn(async move { (busy.review("wait").await, busy.connection) });
    server.is_waiting().await;

    server.draining.cancel();
    within("GOAWAY", idle.connection).await.unwrap();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut newcomer = server.client(protocol).await;
        for _ in 0..3 {
            let reply = newcomer.review("{}").await.unwrap();
            assert_eq!(reply.body, "{}", "{protocol:?}");
            if protocol == Protocol::Http1 {
                assert_eq!(reply.headers["connection"], "close");
                break;
            }
        }
        assert_eq!(
            newcomer.connection.is_finished(),
            protocol == Protocol::Http1
        );
    }
    // An idle connection is not closed under the hands of who is about to ask.
    let reply = kept.review("{}").await.unwrap();
    assert_eq!(reply.headers["connection"], "close");
    server.release();
    let (reply, connection) = waiting.await.unwrap();
    assert_eq!(reply.unwrap().body, "wait");
    within("closed after its answer", connection).await.unwrap();
}
