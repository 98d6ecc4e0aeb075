//! What is counted of certificates.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

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

/// The metrics of the serving certificate.
#[derive(Debug)]
pub(super) struct CertificateMetrics {
    not_after: Gauge,
    reloads: Family<ReloadLabels, Counter>,
}

impl CertificateMetrics {
    pub(super) fn register(registry: &mut Registry) -> CertificateMetrics {
        let not_after = Gauge::default();
        registry.register_with_unit(
            "certificate_not_after",
            "Last moment of validity of the serving certificate, in Unix seconds",
            Unit::Seconds,
            not_after.clone(),
        );
        let reloads = Family::<ReloadLabels, Counter>::default();
        registry.register(
            "certificate_reloads",
            "Other certificates found after the start, by what became of them",
            reloads.clone(),
        );
        for outcome in ReloadOutcome::ALL {
            drop(reloads.get_or_create(&ReloadLabels::from(outcome)));
        }
        CertificateMetrics { not_after, reloads }
    }

    pub(super) fn not_after(&self, unix_seconds: i64) {
        self.not_after.set(unix_seconds);
    }

    pub(super) fn reloaded(&self, outcome: ReloadOutcome) {
        self.reloads
            .get_or_create(&ReloadLabels::from(outcome))
            .inc();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    outcome: &'static str,
}

impl From<ReloadOutcome> for ReloadLabels {
    fn from(outcome: ReloadOutcome) -> Self {
        ReloadLabels {
            outcome: outcome.name(),
        }
    }
}
