//! The configuration in force, and what exchanges it while the server runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::admission::lookups::Admission;
use crate::admission::password_checks::PasswordChecks;
use crate::admission::searches::Searches;
use crate::config::{Config, ConfigError};
use crate::follow::follow;
use crate::follow::watched_files::WatchedFiles;
use crate::http::limits::{ConnectionLimits, RequestLimits};
use crate::http::reviews::Serving;
use crate::sources::any_source::AnySource;
use crate::sources::source::{Bound, Source};
use crate::telemetry::labels::ConfigOutcome;
use crate::telemetry::labels::Follower;
use crate::telemetry::log::LogWriter;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::trail::Trail;
use arc_swap::ArcSwap;

/// From one look at the file to the next. A kubelet takes a minute to bring a change into a pod.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// What the configuration in force means for each part. A request, and a connection, keeps what it began with.
pub struct Configuration {
    /// What answers reviews.
    pub serving: Arc<ArcSwap<Serving<Admission<AnySource>>>>,
    /// What a connection may take.
    pub connections: Arc<ArcSwap<ConnectionLimits>>,
    /// What the operator wrote.
    pub config: Arc<ArcSwap<Config>>,
    /// Where facts come from.
    pub source: Arc<AnySource>,
    /// Where everything is counted.
    pub metrics: Arc<Metrics>,
    log: LogWriter,
    trail: Option<Arc<Trail>>,
    passwords: Arc<PasswordChecks>,
}

impl Configuration {
    /// Begins with `config`.
    pub fn new(
        config: Config,
        source: AnySource,
        metrics: Arc<Metrics>,
        log: LogWriter,
        trail: Option<Arc<Trail>>,
    ) -> Configuration {
        let passwords = Arc::default();
        let serving = serving(
            &config,
            &source,
            &metrics,
            (&log, trail.as_ref()),
            &passwords,
        );
        Configuration {
            serving: Arc::new(ArcSwap::from_pointee(serving)),
            connections: Arc::new(ArcSwap::from_pointee(connections(&config))),
            config: Arc::new(ArcSwap::from_pointee(config)),
            source: Arc::new(source),
            metrics,
            log,
            trail,
            passwords,
        }
    }

    /// Looks at `file` again and again, for ever, and puts another good configuration in force once it is there.
    pub async fn follow(&self, file: WatchedFiles<1, Config, ConfigError>) {
        let apply = |look| match look {
            None => {}
            Some(Ok(config)) => self.apply(config),
            Some(Err(error)) => self.refuse(&error),
        };
        let (follower, metrics) = (Follower::Configuration, &self.metrics);
        follow(follower, metrics, CHECK_INTERVAL, file, apply).await;
    }

    fn apply(&self, config: Config) {
        let (metrics, passwords) = (&self.metrics, &self.passwords);
        let records = (&self.log, self.trail.as_ref());
        let serving = serving(&config, &self.source, metrics, records, passwords);
        self.serving.store(Arc::new(serving));
        self.connections.store(Arc::new(connections(&config)));
        let after = Arc::new(config);
        let before = self.config.swap(Arc::clone(&after));
        metrics.config_reloads.inc(ConfigOutcome::Applied);
        tracing::info!("another configuration is in force");
        if before.exempt_namespaces != after.exempt_namespaces
            || before.exempt_namespace_labels != after.exempt_namespace_labels
        {
            tracing::info!(
                "exempt namespaces changed: print the webhook configuration again, which tells the API server how to \
                 ask about them"
            );
        }
        if before.guard != after.guard {
            tracing::info!(
                "guard changed: print the webhook configuration again, by which the API server knows what to ask about"
            );
        }
        if before.certificates != after.certificates {
            tracing::warn!("what changed under certificates counts from the next start");
        }
    }

    fn refuse(&self, error: &ConfigError) {
        self.metrics.config_reloads.inc(ConfigOutcome::Refused);
        tracing::error!(
            reason = %error,
            "another configuration is refused; the one before stays"
        );
    }
}

fn serving(
    config: &Config,
    source: &AnySource,
    metrics: &Arc<Metrics>,
    (log, trail): (&LogWriter, Option<&Arc<Trail>>),
    passwords: &Arc<PasswordChecks>,
) -> Serving<Admission<AnySource>> {
    let Config {
        limits, timeouts, ..
    } = config;
    let source = Arc::new(source.reading_up_to(*limits.max_secret_bytes));
    let mut admission = admission(config, source, metrics, log, passwords);
    admission.trail = trail.cloned();
    let limits = RequestLimits {
        max_body_bytes: *limits.max_body_bytes,
        max_body_bytes_in_flight: *limits.max_body_bytes_in_flight,
        body_timeout: *timeouts.body,
        max_requests: *limits.max_concurrent_requests,
    };
    Serving::new(admission, limits)
}

/// What judges by `config` with facts from `source`.
pub fn admission<S: Source>(
    config: &Config,
    source: Arc<S>,
    metrics: &Arc<Metrics>,
    log: &LogWriter,
    passwords: &Arc<PasswordChecks>,
) -> Admission<S> {
    let Config {
        limits, timeouts, ..
    } = config;
    let bound = Bound {
        workloads: *limits.max_workloads,
        bytes: *limits.max_workload_bytes,
    };
    Admission {
        policy: config.policy(),
        searches: Searches::new(Arc::clone(&source), bound, Arc::clone(metrics)),
        source,
        max_json_depth: *limits.max_json_depth,
        lookup_timeout: *timeouts.lookup,
        reads: Semaphore::new(*limits.max_concurrent_secret_reads),
        passwords: Arc::clone(passwords),
        decided: None,
        metrics: Arc::clone(metrics),
        log: log.clone(),
        trail: None,
    }
}

fn connections(config: &Config) -> ConnectionLimits {
    let Config {
        limits, timeouts, ..
    } = config;
    ConnectionLimits {
        max_connections: *limits.max_connections,
        tls_handshake_timeout: *timeouts.tls_handshake,
        idle_timeout: *timeouts.idle,
        drain_timeout: *timeouts.drain,
        ..ConnectionLimits::default()
    }
}
