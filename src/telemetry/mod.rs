//! What is told of the program: the decision log, diagnostics, metrics.

#[cfg(feature = "audit")]
pub mod audit_store;
#[cfg(feature = "audit")]
pub mod collector_metrics;
mod decision_labels;
mod labelled_counter;
pub mod labels;
pub mod log;
pub mod metrics;
#[cfg(feature = "audit")]
pub mod otlp;
pub mod readable;
mod registered;
pub mod scan_metrics;
pub mod spans;
#[cfg(test)]
pub(crate) mod test_log;
pub mod trail;
