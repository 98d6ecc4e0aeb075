//! The CA and the certificate that keyguard keeps by itself.
//!
//! What is to be done (`plan`) is decided without parsing, signing or reading a clock.

pub mod authority;
pub mod ca_bundle;
pub mod files;
pub mod keeper;
pub mod kept;
pub mod plan;
pub mod registration;
pub mod secret;
pub mod seen;
pub mod serving;
pub mod store;
pub mod trust;
