//! The chart: the real Helm against the real API server, with a stand-in for
//! the kubelet and the Deployment controller.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

mod audit;
mod audit_events;
mod audit_installed;
#[cfg(feature = "postgresql-tests")]
mod audit_postgresql;
mod audit_senders;
mod audit_webhook;
mod certificates;
mod figures;
mod install;
mod monitoring;
mod open_telemetry;
mod optional_rights;
mod page;
#[cfg(feature = "browser-tests")]
mod page_in_browser;
mod pod;
mod release;
mod rendered;
mod rights;
mod scan;
mod security;
mod upgrade;
mod values;
mod verify_rights;
