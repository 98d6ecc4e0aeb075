//! What is counted and timed. All labels are closed sets, so nothing here grows with traffic.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::telemetry::certificate_metrics::{
    CertificateMetrics, Kind, ReloadOutcome, WriteOutcome,
};
use crate::telemetry::config_metrics::ConfigOutcome;
use crate::telemetry::follower_metrics::Follower;
use crate::telemetry::labelled_counter::LabelledCounter;
use crate::tls::client_certificates::ClientRefusal;
use keyguard_core::policy::rules::Rule;
use keyguard_core::policy::subject::Operation;
use keyguard_core::policy::verdict::Decision;
use keyguard_core::review::request::Webhook;

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why a request got no review, as a label says it.
pub const REJECTION_REASONS: [&str; 10] = [
    "path",
    "method",
    "media-type",
    "body-too-large",
    "body-timeout",
    "body-incomplete",
    "undecodable",
    "overload",
    "body-memory",
    "panic",
];

/// The bounds of the latency histogram, in seconds: 0.25 ms to 5 s, the webhook's own timeout.
const DURATION_BUCKETS: [f64; 14] = [
    0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];

/// The metrics of the program.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    decisions: Family<DecisionLabels, Counter>,
    durations: [(Webhook, Histogram); Webhook::ALL.len()],
    secret_reads: LabelledCounter,
    config_map_reads: LabelledCounter,
    workload_searches: LabelledCounter,
    requests_in_flight: Gauge,
    requests_rejected: LabelledCounter,
    records_dropped: Counter,
    connections: Gauge,
    tls_handshakes_failed: Counter,
    clients_refused: LabelledCounter,
    certificate: CertificateMetrics,
    config_reloads: LabelledCounter,
    follower_faults: LabelledCounter,
}

/// How a read of an object ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// It is there.
    Found,
    /// It does not exist.
    Missing,
    /// keyguard may not read it.
    Forbidden,
    /// No answer before the deadline.
    Timeout,
    /// Any other failure.
    Error,
    /// Longer than what is read.
    TooLarge,
}

impl ReadOutcome {
    /// Every outcome.
    pub const ALL: [ReadOutcome; 6] = [
        ReadOutcome::Found,
        ReadOutcome::Missing,
        ReadOutcome::Forbidden,
        ReadOutcome::Timeout,
        ReadOutcome::Error,
        ReadOutcome::TooLarge,
    ];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            ReadOutcome::Found => "found",
            ReadOutcome::Missing => "missing",
            ReadOutcome::Forbidden => "forbidden",
            ReadOutcome::Timeout => "timeout",
            ReadOutcome::Error => "error",
            ReadOutcome::TooLarge => "too-large",
        }
    }
}

/// One more of something, until it is dropped.
#[derive(Debug)]
pub struct Held(Gauge);

impl Held {
    fn one_of(gauge: &Gauge) -> Self {
        gauge.inc();
        Held(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Registers everything; what has few labels shows 0 from the start.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("keyguard");
        let decisions = Family::default();
        registry.register(
            "decisions",
            "Reviews decided on, by rule that found something",
            decisions.clone(),
        );
        let durations = durations(&mut registry);
        let secret_reads = reads(&mut registry, "secret_reads", "Secrets read, by outcome");
        let config_map_reads = reads(
            &mut registry,
            "config_map_reads",
            "ConfigMaps read, by outcome",
        );
        let workload_searches = reads(
            &mut registry,
            "workload_searches",
            "Searches for workloads that use what is changed, by outcome",
        );
        let requests_in_flight = gauge(&mut registry, "requests_in_flight", "Reviews in progress");
        let requests_rejected = LabelledCounter::register(
            &mut registry,
            (
                "requests_rejected",
                "Requests answered without a review, by reason",
            ),
            "reason",
            REJECTION_REASONS,
        );
        let records_dropped = Counter::default();
        let help = "Log lines that were dropped because their reader was too slow or had gone";
        registry.register("records_dropped", help, records_dropped.clone());
        let connections = gauge(&mut registry, "connections", "Open connections for reviews");
        let tls_handshakes_failed = Counter::default();
        let help = "TLS handshakes that failed or took too long";
        registry.register("tls_handshakes_failed", help, tls_handshakes_failed.clone());
        let clients_refused = LabelledCounter::register(
            &mut registry,
            (
                "clients_refused",
                "TLS clients without a certificate that is let in, by reason",
            ),
            "reason",
            ClientRefusal::ALL.map(ClientRefusal::name),
        );
        let certificate = CertificateMetrics::register(&mut registry);
        let config_reloads = LabelledCounter::register(
            &mut registry,
            (
                "config_reloads",
                "Other configurations found after the start, by what became of them",
            ),
            "outcome",
            ConfigOutcome::ALL.map(ConfigOutcome::name),
        );
        let follower_faults = LabelledCounter::register(
            &mut registry,
            (
                "follower_faults",
                "Looks at a file that a fault in keyguard ended, by what was looked at",
            ),
            "follower",
            Follower::ALL.map(Follower::name),
        );
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "The program", Info::new(version));
        Metrics {
            registry,
            decisions,
            durations,
            secret_reads,
            config_map_reads,
            workload_searches,
            requests_in_flight,
            requests_rejected,
            records_dropped,
            connections,
            tls_handshakes_failed,
            clients_refused,
            certificate,
            config_reloads,
            follower_faults,
        }
    }

    /// A fault ended a look at a file.
    pub fn follower_failed(&self, follower: Follower) {
        self.follower_faults.inc(follower.name());
    }

    /// A decision, under one rule that found something or under none.
    pub fn decided(
        &self,
        webhook: Webhook,
        operation: Operation,
        decision: Decision,
        rule: Option<Rule>,
    ) {
        let labels = DecisionLabels {
            webhook: webhook.name(),
            operation: operation.name(),
            decision: decision.name(),
            rule: rule.map_or("none", Rule::id),
        };
        self.decisions.get_or_create(&labels).inc();
    }

    /// How long a review took, from its body to its answer.
    pub fn reviewed(&self, webhook: Webhook, duration: Duration) {
        if let Some((_, histogram)) = self.durations.iter().find(|(of, _)| *of == webhook) {
            histogram.observe(duration.as_secs_f64());
        }
    }

    /// A Secret was read, or not.
    pub fn secret_read(&self, outcome: ReadOutcome) {
        self.secret_reads.inc(outcome.name());
    }

    /// A ConfigMap was read, or not.
    pub fn config_map_read(&self, outcome: ReadOutcome) {
        self.config_map_reads.inc(outcome.name());
    }

    /// Workloads were looked through, or not to the end: `found` when somebody uses a credential.
    pub fn workloads_searched(&self, outcome: ReadOutcome) {
        self.workload_searches.inc(outcome.name());
    }

    /// A review is in progress until the result is dropped.
    pub fn request_begins(&self) -> Held {
        Held::one_of(&self.requests_in_flight)
    }

    /// A request got no review.
    pub fn rejected(&self, reason: &'static str) {
        self.requests_rejected.inc(reason);
    }

    /// Lines of the log were lost.
    pub fn records_dropped(&self, lines: u64) {
        self.records_dropped.inc_by(lines);
    }

    /// A connection is open until the result is dropped.
    pub fn connection_opens(&self) -> Held {
        Held::one_of(&self.connections)
    }

    /// A TLS handshake failed or took too long.
    pub fn tls_handshake_failed(&self) {
        self.tls_handshakes_failed.inc();
    }

    /// A client was not let in, for want of the right certificate.
    pub fn client_refused(&self, refusal: ClientRefusal) {
        self.clients_refused.inc(refusal.name());
    }

    /// The serving certificate's last moment of validity, in Unix seconds.
    pub fn certificate_not_after(&self, unix_seconds: i64) {
        self.certificate.not_after(unix_seconds);
    }

    /// keyguard wrote its certificates, or could not.
    pub fn certificate_written(&self, kind: Kind, outcome: WriteOutcome) {
        self.certificate.written(kind, outcome);
    }

    /// A look at what keyguard keeps failed.
    pub fn certificate_check_failed(&self) {
        self.certificate.check_failed();
    }

    /// Another certificate was found, and presented or not.
    pub fn certificate_reloaded(&self, outcome: ReloadOutcome) {
        self.certificate.reloaded(outcome);
    }

    /// Another configuration was found, and put in force or not.
    pub fn config_reloaded(&self, outcome: ConfigOutcome) {
        self.config_reloads.inc(outcome.name());
    }

    /// Everything in OpenMetrics text, of [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let mut exposition = String::new();
        if text::encode(&mut exposition, &self.registry).is_err() {
            tracing::error!("the metrics could not be written");
        }
        exposition
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    webhook: &'static str,
    operation: &'static str,
    decision: &'static str,
    rule: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WebhookLabels {
    webhook: &'static str,
}

fn gauge(registry: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    registry.register(name, help, gauge.clone());
    gauge
}

fn durations(registry: &mut Registry) -> [(Webhook, Histogram); Webhook::ALL.len()] {
    let family: Family<WebhookLabels, Histogram, fn() -> Histogram> =
        Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS));
    registry.register_with_unit(
        "review_duration",
        "Time from a review's body to its answer",
        Unit::Seconds,
        family.clone(),
    );
    Webhook::ALL.map(|webhook| {
        let labels = WebhookLabels {
            webhook: webhook.name(),
        };
        (webhook, family.get_or_create_owned(&labels))
    })
}

fn reads(registry: &mut Registry, name: &str, help: &str) -> LabelledCounter {
    let outcomes = ReadOutcome::ALL.map(ReadOutcome::name);
    LabelledCounter::register(registry, (name, help), "outcome", outcomes)
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
