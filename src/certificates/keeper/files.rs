//! Follows a certificate in files.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::certificates::keeper::present;
use crate::clock;
use crate::follow::follow;
use crate::telemetry::certificate_metrics::ReloadOutcome;
use crate::telemetry::follower_metrics::Follower;
use crate::telemetry::metrics::Metrics;
use crate::tls::certificate_files::{CertificateFiles, Look};
use crate::tls::life::Validity;
use crate::tls::serving_certificate::ServingCertificate;

/// Looks at the files each `interval`, for ever, and presents another good pair once it is there.
pub async fn keep(
    files: CertificateFiles,
    certificate: Arc<ServingCertificate>,
    metrics: Arc<Metrics>,
    interval: Duration,
) {
    let files = Arc::new(Mutex::new(files));
    let look = {
        let certificate = Arc::clone(&certificate);
        move || {
            let now = clock::now();
            let presented = certificate
                .pair()
                .map_or(Validity::Expired, |pair| pair.life().at(now));
            let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
            files.look(now, presented)
        }
    };
    let apply = |look| match look {
        Look::Unchanged => {}
        Look::Changed(pair) => present(&certificate, Arc::new(pair), &metrics),
        Look::Refused(refusal) => {
            metrics.certificate_reloaded(ReloadOutcome::Refused);
            tracing::error!(
                reason = %refusal,
                "another certificate is refused; the one before stays"
            );
        }
    };
    follow(Follower::CertificateFiles, &metrics, interval, look, apply).await;
}
