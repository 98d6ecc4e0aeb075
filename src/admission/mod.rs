//! The pipeline: from a review to its verdict, with everything that is looked up in between.

pub mod admit;
mod admit_in_use;
pub mod argocd_read;
pub mod configuration;
pub mod decided;
pub mod lookups;
pub mod password_checks;
pub mod searches;
mod tokens_in_use;
mod verification;
