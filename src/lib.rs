//! keyguard keeps alive the credential on which a Codefresh GitOps Runtime talks to Argo CD.
//!
//! ```text
//! bytes → review → plan → [gather] → decide → reply + record          [ ] = the only I/O
//! main → run → edge → keyguard-core                                   imports point right, never back
//! ```
//!
//! What is decided is in the crate `keyguard-core`; this one owns sockets, TLS, files and the cluster.

pub mod certificates;
pub mod cli;
pub mod config;
pub mod edge;
pub mod run;
