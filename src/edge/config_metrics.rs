//! What is counted of configurations.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What became of another configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigOutcome {
    /// It is in force.
    Applied,
    /// It has faults; the one before stays.
    Refused,
}

impl ConfigOutcome {
    const ALL: [ConfigOutcome; 2] = [ConfigOutcome::Applied, ConfigOutcome::Refused];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            ConfigOutcome::Applied => "applied",
            ConfigOutcome::Refused => "refused",
        }
    }
}

/// The metrics of the configuration file.
#[derive(Debug)]
pub(super) struct ConfigMetrics(Family<ReloadLabels, Counter>);

impl ConfigMetrics {
    pub(super) fn register(registry: &mut Registry) -> ConfigMetrics {
        let reloads = Family::<ReloadLabels, Counter>::default();
        registry.register(
            "config_reloads",
            "Other configurations found after the start, by what became of them",
            reloads.clone(),
        );
        for outcome in ConfigOutcome::ALL {
            drop(reloads.get_or_create(&ReloadLabels::from(outcome)));
        }
        ConfigMetrics(reloads)
    }

    pub(super) fn reloaded(&self, outcome: ConfigOutcome) {
        self.0.get_or_create(&ReloadLabels::from(outcome)).inc();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    outcome: &'static str,
}

impl From<ConfigOutcome> for ReloadLabels {
    fn from(outcome: ConfigOutcome) -> Self {
        ReloadLabels {
            outcome: outcome.name(),
        }
    }
}
