//! What requests get, over both protocols: reviews, and each limit's answer.

use axum::body::Body;
use axum::http::{Request, StatusCode, Version};
use futures_util::stream;
use keyguard::http::limits::RequestLimits;
use keyguard::http::rejection::Rejection;

use super::client::{Client, Protocol, exchange};
use super::harness::{NEVER, SOON, Server, Setup};

const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];
const HEADER: &str =
    "POST /validate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

fn limited(max_body_bytes: usize) -> Setup {
    Setup {
        requests: RequestLimits {
            max_body_bytes,
            body_timeout: NEVER,
            max_requests: 1,
            ..RequestLimits::default()
        },
        ..Setup::default()
    }
}

#[tokio::test]
async fn both_protocols_are_chosen_by_alpn_in_both_versions_of_tls() {
    let server = Server::start(Setup::default()).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (protocol, http) in [
            (Protocol::Http1, Version::HTTP_11),
            (Protocol::Http2, Version::HTTP_2),
        ] {
            let stream = server.connect_with(protocol.name(), version).await;
            let mut client = Client::over(stream, protocol).await;
            assert_eq!(client.version, Some(version.version));
            for body in ["{}", "", "{\"a\":1}"] {
                let reply = client.review(body).await.unwrap();
                assert_eq!(
                    (reply.status, reply.version, reply.body.as_str()),
                    (StatusCode::OK, http, body)
                );
                assert_eq!(reply.headers["content-type"], "application/json");
            }
        }
    }
}

#[tokio::test]
async fn a_client_without_alpn_speaks_http_1() {
    let server = Server::start(Setup::default()).await;
    let mut stream = server.connect("").await;
    let answer = exchange(
        &mut stream,
        format!("{HEADER}Connection: close\r\nContent-Length: 2\r\n\r\n{{}}"),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn a_body_up_to_the_limit_arrives_whole_and_the_timeout_with_it() {
    let server = Server::start(limited(300_000)).await;
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await;
        let body = "0123456789".repeat(30_000);
        let reply = client.review(body.clone()).await.unwrap();
        assert!(
            reply.body == body,
            "{protocol:?}: {} bytes",
            reply.body.len()
        );
        let request = Request::post("https://localhost/validate?timeout=5s")
            .header("content-type", "application/json");
        let reply = client
            .send(request.body(Body::from("{}")).unwrap())
            .await
            .unwrap();
        assert_eq!(reply.body, "5s", "{protocol:?}");
    }
}

#[tokio::test]
async fn a_body_announced_too_long_is_refused_before_it_is_sent() {
    let server = Server::start(limited(1000)).await;
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut stream = server.connect("http/1.1").await;
        let answer = exchange(
            &mut stream,
            format!("{HEADER}{expect}Content-Length: 1001\r\n\r\n"),
        )
        .await;
        assert!(
            answer.starts_with("HTTP/1.1 413 Payload Too Large\r\n"),
            "{answer}"
        );
        assert!(
            answer.contains("the body is longer than 1000 bytes"),
            "{answer}"
        );
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_becomes_too_long_is_refused_and_the_sender_gets_to_read_it() {
    let server = Server::start(limited(1000)).await;
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await;
        let frames = (0..5000).map(|_| Ok::<_, std::io::Error>("0123456789".repeat(10)));
        let reply = client
            .review(Body::from_stream(stream::iter(frames)))
            .await
            .unwrap();
        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE, "{protocol:?}");
    }
    let mut stream = server.connect("http/1.1").await;
    let body = "0".repeat(500_000);
    let answer = exchange(
        &mut stream,
        format!("{HEADER}Content-Length: {}\r\n\r\n{body}", body.len()),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_with_408() {
    let requests = RequestLimits {
        body_timeout: SOON,
        ..RequestLimits::default()
    };
    let server = Server::start(Setup {
        requests,
        ..Setup::default()
    })
    .await;
    let mut stream = server.connect("http/1.1").await;
    let answer = exchange(
        &mut stream,
        format!("{HEADER}Content-Length: 10\r\n\r\n12345"),
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("the body was not complete after 50ms"),
        "{answer}"
    );

    let mut client = server.client(Protocol::Http2).await;
    let silent = stream::pending::<Result<&str, std::io::Error>>();
    assert_eq!(
        client
            .review(Body::from_stream(silent))
            .await
            .unwrap()
            .status,
        StatusCode::REQUEST_TIMEOUT
    );
    assert_eq!(client.review("{}").await.unwrap().status, StatusCode::OK);
    server
        .shows("keyguard_requests_rejected_total{reason=\"body-timeout\"} 2")
        .await;
}

#[tokio::test]
async fn a_wrong_path_method_or_content_type_is_told_so_and_the_connection_stays() {
    let server = Server::start(Setup::default()).await;
    let table = [
        ("POST", "/", "application/json", StatusCode::NOT_FOUND),
        (
            "GET",
            "/validate",
            "application/json",
            StatusCode::METHOD_NOT_ALLOWED,
        ),
        (
            "POST",
            "/validate",
            "application/yaml",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
    ];
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await;
        for (method, path, content_type, status) in table {
            let request = Request::builder()
                .method(method)
                .uri(format!("https://localhost{path}"))
                .header("content-type", content_type)
                .body(Body::from("0".repeat(100_000)))
                .unwrap();
            let reply = client.send(request).await.unwrap();
            assert_eq!(reply.status, status, "{protocol:?}");
            assert_eq!(
                reply.body.lines().count(),
                1,
                "{protocol:?}: {}",
                reply.body
            );
            assert_eq!(
                client.review("{}").await.unwrap().status,
                StatusCode::OK,
                "{protocol:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_header_without_bounds_is_refused() {
    let server = Server::start(Setup::default()).await;
    let mut stream = server.connect("http/1.1").await;
    let answer = exchange(
        &mut stream,
        format!("{HEADER}X-Long: {}\r\n\r\n", "0".repeat(70_000)),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn more_requests_than_allowed_at_once_are_shed_and_their_connection_stays() {
    let server = Server::start(limited(200_000)).await;
    for protocol in PROTOCOLS {
        let (mut first, mut second) =
            (server.client(protocol).await, server.client(protocol).await);
        let waiting = tokio::spawn(async move { first.review("wait").await });
        server.is_waiting().await;
        for _ in 0..3 {
            let shed = second.review("0".repeat(100_000)).await.unwrap();
            assert_eq!(shed.status, StatusCode::TOO_MANY_REQUESTS, "{protocol:?}");
            assert_eq!(shed.headers["retry-after"], "1", "{protocol:?}");
            assert_eq!(shed.body.lines().count(), 1, "{protocol:?}: {}", shed.body);
        }
        server.release();
        assert_eq!(waiting.await.unwrap().unwrap().body, "wait", "{protocol:?}");
        assert_eq!(
            second.review("{}").await.unwrap().status,
            StatusCode::OK,
            "{protocol:?}"
        );
    }
    server
        .shows("keyguard_requests_rejected_total{reason=\"overload\"} 6")
        .await;
    let told = server.reviewer.rejected.lock().unwrap().clone();
    assert_eq!(told, vec![Rejection::Overload(1); 6]);
}

#[tokio::test]
async fn a_panic_fails_one_request_and_not_the_next_on_the_same_connection() {
    let server = Server::start(limited(1000)).await;
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await;
        let reply = client.review("panic").await.unwrap();
        assert_eq!(
            reply.status,
            StatusCode::INTERNAL_SERVER_ERROR,
            "{protocol:?}"
        );
        assert_eq!(
            reply.body.lines().count(),
            1,
            "{protocol:?}: {}",
            reply.body
        );
        // One request at once is allowed: the one that panicked has left.
        assert_eq!(
            client.review("{}").await.unwrap().status,
            StatusCode::OK,
            "{protocol:?}"
        );
    }
    server.shows("keyguard_requests_in_flight 0").await;
    server
        .shows("keyguard_requests_rejected_total{reason=\"panic\"} 2")
        .await;
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_takes_its_request_with_it() {
    let server = Server::start(limited(1000)).await;
    for protocol in PROTOCOLS {
        let mut client = server.client(protocol).await;
        let asking = tokio::spawn(async move { client.review("wait").await.map(|_| ()) });
        server.is_waiting().await;
        server.shows("keyguard_requests_in_flight 1").await;
        asking.abort();
        server.shows("keyguard_requests_in_flight 0").await;
    }
}

#[tokio::test]
async fn a_head_is_answered_without_a_body_and_the_connection_stays() {
    let server = Server::start(Setup::default()).await;
    for protocol in PROTOCOLS {
        let stream = server.connect(protocol.name()).await;
        let mut client = Client::over(stream, protocol).await;
        for (path, status) in [
            ("/validate", StatusCode::METHOD_NOT_ALLOWED),
            ("/", StatusCode::NOT_FOUND),
        ] {
            let request = Request::head(format!("https://localhost{path}"));
            let reply = client.send(request.body(Body::empty()).unwrap()).await;
            let reply = reply.unwrap();
            assert_eq!((reply.status, reply.body.as_str()), (status, ""), "{path}");
            assert_ne!(reply.headers["content-length"], "0");
        }
        assert_eq!(client.review("{}").await.unwrap().body, "{}");
    }
}
