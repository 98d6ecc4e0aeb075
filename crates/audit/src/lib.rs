//! keyguard-audit: the store of decisions, and the transparency log in it.
//!
//! ```text
//! records → entries, tiles, checkpoint, columns to search by   (one transaction)
//! ```
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a test that cannot go on fails"
    )
)]

pub mod attempts;
mod comparison;
mod counts;
pub mod entry;
pub mod evidence;
pub mod findings;
pub mod follower;
pub mod merkle;
pub mod note;
mod numbers;
pub mod query;
pub mod retention;
mod rows;
mod schema;
mod seen;
mod served;
pub mod store;
pub mod tiles;
pub mod verify;
pub mod week;
pub mod witness;
pub mod writer;

#[cfg(test)]
mod bad_days_tests;
#[cfg(all(test, feature = "postgresql-tests"))]
mod postgresql_tests;
#[cfg(test)]
mod tampering_tests;
#[cfg(test)]
mod test_store;
#[cfg(test)]
mod tests;
