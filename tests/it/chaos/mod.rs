//! What goes wrong around keyguard, and that nobody is refused or kept waiting for it longer than it lasts. Each test
//! prints its figures: `cargo test --test it chaos -- --nocapture`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test reads files and clocks, and says what is wrong by panicking"
)]

mod certificate;
mod client;
mod cluster;
mod large_secret;
mod memory;
mod replicas;
mod rolling_restarts;
mod silence;
