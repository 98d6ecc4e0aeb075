//! Bodies that are slow, or many: what they take, and whom they keep out.

use axum::body::Body;
use axum::http::StatusCode;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use keyguard::http::limits::RequestLimits;

use super::client::Protocol;
use super::harness::{NEVER, SOON, Server, Setup, within};

const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

async fn start(requests: RequestLimits) -> Server {
    Server::start(Setup {
        requests,
        ..Setup::default()
    })
    .await
}

/// A body that begins and does not go on.
fn unfinished(begins: String) -> Body {
    let begins = stream::once(async { Ok::<_, std::io::Error>(begins) });
    Body::from_stream(begins.chain(stream::pending()))
}

#[tokio::test]
async fn slow_bodies_however_many_do_not_keep_others_out() {
    for protocol in PROTOCOLS {
        let server = start(RequestLimits {
            max_requests: 1,
            body_timeout: NEVER,
            ..RequestLimits::default()
        })
        .await;
        let mut clients = Vec::new();
        for _ in 0..8 {
            clients.push(server.client(protocol).await);
        }
        let slow = clients.into_iter().map(|mut client| {
            tokio::spawn(async move { client.review(unfinished("{".to_owned())).await })
        });
        let slow: Vec<_> = slow.collect();
        server.shows("keyguard_requests_in_flight 8").await;

        let mut prompt = server.client(protocol).await;
        let reply = prompt.review("{}").await.unwrap();
        assert_eq!(reply.status, StatusCode::OK, "{protocol:?}");
        assert!(slow.iter().all(|slow| !slow.is_finished()), "{protocol:?}");
    }
}

#[tokio::test]
async fn the_bytes_that_slow_bodies_hold_are_given_back_when_their_time_is_over() {
    for protocol in PROTOCOLS {
        let server = start(RequestLimits {
            max_body_bytes: 1_000_000,
            max_body_bytes_in_flight: 1_000_000,
            body_timeout: SOON * 10,
            ..RequestLimits::default()
        })
        .await;
        let mut slow = server.client(protocol).await;
        let slow = tokio::spawn(async move { slow.review(unfinished("0".repeat(200_000))).await });
        server.shows("keyguard_requests_in_flight 1").await;
        let told = within("its time", slow).await.unwrap().unwrap();
        assert_eq!(told.status, StatusCode::REQUEST_TIMEOUT, "{protocol:?}");
        let mut prompt = server.client(protocol).await;
        let whole = "0".repeat(900_000);
        let reply = prompt.review(whole.clone()).await.unwrap();
        assert_eq!(reply.body, whole, "{protocol:?}");
    }
}

#[tokio::test]
async fn bodies_beyond_the_bytes_for_all_are_shed_and_small_ones_are_not() {
    let server = start(RequestLimits {
        max_body_bytes: 1_000_000,
        max_body_bytes_in_flight: 1_000_000,
        ..RequestLimits::default()
    })
    .await;
    for protocol in PROTOCOLS {
        let large = || format!("wait{}", "0".repeat(700_000));
        let mut first = server.client(protocol).await;
        let waiting = tokio::spawn(async move { first.review(large()).await });
        server.is_waiting().await;

        let mut second = server.client(protocol).await;
        let shed = second.review(large()).await.unwrap();
        assert_eq!(shed.status, StatusCode::TOO_MANY_REQUESTS, "{protocol:?}");
        assert_eq!(shed.headers["retry-after"], "1");
        assert!(
            shed.body.contains("limits.maxBodyBytesInFlight"),
            "{}",
            shed.body
        );
        let clients = join_all((0..20).map(|_| server.client(protocol))).await;
        for mut small in clients {
            assert_eq!(small.review("{}").await.unwrap().status, StatusCode::OK);
        }

        server.release();
        let first = waiting.await.unwrap().unwrap();
        assert_eq!(first.status, StatusCode::OK, "{protocol:?}");
        let mut third = server.client(protocol).await;
        let large = "0".repeat(700_000);
        assert_eq!(third.review(large.clone()).await.unwrap().body, large);
    }
    server
        .shows("keyguard_requests_rejected_total{reason=\"body-memory\"} 2")
        .await;
}
