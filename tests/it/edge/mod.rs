//! The serving edge over real sockets and real TLS.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

mod bodies;
mod client;
mod connections;
mod harness;
mod health;
mod requests;
mod shutdown;
