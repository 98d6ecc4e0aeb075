//! A counter for each value of one label.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Counts by one label with a closed set of values, each of which shows 0 from the start.
#[derive(Debug)]
pub(crate) struct LabelledCounter {
    label: &'static str,
    family: Family<[(&'static str, &'static str); 1], Counter>,
}

impl LabelledCounter {
    /// Registers it with all `values` of `label`.
    pub(crate) fn register(
        registry: &mut Registry,
        (name, help): (&str, &str),
        label: &'static str,
        values: impl IntoIterator<Item = &'static str>,
    ) -> LabelledCounter {
        let family = Family::default();
        registry.register(name, help, family.clone());
        let counter = LabelledCounter { label, family };
        for value in values {
            drop(counter.family.get_or_create(&[(label, value)]));
        }
        counter
    }

    /// One more of this value.
    pub(crate) fn inc(&self, value: &'static str) {
        self.family.get_or_create(&[(self.label, value)]).inc();
    }
}
