//! Follows a certificate in files.

use std::sync::Arc;
use std::time::Duration;

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
    mut files: CertificateFiles,
    certificate: Arc<ServingCertificate>,
    metrics: Arc<Metrics>,
    interval: Duration,
) {
    loop {
        sleep(interval).await;
        let now = clock::now();
        let presented = certificate
            .pair()
            .map_or(Validity::Expired, |pair| pair.life().at(now));
        // Files may be on a disk that stands still, and all reviews are on this thread.
        let looked = tokio::task::spawn_blocking(move || {
            let look = files.look(now, presented);
            (files, look)
        });
        let look;
        (files, look) = match looked.await {
            Ok(looked) => looked,
            // It panicked, and the files are gone with it: the panic is in the log.
            Err(_) => return,
        };
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
