//! What keyguard decides: plain facts and a clock in, a verdict out.
//!
//! ```text
//! bytes → review → plan → [gather] → decide → reply + record          [ ] = the only I/O
//! review → policy → credential → runtime → argocd                     imports point right, never back
//! ```
//!
//! No clock, file, socket, environment or runtime is among the dependencies of this crate, so that the compiler keeps
//! the seam between deciding and doing.

pub mod argocd;
pub mod credential;
pub mod document;
pub mod policy;
pub mod record;
pub mod review;
pub mod runtime;
