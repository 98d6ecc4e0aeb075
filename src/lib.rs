//! keyguard keeps alive the credential on which a Codefresh GitOps Runtime talks to Argo CD.
//!
//! ```text
//! bytes → review → plan → [gather] → decide → reply + record          [ ] = the only I/O
//! commands → admission → http, tls, sources, telemetry → keyguard-core     imports point right, never back
//! ```
//!
//! What is decided is in the crate `keyguard-core`; this one owns sockets, TLS, files and the cluster.

pub mod admission;
pub mod certificates;
pub mod check;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod follow;
pub mod http;
pub mod report;
pub mod sources;
pub mod telemetry;
pub mod tls;
