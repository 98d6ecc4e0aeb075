//! The metrics of the program as OpenTelemetry has them: under the same names, once Prometheus reads them from there.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use crate::telemetry::metrics::{DURATION_BUCKETS, DURATIONS, Durations, Metrics, PREFIX};

/// Lets a meter read everything, each time that it sends.
pub(super) fn register(metrics: &Arc<Metrics>, meter: &Meter) {
    for (index, metric) in metrics.readable().iter().enumerate() {
        let name = format!("{PREFIX}_{}", metric.name);
        let metrics = Arc::clone(metrics);
        let each = move |observe: &dyn Fn(i64, &[KeyValue])| {
            if let Some(metric) = metrics.readable().get(index) {
                (metric.read)(&mut |labels, number| {
                    let labels = labels
                        .iter()
                        .map(|(name, value)| KeyValue::new(*name, *value));
                    observe(number, &labels.collect::<Vec<_>>());
                });
            }
        };
        match metric.is_counter {
            true => drop(
                meter
                    .u64_observable_counter(name)
                    .with_description(metric.help)
                    .with_callback(move |observer| {
                        each(&|number, labels| observer.observe(number.cast_unsigned(), labels));
                    })
                    .build(),
            ),
            false => drop(
                meter
                    .i64_observable_gauge(name)
                    .with_description(metric.help)
                    .with_unit(metric.unit)
                    .with_callback(move |observer| {
                        each(&|number, labels| observer.observe(number, labels));
                    })
                    .build(),
            ),
        }
    }
    let durations = meter
        .f64_histogram(format!("{PREFIX}_{DURATIONS}"))
        .with_unit("s")
        .with_boundaries(DURATION_BUCKETS.to_vec())
        .build();
    metrics.tell_durations(Took(durations));
}

/// The durations of reviews.
#[derive(Debug)]
struct Took(Histogram<f64>);

impl Durations for Took {
    fn took(&self, webhook: &'static str, seconds: f64) {
        self.0.record(seconds, &[KeyValue::new("webhook", webhook)]);
    }
}
