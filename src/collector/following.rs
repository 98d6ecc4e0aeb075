//! What follows the log: it catches up with the store, and waits until there is more.

use std::time::Duration;

use keyguard_audit::store::StoreError;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::telemetry::audit_store::why;

/// From one try to read the store to the next.
const RETRY: Duration = Duration::from_secs(60);

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
