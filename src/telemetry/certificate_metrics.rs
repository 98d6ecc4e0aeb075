//! What is counted of certificates.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::telemetry::labelled_counter::LabelledCounter;

/// What became of another certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// It is presented.
    Served,
    /// It cannot be; the one before stays.
    Refused,
}

impl ReloadOutcome {
    const ALL: [ReloadOutcome; 2] = [ReloadOutcome::Served, ReloadOutcome::Refused];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            ReloadOutcome::Served => "served",
            ReloadOutcome::Refused => "refused",
        }
    }
}

/// What keyguard writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The Secret that it keeps its certificates in.
    Secret,
    /// The webhook configuration's `caBundle`.
    WebhookConfiguration,
}

impl Kind {
    const ALL: [Kind; 2] = [Kind::Secret, Kind::WebhookConfiguration];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Secret => "secret",
            Kind::WebhookConfiguration => "webhook-configuration",
        }
    }
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// It is done.
    Written,
    /// Another replica was first.
    Lost,
    /// keyguard's account may not.
    Forbidden,
    /// Any other failure.
    Error,
}

impl WriteOutcome {
    const ALL: [WriteOutcome; 4] = [
        WriteOutcome::Written,
        WriteOutcome::Lost,
        WriteOutcome::Forbidden,
        WriteOutcome::Error,
    ];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            WriteOutcome::Written => "written",
            WriteOutcome::Lost => "lost",
            WriteOutcome::Forbidden => "forbidden",
            WriteOutcome::Error => "error",
        }
    }
}

/// The metrics of the serving certificate.
#[derive(Debug)]
pub(crate) struct CertificateMetrics {
    not_after: Gauge,
    reloads: LabelledCounter,
    writes: Family<WriteLabels, Counter>,
    checks_failed: Counter,
}

impl CertificateMetrics {
    pub(crate) fn register(registry: &mut Registry) -> CertificateMetrics {
        let not_after = Gauge::default();
        registry.register_with_unit(
            "certificate_not_after",
            "Last moment of validity of the serving certificate, in Unix seconds",
            Unit::Seconds,
            not_after.clone(),
        );
        let reloads = LabelledCounter::register(
            registry,
            (
                "certificate_reloads",
                "Other certificates found after the start, by what became of them",
            ),
            "outcome",
            ReloadOutcome::ALL.map(ReloadOutcome::name),
        );
        let writes = Family::<WriteLabels, Counter>::default();
        registry.register(
            "certificate_writes",
            "Writes of the certificates that keyguard keeps by itself, by object and outcome",
            writes.clone(),
        );
        for (kind, outcome) in Kind::ALL
            .into_iter()
            .flat_map(|kind| WriteOutcome::ALL.map(|outcome| (kind, outcome)))
        {
            drop(writes.get_or_create(&WriteLabels::from((kind, outcome))));
        }
        let checks_failed = Counter::default();
        registry.register(
            "certificate_checks_failed",
            "Looks at the Secret and the webhook configuration that failed",
            checks_failed.clone(),
        );
        CertificateMetrics {
            not_after,
            reloads,
            writes,
            checks_failed,
        }
    }

    pub(crate) fn not_after(&self, unix_seconds: i64) {
        self.not_after.set(unix_seconds);
    }

    pub(crate) fn written(&self, kind: Kind, outcome: WriteOutcome) {
        let labels = WriteLabels::from((kind, outcome));
        self.writes.get_or_create(&labels).inc();
    }

    pub(crate) fn check_failed(&self) {
        self.checks_failed.inc();
    }

    pub(crate) fn reloaded(&self, outcome: ReloadOutcome) {
        self.reloads.inc(outcome.name());
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    object: &'static str,
    outcome: &'static str,
}

impl From<(Kind, WriteOutcome)> for WriteLabels {
    fn from((kind, outcome): (Kind, WriteOutcome)) -> Self {
        WriteLabels {
            object: kind.name(),
            outcome: outcome.name(),
        }
    }
}
