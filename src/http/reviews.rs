//! `POST /validate`: from an HTTP request to a review's bytes, and back.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE, EXPECT, HeaderValue};
use axum::http::{HeaderMap, Version};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument as _;

use super::body;
use super::limits::RequestLimits;
use super::rejection::Rejection;
use super::timeout_hint;
use crate::telemetry::labels::RejectionReason;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::spans;

/// Where reviews are answered.
pub const VALIDATE_PATH: &str = "/validate";
/// What follows it where the API server asks about a namespace that it knows, by its labels, to be exempt.
pub const EXEMPT_SUFFIX: &str = "/exempt";

/// What answers reviews.
pub trait Reviewer: Send + Sync + 'static {
    /// Answers the review in `body`, asked for in this mode. After `answer_by`, if it says so, the caller waits no more.
    fn review(
        &self,
        body: Bytes,
        mode: ReviewMode,
        answer_by: Option<Instant>,
    ) -> impl Future<Output = Answer> + Send;

    /// Notes a review that was asked for and is not answered.
    fn rejected(&self, rejection: &Rejection, took: Duration);
}

/// How the API server was told to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewMode {
    /// To be judged.
    Guarded,
    /// For the record: the namespace is exempt by its labels, which a review has not.
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
    reviewer: R,
    limits: RequestLimits,
    /// A permit for each review in progress.
    reviews: Semaphore,
    /// A permit for each byte of all bodies.
    body_bytes: Semaphore,
}

impl<R> Serving<R> {
    /// Lets `reviewer` answer within `limits`.
    pub fn new(reviewer: R, limits: RequestLimits) -> Serving<R> {
        let permits = |count: usize| Semaphore::new(count.min(Semaphore::MAX_PERMITS));
        Serving {
            reviewer,
            limits,
            reviews: permits(limits.max_requests),
            body_bytes: permits(limits.max_body_bytes_in_flight),
        }
    }
}

/// What every request is answered with.
struct Reviews<R> {
    serving: Arc<ArcSwap<Serving<R>>>,
    metrics: Arc<Metrics>,
}

/// Serves `POST /validate` and `POST /validate/exempt`, with what is in force when a request begins.
pub fn router<R: Reviewer>(
    serving: Arc<ArcSwap<Serving<R>>>,
    metrics: Arc<Metrics>,
    draining: CancellationToken,
) -> Router {
    let reviews = Arc::new(Reviews {
        serving,
        metrics: Arc::clone(&metrics),
    });
    let asked = |mode| {
        let review = move |State(reviews): State<Arc<Reviews<R>>>, request: Request| async move {
            let span = spans::request(&request);
            let answer = reviews.answer(mode, request).instrument(span.clone());
            let response = answer.await;
            span.record("http.response.status_code", response.status().as_u16());
            response
        };
        post(review).fallback(async |request| reject(request, Rejection::Method).await)
    };
    Router::new()
        .route(VALIDATE_PATH, asked(ReviewMode::Guarded))
        .route(
            &format!("{VALIDATE_PATH}{EXEMPT_SUFFIX}"),
            asked(ReviewMode::Exempt),
        )
        .fallback(async |request| reject(request, Rejection::Path).await)
        .with_state(reviews)
        .layer(CatchPanicLayer::custom(|_: Box<dyn Any + Send>| {
            Rejection::Panic.into_response()
        }))
        .layer(from_fn_with_state((metrics, draining), finish))
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

impl<R: Reviewer> Reviews<R> {
    async fn answer(&self, mode: ReviewMode, request: Request) -> Response {
        if !is_json(request.headers()) {
            return reject(request, Rejection::MediaType).await;
        }
        let begun = Instant::now();
        // The caller's clock runs already, and its body may be long on the way.
        let answer_by = timeout_hint::in_query(request.uri().query())
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let serving = self.serving.load_full();
        let _in_flight = self.metrics.request_begins();
        match serving.review(request.into_body(), mode, answer_by).await {
            Ok(review) => ([(CONTENT_TYPE, "application/json")], review).into_response(),
            Err(rejection) => {
                serving.reviewer.rejected(&rejection, begun.elapsed());
                rejection.into_response()
            }
        }
    }
}

impl<R: Reviewer> Serving<R> {
    async fn review(
        &self,
        body: Body,
        mode: ReviewMode,
        answer_by: Option<Instant>,
    ) -> Result<Bytes, Rejection> {
        let (body, _held) = body::read(body, &self.limits, &self.body_bytes).await?;
        // Only now: bodies that are slow to arrive must not keep others out.
        let Ok(_permit) = self.reviews.try_acquire() else {
            return Err(Rejection::Overload(self.limits.max_requests));
        };
        match self.reviewer.review(body, mode, answer_by).await {
            Answer::Review(review) => Ok(review),
            Answer::Undecodable(line) => Err(Rejection::Undecodable(line)),
        }
    }
}

/// Answers a request whose body nobody reads: HTTP/2 resets its stream, and a client that waits for 100 Continue sends
/// nothing more; over HTTP/1 what is on its way must be read, or the client gets no answer to see.
async fn reject(request: Request, rejection: Rejection) -> Response {
    if request.version() < Version::HTTP_2 && !request.headers().contains_key(EXPECT) {
        body::discard(&mut request.into_body()).await;
    }
    rejection.into_response()
}

/// Counts what got no review, and asks HTTP/1 clients to connect anew while the server drains, or after a body that was
/// not read to its end. HTTP/2 has GOAWAY for it, and forbids the header.
async fn finish(
    State((metrics, draining)): State<(Arc<Metrics>, CancellationToken)>,
    request: Request,
    next: Next,
) -> Response {
    let version = request.version();
    let mut response = next.run(request).await;
    let reason = response.extensions().get::<RejectionReason>().copied();
    if let Some(reason) = reason {
        metrics.requests_rejected.inc(reason);
    }
    let is_unread = matches!(
        reason,
        Some(
            RejectionReason::BodyTooLarge
                | RejectionReason::BodyTimeout
                | RejectionReason::BodyMemory
        )
    );
    if version < Version::HTTP_2 && (is_unread || draining.is_cancelled()) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
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
