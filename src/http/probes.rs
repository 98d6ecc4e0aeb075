//! `/healthz`, `/readyz` and `/metrics` of what runs beside the webhook, in plain HTTP.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::limits::ConnectionLimits;
use crate::telemetry::metrics::CONTENT_TYPE as OPEN_METRICS;

/// The most connections for health and metrics; probes and a scraper need a handful.
const CONNECTIONS: usize = 64;

/// What is told of a program.
#[derive(Clone)]
pub struct Probes {
    /// What `/metrics` shows.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Why `/readyz` says that it is not ready.
    pub unready: Arc<ArcSwapOption<String>>,
}

/// Serves the three paths.
pub fn router(probes: Probes) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(exposition))
        .with_state(probes)
}

/// Limits for them; nobody waits for the end of a probe.
pub fn limits() -> Arc<ArcSwap<ConnectionLimits>> {
    Arc::new(ArcSwap::from_pointee(ConnectionLimits {
        max_connections: CONNECTIONS,
        drain_timeout: std::time::Duration::ZERO,
        ..ConnectionLimits::default()
    }))
}

async fn readyz(State(probes): State<Probes>) -> Response {
    match probes.unready.load().as_deref() {
        None => "ok\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn exposition(State(probes): State<Probes>) -> Response {
    ([(CONTENT_TYPE, OPEN_METRICS)], (probes.metrics)()).into_response()
}
