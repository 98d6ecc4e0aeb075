//! The collector of records: it stores what replicas send, and answers who asks for it.

pub mod callers;
pub mod checks;
pub mod client;
pub mod events;
mod following;
pub mod keys;
mod refusal;
pub mod sender;
pub mod service;
pub mod spool;
pub mod webhook;
mod webhook_address;

use std::time::Duration;

/// The audience of the tokens by which the collector knows who calls.
pub const AUDIENCE: &str = "keyguard-audit";
/// The path that RBAC knows the collector's records and log by: `get` reads, `post` adds.
pub const RBAC_PATH: &str = "/keyguard/audit";
/// The resource that RBAC knows decisions by, namespace by namespace: `list` and `get`.
pub const RBAC_RESOURCE: &str = "decisions";
/// Its API group.
pub const RBAC_GROUP: &str = "keyguard.dev";
/// The most bytes of records that are sent at once.
pub const BATCH_BYTES: usize = 1 << 20;
/// The most records that are sent at once: those of one transaction.
pub const BATCH_RECORDS: usize = keyguard_audit::writer::MOST_RECORDS;
/// Where records are sent to, and asked for.
pub const RECORDS_PATH: &str = "/records";
/// The most bytes of a batch: a sender adds no record to one of [`BATCH_BYTES`], and none is as long as that.
pub(crate) const MOST_BYTES: usize = 2 * BATCH_BYTES;
/// How long a batch may take to arrive.
pub(crate) const ARRIVAL: Duration = Duration::from_secs(10);
/// The most records of a page.
pub(crate) const MOST_OF_A_PAGE: u32 = 10_000;
