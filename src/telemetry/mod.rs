//! What is told of the program: the decision log, diagnostics, metrics.

mod json_line;
mod labelled_counter;
pub mod labels;
pub mod metrics;
pub mod record;
#[cfg(test)]
pub(crate) mod test_log;
