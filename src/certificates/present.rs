//! What happens when another certificate is presented.

use std::sync::Arc;

use crate::clock::rfc3339;
use crate::telemetry::labels::ReloadOutcome;
use crate::telemetry::metrics::Metrics;
use crate::tls::serving_certificate::{Pair, ServingCertificate};

/// Presents a pair from the next handshake on, and puts that on record, unless it is presented already.
pub(super) fn present(certificate: &ServingCertificate, pair: Arc<Pair>, metrics: &Metrics) {
    let before = certificate.pair();
    if before
        .as_ref()
        .is_some_and(|before| before.chain() == pair.chain())
    {
        return;
    }
    let life = pair.life();
    certificate.store(pair);
    metrics.certificate_not_after.set(life.to);
    if before.is_some() {
        metrics.certificate_reloads.inc(ReloadOutcome::Served);
    }
    tracing::info!(not_after = rfc3339(life.to), "a certificate is presented");
}
