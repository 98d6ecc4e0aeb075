//! What the collector of records tells in metrics.

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::labelled_counter::LabelledCounter;
use super::labels::{BatchOutcome, WebhookOutcome};

/// The metrics of `audit serve`.
#[derive(Debug)]
pub struct CollectorMetrics {
    registry: Registry,
    /// What became of what replicas sent.
    pub batches: LabelledCounter<BatchOutcome>,
    /// Records that were new.
    pub records: Counter,
    /// How many entries the log of this week has.
    pub log_size: Gauge,
    /// 0 while the store cannot be written, else 1.
    pub writes: Gauge,
    /// 0 when the log did not verify the last time, else 1.
    pub log_intact: Gauge,
    /// When that was, in Unix seconds; 0 before the first time.
    pub log_verified: Gauge,
    /// What became of records for the webhook.
    pub webhook: LabelledCounter<WebhookOutcome>,
    /// For how long the oldest record has waited for the webhook, in seconds.
    pub webhook_behind: Gauge,
}

impl CollectorMetrics {
    /// Registers everything.
    pub fn new() -> CollectorMetrics {
        let mut registry = Registry::with_prefix("keyguard_collector");
        let batches = LabelledCounter::register(
            &mut registry,
            "batches",
            "Batches that were sent: `stored`, `unknown` without a good token, `forbidden` also when it has records of \
             another replica, `busy` while another of the same replica is stored, `too-large`, `invalid`, \
             `not-stored` when the store cannot be written; they are sent again",
            "outcome",
        );
        let records = Counter::default();
        registry.register("records", "Records that were new", records.clone());
        let log_size = Gauge::default();
        let help = "Entries of the log of the week that grows";
        registry.register("log_size", help, log_size.clone());
        let writes = Gauge::default();
        let help = "0 while the store cannot be written, else 1";
        registry.register("store_writable", help, writes.clone());
        let log_intact = Gauge::default();
        log_intact.set(1);
        let help = "0 when the log did not verify the last time, else 1; it is verified at the start and once a day";
        registry.register("log_intact", help, log_intact.clone());
        let log_verified = Gauge::default();
        let help = "When the log was verified last, in Unix seconds; 0 before the first time";
        registry.register("log_verified_timestamp_seconds", help, log_verified.clone());
        let webhook = LabelledCounter::register(
            &mut registry,
            "webhook_records",
            "Records for the webhook: `sent`; `refused` when the other end said ten times that it does not want one; \
             `unreadable` when this version cannot read one",
            "outcome",
        );
        let webhook_behind = Gauge::default();
        let help = "For how long the oldest record that the webhook has not got has waited; 0 when it has all";
        registry.register("webhook_behind_seconds", help, webhook_behind.clone());
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "1", Info::new(version));
        CollectorMetrics {
            registry,
            batches,
            records,
            log_size,
            writes,
            log_intact,
            log_verified,
            webhook,
            webhook_behind,
        }
    }

    /// Everything in OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut exposition = String::new();
        if text::encode(&mut exposition, &self.registry).is_err() {
            tracing::error!("the metrics could not be written");
        }
        exposition
    }
}

impl Default for CollectorMetrics {
    fn default() -> Self {
        Self::new()
    }
}
