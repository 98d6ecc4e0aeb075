//! What brings records of a replica to the collector: by way of the spool, in their order, again until it has them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::body::Bytes;
use serde::Deserialize;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::RECORDS_PATH;
use super::client::{CallError, Client, Target};
use super::spool::{Kept, Spool};
use super::{BATCH_BYTES, BATCH_RECORDS};
use crate::telemetry::labels::LostReason;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::trail::{Handed, Shared, may_be_lost_first};
use keyguard_core::record::Record;

/// The first and the longest pause after the collector could not be reached.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// From one try to write to the next, while neither disk nor memory has room.
const RETRY: Duration = Duration::from_secs(1);

/// Writes what a trail hands over into the spool, until the trail is gone.
pub struct Spooling {
    /// What is handed over.
    pub handed: Handed,
    /// Where it goes.
    pub spool: Arc<Spool>,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
}

/// Sends what is in the spool.
pub struct Sending {
    /// What is sent.
    pub spool: Arc<Spool>,
    /// Where to, and as whom.
    pub target: Target,
    /// Where the last checkpoint is told.
    pub shared: Arc<Shared>,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
}

/// What the collector answers to records.
#[derive(Deserialize)]
struct Receipt {
    checkpoint: Option<String>,
}

impl Spooling {
    /// Runs until nobody hands over any more and all of it is in the spool.
    pub async fn run(mut self) {
        let mut records = Vec::new();
        let mut is_full = false;
        while self.handed.take(&mut records, BATCH_RECORDS).await > 0 {
            for batch in self.batches(&records) {
                self.push(batch, &mut is_full).await;
            }
            records.clear();
            self.measure();
        }
    }

    /// The records as JSON lines, as far as the spool has room for them: what may be lost first has three quarters of it.
    fn batches(&self, records: &[Record]) -> Vec<Vec<u8>> {
        let mut batches: Vec<Vec<u8>> = Vec::new();
        let mut added = 0;
        for record in records {
            let (share, reason) = match may_be_lost_first(record) {
                true => (3, LostReason::AllowSpoolFull),
                false => (4, LostReason::RefusalSpoolFull),
            };
            let mut line = serde_json::to_vec(record).unwrap_or_default();
            line.push(b'\n');
            let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
            if added + bytes > self.spool.room(share) {
                self.metrics.audit_records_lost.inc(reason);
                continue;
            }
            added += bytes;
            match batches.last_mut() {
                Some(batch) if batch.len() + line.len() <= BATCH_BYTES => batch.extend(line),
                _ => batches.push(line),
            }
        }
        batches
    }

    async fn push(&self, batch: Vec<u8>, is_full: &mut bool) {
        loop {
            let (spool, batch) = (Arc::clone(&self.spool), batch.clone());
            let kept = spawn_blocking(move || spool.push(batch)).await;
            let (error, is_kept) = match kept {
                Ok(Kept::OnDisk) => {
                    if std::mem::take(is_full) {
                        tracing::info!("the audit spool is written again");
                    }
                    return;
                }
                Ok(Kept::InMemory(error)) => (error, true),
                Ok(Kept::Nowhere(error)) => (error, false),
                Err(error) => (io::Error::other(error), false),
            };
            if !std::mem::replace(is_full, true) {
                tracing::error!(
                    reason = %error,
                    "the audit spool cannot be written; records wait in memory, and a restart would lose them"
                );
            }
            if is_kept {
                return;
            }
            sleep(RETRY).await;
        }
    }

    fn measure(&self) {
        let bytes = i64::try_from(self.spool.bytes()).unwrap_or(i64::MAX);
        self.metrics.audit_spool_bytes.set(bytes);
    }
}

/// What an error says, and what is behind it.
fn with_cause(error: &CallError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl Sending {
    /// Runs for ever: what the collector has is forgotten here.
    pub async fn run(self) {
        let (mut client, mut pause, mut said) = (None, PAUSES.0, String::new());
        loop {
            let added = self.spool.added.notified();
            let Some((number, batch)) = self.oldest().await else {
                added.await;
                continue;
            };
            let batch = Bytes::from(batch);
            let mut sent = self.send(&mut client, batch.clone()).await;
            if let Err(CallError::Refused(StatusCode::BAD_REQUEST, _)) = sent
                && let Some(whole) = self.without_damaged(&batch)
            {
                sent = match whole.is_empty() {
                    true => Ok(0),
                    false => self.send(&mut client, whole).await,
                };
            }
            match sent {
                Ok(records) => {
                    self.metrics.audit_records_written.inc_by(records);
                    self.forget(number).await;
                    if !std::mem::take(&mut said).is_empty() {
                        tracing::info!("the collector takes records again");
                    }
                    pause = PAUSES.0;
                }
                Err(error) => {
                    // The CA may be another one by now.
                    client = None;
                    let why = with_cause(&error);
                    if why != said {
                        tracing::error!(
                            reason = why,
                            waiting_bytes = self.spool.bytes(),
                            "records cannot be brought to the collector; they wait in the spool"
                        );
                        said = why;
                    }
                    sleep(pause).await;
                    pause = PAUSES.1.min(pause * 2);
                }
            }
        }
    }

    /// The oldest batches. One whose file somebody removed or damaged is lost, and the next one comes.
    async fn oldest(&self) -> Option<(u64, Vec<u8>)> {
        loop {
            let spool = Arc::clone(&self.spool);
            match spawn_blocking(move || spool.oldest()).await {
                Ok(Ok(oldest)) => return oldest,
                Ok(Err((number, error))) => {
                    tracing::error!(reason = %error, "a segment of the audit spool cannot be read, and is lost");
                    self.metrics
                        .audit_records_lost
                        .inc(LostReason::SpoolDamaged);
                    self.forget(number).await;
                }
                Err(_) => return None,
            }
        }
    }

    async fn forget(&self, number: u64) {
        let spool = Arc::clone(&self.spool);
        let removed = spawn_blocking(move || spool.remove_up_to(number)).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(reason = %error, "a segment that the collector has cannot be removed; it will be sent again");
        }
        let bytes = i64::try_from(self.spool.bytes()).unwrap_or(i64::MAX);
        self.metrics.audit_spool_bytes.set(bytes);
    }

    /// The records that are whole, if some are not: a faulty disk can make of one what no collector ever takes.
    fn without_damaged(&self, batch: &Bytes) -> Option<Bytes> {
        let is_whole = |line: &&[u8]| serde_json::from_slice::<Record>(line).is_ok();
        let lines = || batch.split_inclusive(|byte| *byte == b'\n');
        let whole: Vec<&[u8]> = lines().filter(is_whole).collect();
        let damaged = lines().count() - whole.len();
        if damaged == 0 {
            return None;
        }
        tracing::error!(
            damaged,
            "records in the audit spool are damaged, and are lost"
        );
        let count = u64::try_from(damaged).unwrap_or(0);
        let lost = &self.metrics.audit_records_lost;
        lost.inc_by(LostReason::SpoolDamaged, count);
        Some(whole.concat().into())
    }

    async fn send(&self, client: &mut Option<Client>, batch: Bytes) -> Result<u64, CallError> {
        let client = match client {
            Some(client) => client,
            None => client.insert(Client::new(self.target.clone())?),
        };
        let records = batch.iter().filter(|byte| **byte == b'\n').count();
        let answer = client.post(RECORDS_PATH, batch).await?;
        let receipt: Option<Receipt> = serde_json::from_slice(&answer).ok();
        if let Some(checkpoint) = receipt.and_then(|receipt| receipt.checkpoint) {
            self.shared.checkpoint.store(Some(Arc::new(checkpoint)));
        }
        Ok(u64::try_from(records).unwrap_or(0))
    }
}
