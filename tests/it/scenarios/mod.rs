//! What the product promises, kept by the real program behind a real API
//! server, with what the person at kubectl or Helm reads.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test reads files and clocks, and says what is wrong by panicking"
)]

mod accounts;
mod accounts_in_use;
mod accounts_removal;
mod added_time;
mod answers;
mod argocd_secret;
mod argocd_secret_start;
mod argocd_tokens;
mod audit_bad_days;
pub(crate) mod audit_trail;
mod break_glass;
mod certificate_files;
mod certificates_kept;
mod certificates_kept_mended;
mod chart;
mod check;
mod client_certificates;
mod dry_runs;
pub(crate) mod guard;
pub(crate) mod in_use;
mod installs;
pub(crate) mod load;
mod malformed;
mod modes;
pub(crate) mod objects;
mod otlp;
pub(crate) mod otlp_receiver;
mod outages;
mod password_mode;
mod races;
mod records;
mod reload;
pub(crate) mod reviews;
pub(crate) mod said;
mod scan;
mod scan_figures;
mod secrets_in_use;
mod secrets_in_use_burst;
mod serving;
mod token_values;
pub(crate) mod tokens;
mod unchanged;
mod values;
mod verification;
mod workloads;
