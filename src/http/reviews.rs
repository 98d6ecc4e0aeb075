//! `POST /validate`: from an HTTP request to a review's bytes, and back.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::{Bytes, HttpBody};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderValue};
use axum::http::{HeaderMap, Method, Request, Response, Version};
use futures_util::FutureExt;
use http_body_util::Full;
use hyper::service::{Service, service_fn};
use tokio::time::Instant;

use crate::http::body::{self, RequestBody};
use crate::http::health::Draining;
use crate::http::intake::Intake;
use crate::live::Live;
use crate::telemetry::metrics::Metrics;
use crate::http::rejection::{Reason, Rejection};
use crate::http::request_limits::RequestLimits;
use crate::http::timeout_hint;

/// Where reviews are answered.
pub const VALIDATE_PATH: &str = "/validate";
/// What follows it where the API server asks about a namespace that is exempt.
pub const FOR_THE_RECORD: &str = "/exempt";

/// What answers reviews.
pub trait Reviewer: Send + Sync + 'static {
    /// Answers the review in `body`, asked for in this way. After `answer_by`, if it says so, the caller waits
    /// no more.
    fn review(
        &self,
        body: Bytes,
        way: Way,
        answer_by: Option<Instant>,
    ) -> impl Future<Output = Answer> + Send;
}

/// How the API server was told to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To be judged.
    Guarded,
    /// For the record: it knows a namespace by its labels, which a review has not, to be exempt.
    Exempt,
}

/// What a [`Reviewer`] makes of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An AdmissionReview in JSON: 200.
    Review(Bytes),
    /// The body is no review; one line says why and quotes nothing of it: 400.
    Undecodable(String),
}

/// What a request is answered with, all of it at once: a request keeps what it began with.
#[derive(Debug)]
pub struct Serving<R> {
    /// What answers reviews.
    pub reviewer: R,
    /// What is refused before.
    pub limits: RequestLimits,
}

/// Serves `POST /validate` with what is in force when a request begins.
///
/// Two paths need no router, which would box each request, its body and its answer.
pub fn service<R: Reviewer, B: RequestBody>(
    serving: Arc<Live<Serving<R>>>,
    metrics: Arc<Metrics>,
    draining: Draining,
) -> impl Service<
    Request<B>,
    Response = Response<Full<Bytes>>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ Sync
+ 'static {
    let gate = Arc::new(Gate {
        serving,
        intake: Intake::default(),
        metrics,
        draining,
    });
    service_fn(move |request: Request<B>| {
        let gate = Arc::clone(&gate);
        async move { Ok(gate.answer(request).await) }
    })
}

/// Replaces the panic hook by one that logs where it happened, and nothing of what: a message may quote anything.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(location, "panic");
    }));
}

struct Gate<R> {
    serving: Arc<Live<Serving<R>>>,
    intake: Intake,
    metrics: Arc<Metrics>,
    draining: Draining,
}

/// How a request of this method and path asks, if it does.
fn way(method: &Method, path: &str) -> Result<Way, Rejection> {
    let way = match path.strip_prefix(VALIDATE_PATH) {
        Some("") => Way::Guarded,
        Some(FOR_THE_RECORD) => Way::Exempt,
        _ => return Err(Rejection::path()),
    };
    match *method {
        Method::POST => Ok(way),
        _ => Err(Rejection::method()),
    }
}

impl<R: Reviewer> Gate<R> {
    async fn answer<B: RequestBody>(&self, mut request: Request<B>) -> Response<Full<Bytes>> {
        let version = request.version();
        let is_head = *request.method() == Method::HEAD;
        // Whatever a panic leaves half done belongs to this request and goes with it.
        let outcome = AssertUnwindSafe(self.review(&mut request))
            .catch_unwind()
            .await;
        let response = match outcome {
            Ok(Ok(review)) => self.accept(version, review),
            Ok(Err(rejection)) => {
                // What cannot be decoded was read to its end.
                if rejection.reason != Reason::Undecodable {
                    leave(request);
                }
                self.reject(version, rejection)
            }
            Err(_) => self.reject(version, Rejection::panic()),
        };
        match is_head {
            true => head_of(response),
            false => response,
        }
    }

    async fn review<B: RequestBody>(&self, request: &mut Request<B>) -> Result<Bytes, Rejection> {
        let way = way(request.method(), request.uri().path())?;
        if !is_json(request.headers()) {
            return Err(Rejection::media_type());
        }
        // The caller's clock runs already, and its body may be long on the way.
        let answer_by = timeout_hint::in_query(request.uri().query())
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let serving = self.serving.get();
        let Serving { reviewer, limits } = &*serving;
        let Ok(mut place) = self.intake.enter(limits.max_requests).await else {
            return Err(Rejection::overload(limits.max_requests));
        };
        let _in_flight = self.metrics.request_begins();
        let body = body::read(request.body_mut(), limits, &mut place).await?;
        match reviewer.review(body, way, answer_by).await {
            Answer::Review(review) => Ok(review),
            Answer::Undecodable(line) => Err(Rejection::undecodable(line)),
        }
    }

    fn accept(&self, version: Version, review: Bytes) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(review));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.draining.is_draining() {
            close_after(version, &mut response);
        }
        response
    }

    fn reject(&self, version: Version, rejection: Rejection) -> Response<Full<Bytes>> {
        self.metrics.rejected(rejection.reason);
        // The rest of such a body is not worth waiting for.
        let abandoned = matches!(
            rejection.reason,
            Reason::BodyTooLarge | Reason::BodyTimeout | Reason::SlowBody | Reason::BodyMemory
        );
        let mut response = rejection.into_response();
        if abandoned || self.draining.is_draining() {
            close_after(version, &mut response);
        }
        response
    }
}

/// Leaves what is unread of a request. HTTP/2 resets the stream, and a client that waits for 100 Continue sends nothing more.
fn leave<B: RequestBody>(request: Request<B>) {
    if request.version() < Version::HTTP_2 && !request.headers().contains_key(EXPECT) {
        body::discard(request.into_body());
    }
}

/// The same without its body, which hyper leaves out over HTTP/1.1 only.
fn head_of(response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = HttpBody::size_hint(&body).exact() {
        parts.headers.insert(CONTENT_LENGTH, length.into());
    }
    Response::from_parts(parts, Full::default())
}

/// Asks the client to open a new connection next time. HTTP/2 has GOAWAY instead, and forbids the header.
fn close_after<B>(version: Version, response: &mut Response<B>) {
    if version < Version::HTTP_2 {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Whether the media type is `application/json`, whatever its parameters.
fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.as_bytes().split(|byte| *byte == b';').next())
        .is_some_and(|essence| {
            essence
                .trim_ascii()
                .eq_ignore_ascii_case(b"application/json")
        })
}

#[cfg(test)]
#[path = "reviews_tests.rs"]
mod tests;
