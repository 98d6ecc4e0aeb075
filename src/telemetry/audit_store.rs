//! What writes the audit trail into a store: one task, in batches, and again while the store cannot be written.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use keyguard_audit::retention::{Deleted, Retention};
use keyguard_audit::store::StoreError;
use keyguard_audit::writer::{MOST_RECORDS, Writer};
use tokio::time::{Instant, sleep};

use super::labels::LostReason;
use super::metrics::Metrics;
use super::trail::Handed;

/// From one deletion of what is too old or too much to the next.
const RETAINED: Duration = Duration::from_secs(3600);
/// From one try to write to the next, while the store cannot be written.
const RETRY: Duration = Duration::from_secs(1);

/// What writes what a [`Trail`](super::trail::Trail) hands over.
pub struct Keeper {
    /// What is handed over.
    pub handed: Handed,
    /// Where it goes.
    pub writer: Writer,
    /// How much of it stays.
    pub retaining: Retaining,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
}

/// Deletes what is too old or too much, from time to time.
pub struct Retaining {
    keep: Retention,
    last: Option<Instant>,
}

impl Retaining {
    /// Lets so much stay.
    pub fn new(keep: Retention) -> Retaining {
        Retaining { keep, last: None }
    }

    /// Deletes, unless it has lately.
    pub async fn apply(&mut self, writer: &mut Writer) {
        let is_lately = self.last.is_some_and(|last| last.elapsed() < RETAINED);
        if self.keep == Retention::default() || is_lately {
            return;
        }
        self.last = Some(Instant::now());
        match writer.retain(self.keep, now()).await {
            Ok(Deleted { weeks, .. }) if weeks.is_empty() => {}
            Ok(Deleted { weeks, unsent }) => {
                tracing::info!(
                    ?weeks,
                    "the audit store has deleted what is too old or too much"
                );
                for (follower, records) in unsent {
                    tracing::error!(
                        follower,
                        records,
                        "some of what was deleted was not sent yet, and never will be"
                    );
                }
            }
            Err(error) => {
                tracing::warn!(
                    reason = why(&error),
                    "the audit store cannot delete what is too old or too much"
                );
            }
        }
    }
}

impl Keeper {
    /// Writes until the trail is gone and all of it is written, or the store belongs to another.
    pub async fn run(mut self) {
        self.tell_checkpoint();
        let mut waiting = Vec::new();
        let mut said = false;
        while self.handed.take(&mut waiting, MOST_RECORDS).await > 0 {
            let waits = waiting.len() + self.handed.waiting();
            let waits = i64::try_from(waits).unwrap_or(i64::MAX);
            self.metrics.audit_records_waiting.set(waits);
            loop {
                match self.writer.append(&waiting, now()).await {
                    Ok(new) => {
                        let new = u64::try_from(new).unwrap_or(0);
                        self.metrics.audit_records_written.inc_by(new);
                        if said {
                            tracing::info!("the audit store is written again");
                            said = false;
                        }
                        break;
                    }
                    Err(error @ StoreError::TakenOver) => {
                        tracing::error!(reason = %error, "the audit store is not written any more");
                        self.metrics.audit_records_lost.inc(LostReason::StoreTaken);
                        return;
                    }
                    Err(error) if !said => {
                        tracing::error!(
                            reason = why(&error),
                            "the audit store cannot be written; records wait in memory and it is tried again"
                        );
                        said = true;
                    }
                    Err(_) => {}
                }
                sleep(RETRY).await;
            }
            waiting.clear();
            self.metrics.audit_records_waiting.set(0);
            self.retaining.apply(&mut self.writer).await;
            self.tell_checkpoint();
        }
    }

    fn tell_checkpoint(&self) {
        let text = self.writer.head().map(|head| Arc::new(head.to_string()));
        self.handed.shared.checkpoint.store(text);
    }
}

/// What went wrong, with its cause.
pub fn why(error: &StoreError) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Milliseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
