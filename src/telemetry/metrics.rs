//! What is counted and timed.

use std::fmt::Debug;
use std::sync::OnceLock;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Unit;
use strum::VariantArray;

use super::decision_labels::{DecisionLabels, NO_RULE};
use super::labelled_counter::LabelledCounter;
use super::labels::{
    ClientRefusal, ConfigOutcome, Follower, Kind, LostReason, OtlpOutcome, ReadOutcome,
    RejectionReason, ReloadOutcome, WriteOutcome,
};
use super::readable::{Each, Read, Readable};
use super::registered::{All, labelled, registered, with_unit};
use keyguard_core::policy::rules::Rule;
use keyguard_core::policy::subject::Operation;
use keyguard_core::policy::verdict::Decision;
use keyguard_core::review::request::Webhook;

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the name of each begins with.
pub(super) const PREFIX: &str = "keyguard";
/// The name of the latency histogram, in seconds.
pub(super) const DURATIONS: &str = "review_duration";
/// The bounds of the latency histogram, in seconds: 0.25 ms to 5 s, the webhook's own timeout.
pub(super) const DURATION_BUCKETS: [f64; 14] = [
    0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
];

/// The metrics of the program.
#[derive(Debug)]
pub struct Metrics {
    all: All,
    decisions: Family<DecisionLabels, Counter>,
    durations: [(Webhook, Histogram); Webhook::VARIANTS.len()],
    durations_elsewhere: OnceLock<Box<dyn Durations>>,
    requests_in_flight: Gauge,
    connections: Gauge,
    certificate_writes: Family<[(&'static str, &'static str); 2], Counter>,
    /// Secrets read, or not.
    pub secret_reads: LabelledCounter<ReadOutcome>,
    /// ConfigMaps read, or not.
    pub config_map_reads: LabelledCounter<ReadOutcome>,
    /// Workloads looked through, or not to the end: `found` when somebody uses a credential.
    pub workload_searches: LabelledCounter<ReadOutcome>,
    /// Rounds in which workloads were looked through.
    pub workload_rounds: Counter,
    /// Requests that got no review.
    pub requests_rejected: LabelledCounter<RejectionReason>,
    /// Lines of the log that were lost.
    pub records_dropped: Counter,
    /// Records that the audit store has.
    pub audit_records_written: Counter,
    /// Records that wait for the audit store.
    pub audit_records_waiting: Gauge,
    /// Bytes of records in the spool.
    pub audit_spool_bytes: Gauge,
    /// Records that the audit store will never have.
    pub audit_records_lost: LabelledCounter<LostReason>,
    /// Records that were handed to OpenTelemetry.
    pub otlp_records: LabelledCounter<OtlpOutcome>,
    /// TLS handshakes that failed or took too long.
    pub tls_handshakes_failed: Counter,
    /// Clients that were not let in, for want of the right certificate.
    pub clients_refused: LabelledCounter<ClientRefusal>,
    /// The serving certificate's last moment of validity, in Unix seconds.
    pub certificate_not_after: Gauge,
    /// Other certificates that were found.
    pub certificate_reloads: LabelledCounter<ReloadOutcome>,
    /// Looks at what keyguard keeps that failed.
    pub certificate_checks_failed: Counter,
    /// 1 while keyguard is ready, else 0.
    pub ready: Gauge,
    /// 0 while a `caBundle` does not verify the certificate, else 1.
    pub ca_bundle_verified: Gauge,
    /// How far the clock is ahead of the API server's, in seconds.
    pub clock_skew: Gauge,
    /// Other configurations that were found.
    pub config_reloads: LabelledCounter<ConfigOutcome>,
    /// Looks at a file that a fault ended.
    pub follower_faults: LabelledCounter<Follower>,
}

/// Who else is told how long reviews take.
pub trait Durations: Debug + Send + Sync {
    /// A review for this webhook took so many seconds.
    fn took(&self, webhook: &'static str, seconds: f64);
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
        let mut registered_here = All::with_prefix(PREFIX);
        let all = &mut registered_here;
        let metrics = Metrics {
            decisions: registered(
                all,
                "decisions",
                "Decisions; a review under two rules counts once for each, one under none as `none`",
            ),
            durations: durations(all),
            secret_reads: labelled(
                all,
                "secret_reads",
                "Secrets read: `found`, `missing`, `forbidden`, `timeout`, `error`, `too-large`",
                "outcome",
            ),
            config_map_reads: labelled(
                all,
                "config_map_reads",
                "ConfigMaps read, with the same outcomes",
                "outcome",
            ),
            workload_searches: labelled(
                all,
                "workload_searches",
                "Searches for workloads that use what is changed: `found`, `missing` when nobody does, the others as \
                 above; `too-large` is beyond the bound",
                "outcome",
            ),
            workload_rounds: registered(
                all,
                "workload_rounds",
                "Rounds of lists for these searches; all that wait for the same namespace share one",
            ),
            requests_in_flight: registered(all, "requests_in_flight", "Requests in progress"),
            requests_rejected: labelled(
                all,
                "requests_rejected",
                "Requests without a review, see below",
                "reason",
            ),
            records_dropped: registered(
                all,
                "records_dropped",
                "Log lines that the reader of the log was too slow for, or that came when nobody read it any more",
            ),
            audit_records_written: registered(
                all,
                "audit_records_written",
                "Records that the audit store has, of this process",
            ),
            audit_records_waiting: registered(
                all,
                "audit_records_waiting",
                "Records that wait for the audit store",
            ),
            audit_spool_bytes: registered(
                all,
                "audit_spool_bytes",
                "Bytes of records that wait for the collector, with `--audit-server`",
            ),
            audit_records_lost: labelled(
                all,
                "audit_records_lost",
                "Records that the audit store will never have: `allow-queue-full` before `refusal-queue-full`, when too \
                 many wait; `allow-spool-full` before `refusal-spool-full`, when the spool has no room; `spool-damaged`, \
                 once for a segment of it; `store-taken`, once, when another keyguard writes to the store",
                "reason",
            ),
            otlp_records: labelled(
                all,
                "otlp_records",
                "Records for `--otlp-endpoint`: `sent`; or lost, as too many waited (`queue-full`) or the other end did not \
                 take them for five minutes (`not-taken`)",
                "outcome",
            ),
            connections: registered(all, "connections", "Open connections for reviews"),
            tls_handshakes_failed: registered(
                all,
                "tls_handshakes_failed",
                "Handshakes that failed or took too long",
            ),
            clients_refused: labelled(
                all,
                "clients_refused",
                "Clients refused under `--client-ca`: `no-certificate`, `not-trusted` or `other-name`",
                "reason",
            ),
            certificate_not_after: with_unit(
                all,
                "certificate_not_after",
                "End of the certificate's validity, in Unix seconds",
            ),
            certificate_reloads: labelled(
                all,
                "certificate_reloads",
                "Other certificates after the first: `served`, or `refused`",
                "outcome",
            ),
            certificate_writes: registered(
                all,
                "certificate_writes",
                "Writes of the `secret` and of the `webhook-configuration`: `written`, `lost` to another replica, \
                 `forbidden`, `error`",
            ),
            certificate_checks_failed: registered(
                all,
                "certificate_checks_failed",
                "Looks at them that failed",
            ),
            ready: registered(all, "ready", "1 while `/readyz` answers 200, else 0"),
            ca_bundle_verified: registered(
                all,
                "ca_bundle_verified",
                "0 while the `caBundle` of a webhook, as it was last read, does not verify the certificate, else 1",
            ),
            clock_skew: with_unit(
                all,
                "clock_skew",
                "How far keyguard's clock is ahead of the API server's, by its last answer; more than 10 s are logged, too",
            ),
            config_reloads: labelled(
                all,
                "config_reloads",
                "Other configurations found after the start: `applied`, or `refused`",
                "outcome",
            ),
            follower_faults: labelled(
                all,
                "follower_faults",
                "Looks at a file that a fault in keyguard ended, of `configuration`, `client-ca` or \
                 `certificate-files`; what was in force stays, and the next look comes",
                "follower",
            ),
            durations_elsewhere: OnceLock::new(),
            all: All::with_prefix(PREFIX),
        };
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        all.registry.register("build", "1", Info::new(version));
        for kind in Kind::VARIANTS {
            for outcome in WriteOutcome::VARIANTS {
                drop(metrics.writes(*kind, *outcome));
            }
        }
        Metrics {
            all: registered_here,
            ..metrics
        }
    }

    /// Everything that can be read as numbers; the durations of reviews cannot.
    pub fn readable(&self) -> &[Readable] {
        &self.all.readable
    }

    /// Tells somebody else, too, how long each review takes; who comes second is not told.
    pub fn tell_durations(&self, to: impl Durations + 'static) {
        let _ = self.durations_elsewhere.set(Box::new(to));
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
            rule: rule.map_or(NO_RULE, Rule::id),
        };
        self.decisions.get_or_create(&labels).inc();
    }

    /// How long a review took, from its body to its answer.
    pub fn reviewed(&self, webhook: Webhook, duration: Duration) {
        if let Some((_, histogram)) = self.durations.iter().find(|(of, _)| *of == webhook) {
            histogram.observe(duration.as_secs_f64());
        }
        if let Some(elsewhere) = self.durations_elsewhere.get() {
            elsewhere.took(webhook.name(), duration.as_secs_f64());
        }
    }

    /// A request is in progress until the result is dropped.
    pub fn request_begins(&self) -> Held {
        Held::one_of(&self.requests_in_flight)
    }

    /// A connection is open until the result is dropped.
    pub fn connection_opens(&self) -> Held {
        Held::one_of(&self.connections)
    }

    /// keyguard wrote its certificates, or could not.
    pub fn certificate_written(&self, kind: Kind, outcome: WriteOutcome) {
        self.writes(kind, outcome).inc();
    }

    fn writes(&self, kind: Kind, outcome: WriteOutcome) -> Counter {
        let labels = [("object", kind.into()), ("outcome", outcome.into())];
        self.certificate_writes.get_or_create_owned(&labels)
    }

    /// Everything in OpenMetrics text, of [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let mut exposition = String::new();
        if text::encode(&mut exposition, &self.all.registry).is_err() {
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

impl Read for Family<[(&'static str, &'static str); 2], Counter> {
    const IS_COUNTER: bool = true;

    fn read(&self, each: Each<'_>) {
        for kind in Kind::VARIANTS {
            for outcome in WriteOutcome::VARIANTS {
                let labels = [("object", kind.into()), ("outcome", outcome.into())];
                each(&labels, self.get_or_create(&labels).get().cast_signed());
            }
        }
    }
}

fn durations(all: &mut All) -> [(Webhook, Histogram); Webhook::VARIANTS.len()] {
    let family: Family<[(&str, &str); 1], Histogram, fn() -> Histogram> =
        Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS));
    all.registry.register_with_unit(
        DURATIONS,
        "Histogram from the body to the answer, 0.25 ms to 5 s",
        Unit::Seconds,
        family.clone(),
    );
    std::array::from_fn(|index| {
        let webhook = Webhook::VARIANTS
            .get(index)
            .copied()
            .unwrap_or(Webhook::None);
        let labels = [("webhook", webhook.name())];
        (webhook, family.get_or_create_owned(&labels))
    })
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
