//! The collector verifies its own log, at the start and once a day.

use std::sync::Arc;
use std::time::Duration;

use keyguard_audit::evidence::Evidence;
use keyguard_audit::note::VerifyingKey;
use keyguard_audit::store::{Store, StoreError};
use tokio::time::sleep;

use crate::clock;
use crate::report::visible::visible;
use crate::telemetry::audit_store::why;
use crate::telemetry::collector_metrics::CollectorMetrics;

/// From one time to the next, and to the next try after one that could not tell.
const INTERVAL: Duration = Duration::from_secs(86_400);
const RETRY: Duration = Duration::from_secs(600);
/// The most faults that are told in the log.
const TOLD: usize = 20;

/// Verifies a store again and again.
pub struct Checks {
    /// Its address.
    pub address: String,
    /// The key of its log.
    pub key: VerifyingKey,
    /// Where it is told.
    pub metrics: Arc<CollectorMetrics>,
}

impl Checks {
    /// Verifies for ever. Each time the log must still begin with what it was the time before.
    pub async fn run(self) {
        let mut older = Vec::new();
        loop {
            let pause = match self.check(&mut older).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(reason = why(&error), "the audit log could not be verified");
                    RETRY
                }
            };
            sleep(pause).await;
        }
    }

    /// Verifies once, and tells how long to wait until the next time.
    async fn check(&self, older: &mut Vec<String>) -> Result<Duration, StoreError> {
        let store = Store::open_snapshot(&self.address).await?;
        let evidence = Evidence {
            key: &self.key,
            older,
            witness: None,
            last_number: None,
        };
        let found = match store.verify(&evidence, |_| {}).await {
            // Before the first record.
            Err(StoreError::Nothing) => {
                self.metrics.log_verified.set(clock::now());
                return Ok(RETRY);
            }
            found => found?,
        };
        let checkpoints = store.logs().await?;
        store.close().await;
        for fault in found.faults.iter().take(TOLD) {
            let fault = visible(fault, &[]);
            tracing::error!(%fault, "the audit log does not verify; keyguard audit verify tells all");
        }
        let is_intact = found.faults.is_empty();
        if is_intact {
            tracing::info!(
                entries = found.entries,
                logs = found.logs,
                "the audit log is intact"
            );
            *older = checkpoints.into_iter().map(|(_, note)| note).collect();
        }
        self.metrics.log_intact.set(is_intact.into());
        self.metrics.log_verified.set(clock::now());
        Ok(INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use keyguard_audit::note::SigningKey;
    use keyguard_audit::writer::Writer;
    use keyguard_core::policy::verdict::Decision;
    use keyguard_core::record::{Circumstances, Record};

    use super::*;

    #[tokio::test]
    async fn a_log_that_fits_is_intact_and_one_of_another_key_or_that_begins_otherwise_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
        let pem = SigningKey::generate().unwrap();
        let write = async |name: &str, ids: &[&str]| {
            let opened = Store::open(&store(name)).await.unwrap();
            let key = SigningKey::parse(&pem).unwrap();
            let writer = Writer::new(opened, key, "test".to_owned(), "one".to_owned());
            let records: Vec<_> = ids
                .iter()
                .map(|id| {
                    let circumstances = Circumstances {
                        id: (*id).to_owned(),
                        time: "2026-11-27T12:00:00Z".to_owned(),
                        ..Circumstances::default()
                    };
                    Record::of_rejection(Decision::Shed, "too much", circumstances)
                })
                .collect();
            let now = 1_795_737_600_000;
            writer.await.unwrap().append(&records, now).await.unwrap();
        };
        write("one", &["a", "b"]).await;
        write("other", &["a", "c"]).await;
        let metrics = Arc::new(CollectorMetrics::new());
        let checks = |name: &str, key: &SigningKey| Checks {
            address: store(name),
            key: key.verifying_key(),
            metrics: Arc::clone(&metrics),
        };
        let (own, foreign) = (
            SigningKey::parse(&pem).unwrap(),
            SigningKey::parse(&SigningKey::generate().unwrap()).unwrap(),
        );
        let mut older = Vec::new();
        checks("one", &own).check(&mut older).await.unwrap();
        assert_eq!((metrics.log_intact.get(), older.len()), (1, 1));
        assert!(metrics.log_verified.get() > 0);
        // What somebody with the key wrote anew is intact by itself, and does not begin with what was there.
        checks("other", &own).check(&mut Vec::new()).await.unwrap();
        assert_eq!(metrics.log_intact.get(), 1);
        checks("other", &own).check(&mut older).await.unwrap();
        assert_eq!(metrics.log_intact.get(), 0);
        checks("one", &own).check(&mut older).await.unwrap();
        assert_eq!(metrics.log_intact.get(), 1);
        checks("one", &foreign)
            .check(&mut Vec::new())
            .await
            .unwrap();
        assert_eq!(metrics.log_intact.get(), 0);
        assert!(checks("none", &own).check(&mut older).await.is_err());
    }
}
