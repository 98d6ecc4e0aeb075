//! What keyguard decides: plain facts and a clock in, a verdict out.
//!
//! ```text
//! bytes → review → plan → [gather] → decide → reply + record          [ ] = the only I/O
//! record → review → policy → credential → runtime → document, argocd  imports point right, never back
//! ```
//!
//! No clock, file, socket, environment or runtime: see docs/architecture.md.

pub mod argocd;
pub mod credential;
pub mod document;
pub mod fingerprint;
pub mod policy;
pub mod record;
pub mod review;
pub mod runtime;
