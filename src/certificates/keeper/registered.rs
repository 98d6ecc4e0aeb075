//! Whether the webhook configuration in force verifies a certificate that somebody else keeps.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::certificates::registration::Registration;
use crate::certificates::store::RegistrationReader;
use crate::certificates::trust_report::TrustReport;
use crate::clock;
use crate::telemetry::metrics::Metrics;
use crate::tls::serving_certificate::ServingCertificate;

/// Looks each `interval`, for ever, and says in `report` what is found.
pub async fn watch(
    reader: RegistrationReader,
    certificate: Arc<ServingCertificate>,
    report: Arc<TrustReport>,
    metrics: Arc<Metrics>,
    interval: Duration,
) {
    let mut has_looked = false;
    loop {
        match reader.read().await {
            Ok(found) => {
                has_looked = true;
                report.set(verify(
                    found.as_ref(),
                    reader.name(),
                    &certificate,
                    clock::now(),
                ));
            }
            Err(error) => {
                metrics.certificate_checks_failed.inc();
                // The last look that succeeded counts.
                if !has_looked {
                    report.set(Err(line(&error.to_string())));
                }
            }
        }
        sleep(interval).await;
    }
}

/// Whether every webhook of a configuration verifies what is presented; otherwise one line for `/readyz`.
pub(crate) fn verify(
    found: Option<&Registration>,
    name: &str,
    certificate: &ServingCertificate,
    now: i64,
) -> Result<(), String> {
    let pair = certificate.pair();
    let chain = pair.as_ref().map_or(&[][..], |pair| pair.chain());
    match found {
        Some(registration) => registration.verify(chain, now),
        None => Err(format!(
            "{name:?} does not exist; apply what keyguard webhook-config prints, or mend --webhook-configuration"
        )),
    }
    .map_err(|why| line(&why))
}

/// A line of `/readyz`.
pub(crate) fn line(why: &str) -> String {
    format!("webhook configuration: {why}")
}
