//! What follows the log: it catches up with the store, and waits until there is more.

use std::time::Duration;

use keyguard_audit::query::Found;
use keyguard_audit::store::StoreError;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::clock;
use crate::telemetry::audit_store::why;
use keyguard_core::record::Record;

/// From one try to read the store to the next.
const RETRY: Duration = Duration::from_secs(60);

/// Why somebody did not take something.
pub(super) struct Failure {
    /// What they said.
    pub(super) what: String,
    /// Whether it would not be otherwise another time.
    pub(super) is_final: bool,
}

impl Failure {
    /// One that may be otherwise another time.
    pub(super) fn passing(what: String) -> Failure {
        Failure {
            what,
            is_final: false,
        }
    }
}

/// Lets a follower, which has a name for the log, catch up whenever `added` tells that there is something; for ever.
pub(super) async fn follow(
    name: &str,
    mut added: watch::Receiver<()>,
    mut catch_up: impl AsyncFnMut() -> Result<(), StoreError>,
) {
    let mut said = String::new();
    loop {
        match catch_up().await {
            Ok(()) => {
                said.clear();
                if added.changed().await.is_err() {
                    return;
                }
            }
            Err(error) => {
                let error = why(&error);
                if said != error {
                    tracing::error!(
                        follower = name,
                        reason = error,
                        "the audit store cannot be read"
                    );
                    said = error;
                }
                sleep(RETRY).await;
            }
        }
    }
}

/// The records that can be read. One of another version of keyguard must not keep all that come after it.
pub(super) fn readable<'a>(
    name: &'static str,
    found: &'a [Found],
) -> impl Iterator<Item = Record> + 'a {
    found.iter().filter_map(move |found| {
        let record = found.record().inspect_err(|error| {
            tracing::error!(
                follower = name,
                time = clock::rfc3339(found.time() / 1000),
                reason = why(error),
                "a record is left out"
            );
        });
        record.ok()
    })
}
