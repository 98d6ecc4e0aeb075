//! Metrics as numbers, for those who push them instead of being scraped.

use std::fmt::{self, Debug};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

/// What takes each number of a metric, under its labels.
pub type Each<'a> = &'a mut dyn FnMut(&[(&'static str, &'static str)], i64);

/// A metric that can be read.
pub trait Read: Send + Sync + 'static {
    /// Whether it only grows.
    const IS_COUNTER: bool;

    /// Hands over its numbers, one for each set of labels that it has by now.
    fn read(&self, each: Each<'_>);
}

/// A metric under its name.
pub struct Readable {
    /// The name, as it is registered: without the prefix, the unit and what OpenMetrics puts behind it.
    pub name: &'static str,
    /// What it tells.
    pub help: &'static str,
    /// Its unit, or nothing: `s`.
    pub unit: &'static str,
    /// Whether it only grows.
    pub is_counter: bool,
    /// Hands over its numbers.
    pub read: Box<dyn Fn(Each<'_>) + Send + Sync>,
}

impl Readable {
    /// The metric under a name.
    pub fn new<M: Read>(
        name: &'static str,
        help: &'static str,
        unit: &'static str,
        metric: M,
    ) -> Readable {
        Readable {
            name,
            help,
            unit,
            is_counter: M::IS_COUNTER,
            read: Box::new(move |each| metric.read(each)),
        }
    }
}

impl Debug for Readable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl Read for Counter {
    const IS_COUNTER: bool = true;

    fn read(&self, each: Each<'_>) {
        each(&[], self.get().cast_signed());
    }
}

impl Read for Gauge {
    const IS_COUNTER: bool = false;

    fn read(&self, each: Each<'_>) {
        each(&[], self.get());
    }
}
