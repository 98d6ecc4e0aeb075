//! `/healthz`, `/readyz` and `/metrics`, in plain HTTP on an address of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::metrics::{self, Metrics};
use super::tls::{ServingCertificate, Validity};

/// How long the cluster may take to answer before it counts as silent; a kubelet's probe waits as long.
const CLUSTER_PATIENCE: Duration = Duration::from_secs(1);
/// How long a positive answer of the cluster holds, so that probes do not become load.
const CLUSTER_ANSWER_HOLDS: Duration = Duration::from_secs(1);

/// Whether what keyguard depends on is there.
pub trait Readiness: Send + Sync + 'static {
    /// Asks the cluster something cheap. It is given up after a second.
    ///
    /// # Errors
    /// One line of why it does not answer and what to do, without any secret.
    fn cluster_answers(&self) -> impl Future<Output = Result<(), String>> + Send;
}

/// Whether the program is on its way out: clones share it.
#[derive(Clone, Debug, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    /// Not ready from now on; answers ask the client to connect elsewhere.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it has begun.
    pub fn is_draining(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Serves the three paths.
pub fn router<R: Readiness>(
    readiness: Arc<R>,
    certificate: Arc<ServingCertificate>,
    metrics: Arc<Metrics>,
    draining: Draining,
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
    draining: Draining,
    cluster: Mutex<Option<Asked>>,
}

/// The last answer of the cluster.
struct Asked {
    answered_at: Instant,
    answer: Result<(), String>,
}

async fn readyz<R: Readiness>(State(health): State<Arc<Health<R>>>) -> Response {
    #[expect(clippy::disallowed_methods, reason = "readiness is about now")]
    let now = SystemTime::now();
    let failing = health.failing(unix_seconds(now)).await;
    if failing.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, failing.join("\n") + "\n").into_response()
}

async fn exposition<R: Readiness>(State(health): State<Arc<Health<R>>>) -> Response {
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
        if self.draining.is_draining() {
            failing.push("draining: keyguard is about to end".to_owned());
        }
        match self.certificate.valid_at(now) {
            Validity::Valid => {}
            Validity::NotYet(from) => failing.push(format!(
                "certificate: not valid before {}; mend the clock or --tls-cert",
                rfc3339(from)
            )),
            Validity::Expired(last) => failing.push(format!(
                "certificate: expired at {}; renew --tls-cert and --tls-key",
                rfc3339(last)
            )),
        }
        if let Err(why) = self.cluster_answers().await {
            failing.push(format!("cluster: {why}"));
        }
        failing
    }

    /// One question at a time: whoever comes while it is asked shares its answer, good or bad.
    async fn cluster_answers(&self) -> Result<(), String> {
        let came_at = Instant::now();
        let mut last = self.cluster.lock().await;
        if let Some(asked) = last.as_ref() {
            let shared = asked.answered_at >= came_at;
            let fresh = asked.answer.is_ok() && asked.answered_at.elapsed() < CLUSTER_ANSWER_HOLDS;
            if shared || fresh {
                return asked.answer.clone();
            }
        }
        let answer = timeout(CLUSTER_PATIENCE, self.readiness.cluster_answers())
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {CLUSTER_PATIENCE:?}")));
        *last = Some(Asked {
            answered_at: Instant::now(),
            answer: answer.clone(),
        });
        answer
    }
}

fn unix_seconds(time: SystemTime) -> i64 {
    let since = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    i64::try_from(since).unwrap_or(i64::MAX)
}

fn rfc3339(unix_seconds: i64) -> String {
    u64::try_from(unix_seconds)
        .ok()
        .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        .filter(|time| *time < UNIX_EPOCH + LAST_RFC3339)
        .map_or_else(
            || format!("{unix_seconds} (Unix seconds)"),
            |time| humantime::format_rfc3339_seconds(time).to_string(),
        )
}

/// 9999-12-31T23:59:59Z, the last moment that RFC 3339 can write.
const LAST_RFC3339: Duration = Duration::from_secs(253_402_300_799);

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
