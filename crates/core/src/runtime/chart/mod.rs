//! The values of the `gitops-runtime` chart: what they make of the credential that its components use.
//!
//! Source: the chart itself, versions 0.15.0 to 0.30.0.

pub mod account;
pub mod argocd_cm;
pub mod auth;
pub mod overrides;
pub mod references;
pub mod rendering;
pub mod version;
mod version_range;

#[cfg(test)]
mod rendered_tests;
