//! What a trace of a review consists of. Without somebody who takes spans nothing is made of it.

use axum::http::{Method, Request};
use tracing::Span;
use tracing::field::Empty;

/// The header by which a caller names the trace that a request is part of, as W3C Trace Context has it.
#[cfg(feature = "audit")]
const PARENT: &str = "traceparent";

/// A request for a review, part of the trace that its headers name: the API server names one when its tracing is switched
/// on.
pub fn request<B>(request: &Request<B>) -> Span {
    let path = request.uri().path();
    let span = tracing::debug_span!(
        "request",
        otel.name = format_args!("{} {path}", request.method()),
        otel.kind = "server",
        http.request.method = %request.method(),
        http.route = path,
        http.response.status_code = Empty,
    );
    #[cfg(feature = "audit")]
    if !span.is_disabled() && request.headers().contains_key(PARENT) {
        use opentelemetry::propagation::TextMapPropagator as _;
        use tracing_opentelemetry::OpenTelemetrySpanExt as _;

        let propagator = opentelemetry_sdk::propagation::TraceContextPropagator::new();
        let headers = opentelemetry_http::HeaderExtractor(request.headers());
        // It fails where nobody takes spans.
        let _ = span.set_parent(propagator.extract(&headers));
    }
    span
}

/// A call of the API server for a review. One for nobody's review is no part of a trace.
pub fn call(method: &Method, path: &str) -> Span {
    match Span::current().is_none() {
        true => Span::none(),
        false => tracing::debug_span!(
            "call",
            otel.name = %method,
            otel.kind = "client",
            http.request.method = %method,
            url.path = path,
            http.response.status_code = Empty,
        ),
    }
}

/// A step of a review that waits for something else.
pub fn step(what: &'static str) -> Span {
    match Span::current().is_none() {
        true => Span::none(),
        false => tracing::debug_span!("step", otel.name = what),
    }
}
