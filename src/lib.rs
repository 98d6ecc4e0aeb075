//! keyguard keeps alive the credential on which a Codefresh GitOps Runtime talks to Argo CD.
//!
//! The crate `keyguard-core` decides; this one owns sockets, TLS, files and the cluster. docs/architecture.md shows how they
//! are put together.

pub mod admission;
pub mod certificates;
pub mod check;
pub mod cli;
pub mod clock;
#[cfg(feature = "audit")]
pub mod collector;
pub mod commands;
pub mod config;
pub mod follow;
pub mod http;
#[cfg(feature = "audit")]
pub mod page;
pub mod report;
pub mod scan;
pub mod sources;
pub mod telemetry;
pub mod tls;
