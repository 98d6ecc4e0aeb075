//! `POST /validate`: from an HTTP request to a review's bytes, and back.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE, EXPECT, HeaderValue};
use axum::http::{HeaderMap, Version};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::FutureExt;
use tokio::task::yield_now;
use tokio::time::Instant;

use super::body;
use super::health::Draining;
use super::intake::{Intake, Place};
use super::live::Live;
use super::metrics::Metrics;
use super::rejection::{Reason, Rejection};
use super::request_limits::RequestLimits;
use super::timeout_hint;

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
pub fn router<R: Reviewer>(
    serving: Arc<Live<Serving<R>>>,
    metrics: Arc<Metrics>,
    draining: Draining,
) -> Router {
    let gate = Arc::new(Gate {
        serving,
        intake: Intake::default(),
        metrics,
        draining,
    });
    Router::new()
        .route(VALIDATE_PATH, post(validate::<R>))
        .route(
            &format!("{VALIDATE_PATH}{FOR_THE_RECORD}"),
            post(validate_exempt::<R>),
        )
        .method_not_allowed_fallback(wrong_method::<R>)
        .fallback(wrong_path::<R>)
        .with_state(gate)
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

async fn validate<R: Reviewer>(State(gate): State<Arc<Gate<R>>>, request: Request) -> Response {
    gate.validate(request, Way::Guarded).await
}

async fn validate_exempt<R: Reviewer>(
    State(gate): State<Arc<Gate<R>>>,
    request: Request,
) -> Response {
    gate.validate(request, Way::Exempt).await
}
async fn wrong_method<R: Reviewer>(State(gate): State<Arc<Gate<R>>>, request: Request) -> Response {
    let version = request.version();
    leave(request);
    gate.reject(version, Rejection::method())
}

async fn wrong_path<R: Reviewer>(State(gate): State<Arc<Gate<R>>>, request: Request) -> Response {
    let version = request.version();
    leave(request);
    gate.reject(version, Rejection::path())
}

impl<R: Reviewer> Gate<R> {
    async fn validate(&self, request: Request, way: Way) -> Response {
        let version = request.version();
        // Whatever a panic leaves half done belongs to this request and goes with it.
        let outcome = AssertUnwindSafe(self.review(request, way))
            .catch_unwind()
            .await;
        // Whatever else has arrived is decided on first, and the answers then go out one after another: a client that
        // waits for several is woken once for all of them, which costs less than waking it for each.
        yield_now().await;
        match outcome {
            Ok(Ok(review)) => self.answer(version, review),
            Ok(Err(rejection)) => self.reject(version, rejection),
            Err(_) => self.reject(version, Rejection::panic()),
        }
    }

    async fn review(&self, request: Request, way: Way) -> Result<Bytes, Rejection> {
        if !is_json(request.headers()) {
            leave(request);
            return Err(Rejection::media_type());
        }
        // The caller's clock runs already, and its body may be long on the way.
        let answer_by = timeout_hint::in_query(request.uri().query())
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let serving = self.serving.get();
        let Serving { reviewer, limits } = &*serving;
        let Ok(mut place) = self.intake.enter(limits.max_requests).await else {
            leave(request);
            return Err(Rejection::overload(limits.max_requests));
        };
        let _in_flight = self.metrics.request_begins();
        let body = read(request, limits, &mut place).await?;
        match reviewer.review(body, way, answer_by).await {
            Answer::Review(review) => Ok(review),
            Answer::Undecodable(line) => Err(Rejection::undecodable(line)),
        }
    }

    fn answer(&self, version: Version, review: Bytes) -> Response {
        let mut response = Response::new(Body::from(review));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.draining.is_draining() {
            close_after(version, &mut response);
        }
        response
    }

    fn reject(&self, version: Version, rejection: Rejection) -> Response {
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

async fn read(
    mut request: Request,
    limits: &RequestLimits,
    place: &mut Place<'_>,
) -> Result<Bytes, Rejection> {
    let read = body::read(request.body_mut(), limits, place).await;
    if read.is_err() {
        leave(request);
    }
    read
}

/// Leaves a request unread. HTTP/2 resets the stream, and a client that waits for 100 Continue sends nothing more.
fn leave(request: Request) {
    if request.version() < Version::HTTP_2 && !request.headers().contains_key(EXPECT) {
        body::discard(request.into_body());
    }
}

/// Asks the client to open a new connection next time. HTTP/2 has GOAWAY instead, and forbids the header.
fn close_after(version: Version, response: &mut Response) {
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
#[path = "http_tests.rs"]
mod tests;
