//! Keeps the certificate that is presented up to date.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::certificates::life::Validity;
use crate::edge::certificate_files::{CertificateFiles, Look};
use crate::edge::certificate_metrics::ReloadOutcome;
use crate::edge::clock::{self, rfc3339};
use crate::edge::metrics::Metrics;
use crate::edge::tls::{Pair, ServingCertificate};

/// Looks at the files each `interval`, for ever, and presents another good pair once it is there.
pub async fn follow_files(
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

/// Presents a pair from the next handshake on, and puts that on record.
fn present(certificate: &ServingCertificate, pair: Arc<Pair>, metrics: &Metrics) {
    let life = pair.life();
    certificate.exchange(pair);
    metrics.certificate_not_after(life.to);
    metrics.certificate_reloaded(ReloadOutcome::Served);
    tracing::info!(
        not_after = rfc3339(life.to),
        "another certificate is presented"
    );
}
