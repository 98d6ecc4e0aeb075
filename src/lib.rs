//! keyguard keeps alive the credential on which a Codefresh GitOps Runtime talks to Argo CD.
//!
//! ```text
//! bytes → review → plan → [gather] → decide → reply + record          [ ] = the only I/O
//! main → run → edge → review → policy → runtime → argocd              imports point right, never back
//! ```
//!
//! The pure part (`review`, `policy`, `runtime`, `argocd`, `certificates`) takes bytes, facts and a clock and gives
//! verdicts; it compiles without the feature `server`, which owns sockets, TLS, files and the cluster.

pub mod argocd;
pub mod certificates;
pub mod policy;
pub mod review;
pub mod runtime;

#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod edge;
#[cfg(feature = "server")]
pub mod run;
