//! What is told of the program: the decision log, diagnostics, metrics.

pub mod certificate_metrics;
pub mod config_metrics;
pub mod follower_metrics;
mod json_line;
mod labelled_counter;
pub mod metrics;
pub mod record;
#[cfg(test)]
pub(crate) mod test_log;
