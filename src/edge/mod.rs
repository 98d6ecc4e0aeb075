//! The outside, one thing a file and no rules: sockets, TLS, HTTP, health, metrics.

mod activity;
mod body;
pub mod ca_bundle;
mod connection;
mod connections;
pub mod health;
pub mod http;
mod json_line;
pub mod listener;
pub mod metrics;
pub mod rejection;
pub mod timeout_hint;
pub mod tls;
mod watchdog;
pub mod cluster;
pub mod manifests;
mod object;
pub mod record;
pub mod source;
