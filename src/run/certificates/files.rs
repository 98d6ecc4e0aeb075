//! Follows a certificate in files.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::present;
use crate::certificates::life::Validity;
use crate::edge::certificate_files::{CertificateFiles, Look};
use crate::edge::certificate_metrics::ReloadOutcome;
use crate::edge::clock;
use crate::edge::metrics::Metrics;
use crate::edge::tls::ServingCertificate;

/// Looks at the files each `interval`, for ever, and presents another good pair once it is there.
pub async fn follow(
    files: CertificateFiles,
    certificate: Arc<ServingCertificate>,
    metrics: Arc<Metrics>,
    interval: Duration,
) {
    let files = Arc::new(Mutex::new(files));
    loop {
        sleep(interval).await;
        let now = clock::now();
        let presented = certificate
            .pair()
            .map_or(Validity::Expired, |pair| pair.life().at(now));
        // Files may be on a disk that stands still, and all reviews are on this thread.
        let files = Arc::clone(&files);
        let look = move || {
            let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
            files.look(now, presented)
        };
        // One that panicked is in the log, and must not be the last.
        let look = spawn_blocking(look).await.unwrap_or(Look::Unchanged);
        match look {
            Look::Unchanged => {}
            Look::Changed(pair) => present(&certificate, Arc::new(pair), &metrics),
            Look::Refused(refusal) => {
                metrics.certificate_reloaded(ReloadOutcome::Refused);
                tracing::error!(
                    reason = %refusal,
                    "another certificate is refused; the one before stays"
                );
            }
        }
    }
}
