//! `/healthz`, `/readyz` and `/metrics` of `scan --every`, in plain HTTP.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::telemetry::metrics::CONTENT_TYPE as OPEN_METRICS;
use crate::telemetry::scan_metrics::ScanMetrics;

/// What is told of a program that scans.
#[derive(Clone)]
pub struct ScanHealth {
    /// What `/metrics` shows.
    pub metrics: Arc<ScanMetrics>,
    /// Why `/readyz` says that it is not ready.
    pub unready: Arc<ArcSwapOption<String>>,
}

/// Serves the three paths.
pub fn router(health: ScanHealth) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(exposition))
        .with_state(health)
}

async fn readyz(State(health): State<ScanHealth>) -> Response {
    match health.unready.load().as_deref() {
        None => "ok\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn exposition(State(health): State<ScanHealth>) -> Response {
    ([(CONTENT_TYPE, OPEN_METRICS)], health.metrics.encode()).into_response()
}
