//! Registering metrics: for who scrapes, and for who pushes.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry, Unit};
use strum::VariantArray;

use super::labelled_counter::LabelledCounter;
use super::readable::{Read, Readable};

/// Everything that is registered: for who scrapes, and for who pushes.
#[derive(Debug)]
pub(super) struct All {
    pub(super) registry: Registry,
    pub(super) readable: Vec<Readable>,
}

impl All {
    /// One that has nothing yet, of which all names begin with `prefix`.
    pub(super) fn with_prefix(prefix: &str) -> All {
        All {
            registry: Registry::with_prefix(prefix),
            readable: Vec::new(),
        }
    }
}

pub(super) fn registered<M>(all: &mut All, name: &'static str, help: &'static str) -> M
where
    M: Metric + Read + Default + Clone,
{
    let metric = M::default();
    all.registry.register(name, help, metric.clone());
    all.readable
        .push(Readable::new(name, help, "", metric.clone()));
    metric
}

pub(super) fn labelled<L>(
    all: &mut All,
    name: &'static str,
    help: &'static str,
    label: &'static str,
) -> LabelledCounter<L>
where
    L: VariantArray + Copy + Into<&'static str> + Send + Sync + 'static,
{
    let metric = LabelledCounter::register(&mut all.registry, name, help, label);
    all.readable
        .push(Readable::new(name, help, "", metric.clone()));
    metric
}

pub(super) fn with_unit(all: &mut All, name: &'static str, help: &'static str) -> Gauge {
    let metric = Gauge::default();
    let (registry, unit) = (&mut all.registry, Unit::Seconds);
    registry.register_with_unit(name, help, unit, metric.clone());
    all.readable
        .push(Readable::new(name, help, "s", metric.clone()));
    metric
}
