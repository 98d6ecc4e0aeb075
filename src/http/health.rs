//! `/healthz`, `/readyz` and `/metrics`, in plain HTTP on an address of their own.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::clock::{self, rfc3339};
use crate::sources::source::Readiness;
use crate::telemetry::metrics::{self, Metrics};
use crate::tls::life::Validity;
use crate::tls::serving_certificate::{Origin, ServingCertificate};

/// How long the cluster may take for its first answer before it counts as silent; a kubelet's probe waits as long.
const CLUSTER_PATIENCE: Duration = Duration::from_secs(1);

/// Serves the three paths.
pub fn router<R: Readiness>(
    readiness: Arc<R>,
    certificate: Arc<ServingCertificate>,
    metrics: Arc<Metrics>,
    draining: CancellationToken,
) -> Router {
    let health = Arc::new(Health {
        readiness,
        certificate,
        metrics,
        draining,
        cluster: Mutex::new(None),
    });
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz::<R>))
        .route("/metrics", get(exposition::<R>))
        .fallback(async || {
            let line = "there is nothing at this path; ask for /healthz, /readyz or /metrics\n";
            (StatusCode::NOT_FOUND, line)
        })
        .with_state(health)
}

struct Health<R> {
    readiness: Arc<R>,
    certificate: Arc<ServingCertificate>,
    metrics: Arc<Metrics>,
    draining: CancellationToken,
    cluster: Mutex<Option<Asked>>,
}

/// The last answer of the cluster. A good one holds for ever: a cluster that becomes slow must not make every replica
/// unready. Reviews that read nothing need no answer, and for the others `onError` says what silence means.
struct Asked {
    answered_at: Instant,
    answer: Result<(), String>,
}

async fn readyz<R: Readiness>(State(health): State<Arc<Health<R>>>) -> Response {
    let failing = health.failing(clock::now()).await;
    if failing.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, failing.join("\n") + "\n").into_response()
}

async fn exposition<R: Readiness>(State(health): State<Arc<Health<R>>>) -> Response {
    health.measure(clock::now()).await;
    (
        [(CONTENT_TYPE, metrics::CONTENT_TYPE)],
        health.metrics.encode(),
    )
        .into_response()
}

impl<R: Readiness> Health<R> {
    /// A line for each condition that keeps it from being ready at `now`, in Unix seconds.
    async fn failing(&self, now: i64) -> Vec<String> {
        let mut failing = Vec::new();
        if self.draining.is_cancelled() {
            failing.push("draining: keyguard is about to end".to_owned());
        }
        if let Err(why) = self.certificate_serves(now) {
            failing.push(format!("certificate: {why}"));
        }
        failing.extend(self.certificate.unverified.load().as_deref().cloned());
        if !failing.is_empty() {
            failing.extend(self.certificate.keeper_error.load().as_deref().cloned());
        }
        if let Err(why) = self.cluster_answers().await {
            failing.push(format!("cluster: {why}"));
        }
        failing
    }

    /// Sets the metrics that say what `/readyz` would at `now`, in Unix seconds.
    async fn measure(&self, now: i64) {
        let ready = self.failing(now).await.is_empty();
        self.metrics.ready.set(ready.into());
        let verified = self.certificate.unverified.load().is_none();
        self.metrics.ca_bundle_verified.set(verified.into());
    }

    fn certificate_serves(&self, now: i64) -> Result<(), String> {
        let Some(pair) = self.certificate.pair() else {
            return Err("there is none yet".to_owned());
        };
        let life = pair.life();
        let (from, to) = (rfc3339(life.from), rfc3339(life.to));
        let (renew, mend) = match self.certificate.origin {
            Origin::Files => ("renew --tls-cert and --tls-key", "--tls-cert"),
            Origin::Kept => (
                "the log says why it is not renewed",
                "the Secret of --tls-secret",
            ),
        };
        Err(match life.at(now) {
            Validity::Valid => return Ok(()),
            Validity::Ending => format!("ends at {to}; {renew}"),
            Validity::NotYet => format!("not valid before {from}; mend the clock or {mend}"),
            Validity::Expired => format!("expired at {to}; {renew}"),
        })
    }

    /// One question at a time: probes that come while it is asked share its answer, good or bad.
    async fn cluster_answers(&self) -> Result<(), String> {
        let came_at = Instant::now();
        let mut last = self.cluster.lock().await;
        if let Some(asked) = last.as_ref()
            && (asked.answer.is_ok() || asked.answered_at >= came_at)
        {
            return asked.answer.clone();
        }
        let answer = timeout(CLUSTER_PATIENCE, self.readiness.answers())
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {CLUSTER_PATIENCE:?}")));
        *last = Some(Asked {
            answered_at: Instant::now(),
            answer: answer.clone(),
        });
        answer
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
