use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use futures_util::stream;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;
use crate::telemetry::test_log::TestLog;

/// Answers with the body it got and how many seconds are left, or as the body asks for.
struct Echo;

impl Reviewer for Echo {
    async fn review(&self, body: Bytes, mode: ReviewMode, answer_by: Option<Instant>) -> Answer {
        let left = answer_by.map(|by| (by - Instant::now()).as_secs_f64());
        match &*body {
            b"undecodable" => Answer::Undecodable("the body is no review".to_owned()),
            b"panic" => panic!("secret-payload"),
            b"mode" => Answer::Review(format!("{mode:?}").into()),
            _ => Answer::Review(format!("{} {left:.1?}", String::from_utf8_lossy(&body)).into()),
        }
    }

    fn rejected(&self, _: &Rejection, _: Duration) {}
}

struct Gated {
    router: Router,
    metrics: Arc<Metrics>,
    draining: CancellationToken,
}

fn gated() -> Gated {
    let (metrics, draining) = (Arc::new(Metrics::new()), CancellationToken::new());
    let limits = RequestLimits {
        max_body_bytes: 16,
        ..RequestLimits::default()
    };
    let serving = Arc::new(ArcSwap::from_pointee(Serving::new(Echo, limits)));
    Gated {
        router: router(serving, Arc::clone(&metrics), draining.clone()),
        metrics,
        draining,
    }
}

impl Gated {
    async fn ask(&self, request: Request) -> (StatusCode, HeaderMap, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (
            parts.status,
            parts.headers,
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }
}

fn request(method: &str, uri: &str, content_type: &str, body: &'static str) -> Request {
    Request::builder()
        .method(method)
        .uri(uri)
        .header(CONTENT_TYPE, content_type)
        .body(Body::from(body))
        .unwrap()
}

#[tokio::test]
async fn a_review_is_handed_on_with_its_timeout_and_answered_in_json() {
    let gated = gated();
    for content_type in [
        "application/json",
        "Application/JSON ; charset=utf-8",
        "application/json;charset=utf-8",
    ] {
        let (status, headers, body) = gated
            .ask(request("POST", "/validate?timeout=5s", content_type, "{}"))
            .await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "{} Some(5.0)"));
        assert_eq!(headers[CONTENT_TYPE], "application/json");
        assert!(!headers.contains_key(CONNECTION));
    }
    let (_, _, body) = gated
        .ask(request("POST", "/validate", "application/json", ""))
        .await;
    assert_eq!(body, " None");
}

#[tokio::test]
async fn the_time_that_a_body_takes_is_not_there_for_its_review() {
    let late = stream::once(async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok::<_, Infallible>("{}")
    });
    let mut request = request("POST", "/validate?timeout=1s", "application/json", "");
    *request.body_mut() = Body::from_stream(late);
    let (_, _, body) = gated().ask(request).await;
    let left = body.trim_start_matches("{} Some(").trim_end_matches(')');
    assert!(left.parse::<f64>().unwrap() <= 0.7, "{body}");
}

#[tokio::test]
async fn the_path_tells_how_the_api_server_was_told_to_ask() {
    for (path, mode) in [
        ("/validate", "Guarded"),
        ("/validate/exempt", "Exempt"),
        ("/validate/exempt?timeout=1s", "Exempt"),
    ] {
        let request = request("POST", path, "application/json", "mode");
        assert_eq!(gated().ask(request).await.2, mode, "{path}");
    }
}

#[tokio::test]
async fn a_request_ends_with_what_was_in_force_when_it_began() {
    struct Named(&'static str);
    impl Reviewer for Named {
        async fn review(&self, body: Bytes, _: ReviewMode, _: Option<Instant>) -> Answer {
            Answer::Review([body.as_ref(), self.0.as_bytes()].concat().into())
        }

        fn rejected(&self, _: &Rejection, _: Duration) {}
    }
    let named = |name, max_body_bytes| {
        let limits = RequestLimits {
            max_body_bytes,
            ..RequestLimits::default()
        };
        Serving::new(Named(name), limits)
    };
    let serving = Arc::new(ArcSwap::from_pointee(named("before", 2)));
    let router = router(
        Arc::clone(&serving),
        Arc::default(),
        CancellationToken::new(),
    );
    let exchanged = Arc::clone(&serving);
    let late = stream::once(async move {
        exchanged.store(Arc::new(named("after", 1)));
        Ok::<_, Infallible>("{}")
    });
    let ask = || request("POST", "/validate", "application/json", "{}");
    let mut begun = ask();
    *begun.body_mut() = Body::from_stream(late);
    let response = router.clone().oneshot(begun).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "{}before");
    let response = router.oneshot(ask()).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn what_is_no_review_gets_its_status_and_one_line_and_is_counted_by_reason() {
    let json = "application/json";
    let table = [
        (
            request("POST", "/", json, ""),
            StatusCode::NOT_FOUND,
            "path",
        ),
        (
            request("POST", "/validate/", json, ""),
            StatusCode::NOT_FOUND,
            "path",
        ),
        (
            request("GET", "/validate", json, ""),
            StatusCode::METHOD_NOT_ALLOWED,
            "method",
        ),
        (
            request("PUT", "/validate", json, ""),
            StatusCode::METHOD_NOT_ALLOWED,
            "method",
        ),
        (
            request("POST", "/validate", "text/plain", "{}"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media-type",
        ),
        (
            request("POST", "/validate", "application/jsonx", "{}"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media-type",
        ),
        (
            request("POST", "/validate", "", "{}"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media-type",
        ),
        (
            request("POST", "/validate", json, "12345678901234567"),
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
        ),
        (
            request("POST", "/validate", json, "undecodable"),
            StatusCode::BAD_REQUEST,
            "undecodable",
        ),
    ];
    for (request, status, reason) in table {
        let gated = gated();
        let asked = format!("{} {}", request.method(), request.uri());
        let (answered, headers, line) = gated.ask(request).await;
        assert_eq!(answered, status, "{asked}");
        assert_eq!(
            headers[CONTENT_TYPE], "text/plain; charset=utf-8",
            "{asked}"
        );
        assert!(
            line.ends_with('\n') && line.lines().count() == 1,
            "{asked}: {line}"
        );
        let counted = format!("keyguard_requests_rejected_total{{reason=\"{reason}\"}} 1");
        assert!(
            gated.metrics.encode().lines().any(|shown| shown == counted),
            "{asked}: {counted}"
        );
    }
}

#[tokio::test]
async fn another_method_is_told_the_allowed_one() {
    let (_, headers, _) = gated()
        .ask(request("GET", "/validate", "application/json", ""))
        .await;
    assert_eq!(headers[axum::http::header::ALLOW], "POST");
}

#[tokio::test]
async fn no_content_type_is_refused() {
    let bare = Request::builder()
        .method("POST")
        .uri("/validate")
        .body(Body::from("{}"))
        .unwrap();
    assert_eq!(
        gated().ask(bare).await.0,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
}

#[tokio::test]
async fn while_draining_http_1_is_asked_to_connect_anew_and_http_2_is_not() {
    let gated = gated();
    gated.draining.cancel();
    let (status, headers, _) = gated
        .ask(request("POST", "/validate", "application/json", "{}"))
        .await;
    assert_eq!(
        (status, &headers[CONNECTION]),
        (StatusCode::OK, &HeaderValue::from_static("close"))
    );
    let mut request = request("POST", "/validate", "application/json", "{}");
    *request.version_mut() = Version::HTTP_2;
    assert!(!gated.ask(request).await.1.contains_key(CONNECTION));
}

#[tokio::test]
async fn a_panic_is_a_500_for_its_request_and_the_log_has_the_place_and_not_the_payload() {
    let log = TestLog::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).finish();
    let gated = gated();
    let before = std::panic::take_hook();
    let (status, _, line) = {
        let _logged = tracing::subscriber::set_default(subscriber);
        install_panic_hook();
        gated
            .ask(request("POST", "/validate", "application/json", "panic"))
            .await
    };
    std::panic::set_hook(before);
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let log = log.text();
    assert!(log.contains("reviews_tests.rs:"), "{log}");
    assert!(
        !log.contains("secret-payload") && !line.contains("secret-payload"),
        "{log}{line}"
    );
    let (status, ..) = gated
        .ask(request("POST", "/validate", "application/json", "{}"))
        .await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        gated
            .metrics
            .encode()
            .contains("keyguard_requests_in_flight 0")
    );
}
