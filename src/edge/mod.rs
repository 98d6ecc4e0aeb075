//! The outside, one thing a file and no rules: sockets, TLS, HTTP, health, metrics.

mod activity;
pub mod any_source;
mod body;
pub mod ca_bundle;
pub mod certificate_files;
pub mod certificate_metrics;
pub mod clock;
pub mod cluster;
mod connection;
mod connections;
pub mod health;
pub mod http;
mod json_line;
pub mod listener;
pub mod manifests;
pub mod metrics;
mod object;
pub mod record;
pub mod rejection;
pub mod source;
pub mod timeout_hint;
pub mod tls;
mod watchdog;
