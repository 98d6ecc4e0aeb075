//! Follows a certificate in files, and whether the API server verifies it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::certificates::registration::{self, Registration};
use crate::certificates::store::Stored;
use crate::clock;
use crate::follow::follow;
use crate::telemetry::labels::{Follower, ReloadOutcome};
use crate::telemetry::metrics::Metrics;
use crate::tls::certificate_files::{CertificateFiles, Problem, TlsError};
use crate::tls::life::Validity;
use crate::tls::serving_certificate::{Pair, ServingCertificate};

/// Looks at the files each `interval`, for ever, and presents another good pair once it is there.
pub async fn keep(
    files: CertificateFiles,
    certificate: Arc<ServingCertificate>,
    metrics: Arc<Metrics>,
    interval: Duration,
) {
    let [path, _] = files.paths().clone();
    let mut candidate = Candidate { path, pair: None };
    let apply = |look: Option<Result<Pair, TlsError>>| {
        let now = clock::now();
        let presented = certificate.pair();
        let presented = presented.map_or(Validity::Expired, |pair| pair.life().at(now));
        match candidate.take(look.map(|look| look.map(Arc::new)), presented, now) {
            None => {}
            Some(Ok(pair)) => certificate.present(pair, &metrics),
            Some(Err(refusal)) => {
                metrics.certificate_reloads.inc(ReloadOutcome::Refused);
                tracing::error!(
                    reason = %refusal,
                    "another certificate is refused; the one before stays"
                );
            }
        }
    };
    follow(Follower::CertificateFiles, &metrics, interval, files, apply).await;
}

/// Reads the webhook configuration each `interval`, for ever, and says whether it verifies what is presented.
pub(super) async fn watch_registration(
    registration: Stored,
    certificate: Arc<ServingCertificate>,
    metrics: Arc<Metrics>,
    interval: Duration,
) {
    let mut has_looked = false;
    loop {
        match registration.read(Registration::parse).await {
            Ok(found) => {
                has_looked = true;
                let (found, name) = (found.as_ref(), registration.name());
                let pair = certificate.pair();
                let verified = registration::verify(found, name, pair.as_deref(), clock::now());
                certificate.unverified.store(verified.err().map(Arc::new));
            }
            Err(error) => {
                metrics.certificate_checks_failed.inc();
                // The last look that succeeded counts.
                if !has_looked {
                    let why = registration::line(&error.to_string());
                    certificate.unverified.store(Some(Arc::new(why)));
                }
            }
        }
        sleep(interval).await;
    }
}

/// A pair that is in the files and not presented, because it is not valid now and the one that is presented is.
struct Candidate {
    /// That of the certificate.
    path: PathBuf,
    pair: Option<Arc<Pair>>,
}

impl Candidate {
    /// What to present, or to refuse, after a look at the files at `now`, in Unix seconds; each refusal is told once. A
    /// certificate that is valid is never given up for one that is not.
    fn take(
        &mut self,
        look: Option<Result<Arc<Pair>, TlsError>>,
        presented: Validity,
        now: i64,
    ) -> Option<Result<Arc<Pair>, TlsError>> {
        let is_new = look.is_some();
        match look {
            Some(Err(error)) => return Some(Err(error)),
            Some(Ok(pair)) => self.pair = Some(pair),
            None => {}
        }
        let life = self.pair.as_ref()?.life();
        let problem = match (presented, life.at(now)) {
            (Validity::Valid | Validity::Ending, Validity::NotYet) => {
                Problem::NotYetValid(life.from)
            }
            (Validity::Valid | Validity::Ending, Validity::Expired) => Problem::Expired(life.to),
            _ => return self.pair.take().map(Ok),
        };
        is_new.then(|| Err(TlsError::of_certificate(&self.path, problem)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::authority::example::{DAY, NOW, signer};
    use crate::tls::certificate_files;
    use crate::tls::life::Life;
    use std::path::Path;

    /// It begins a tenth of a day before `at` and ends a day after.
    fn pair(at: i64) -> Arc<Pair> {
        let issued = signer().issue(&[], Life::issued(at, DAY)).unwrap();
        Arc::clone(issued.pair())
    }

    fn candidate() -> Candidate {
        Candidate {
            path: PathBuf::from("tls.crt"),
            pair: None,
        }
    }

    fn told(taken: Option<Result<Arc<Pair>, TlsError>>) -> Option<String> {
        taken.map(|taken| taken.map_or_else(|refusal| refusal.to_string(), |_| "taken".to_owned()))
    }

    #[test]
    fn one_that_is_not_valid_yet_waits_for_its_time_and_is_told_once() {
        let (mut candidate, early) = (candidate(), pair(NOW));
        let from = early.life().from;
        let mut take = |look, now| told(candidate.take(look, Validity::Valid, now));
        assert_eq!(take(None, from - 3), None);
        let refused = "--tls-cert tls.crt: not valid before 2001-09-08T23:22:40Z";
        assert_eq!(take(Some(Ok(early)), from - 2).as_deref(), Some(refused));
        assert_eq!(take(None, from - 1), None, "told already");
        let unusable = certificate_files::load(Path::new("none"), Path::new("none"));
        let refused = take(Some(unusable.map(Arc::new)), from - 1).unwrap();
        assert!(
            refused.starts_with("--tls-cert none: cannot be read"),
            "{refused}"
        );
        assert_eq!(take(None, from).as_deref(), Some("taken"));
        assert_eq!(take(None, from), None, "taken already");
    }

    #[test]
    fn one_that_has_expired_is_taken_only_when_it_is_no_worse_than_the_one_before() {
        let (mut candidate, late) = (candidate(), pair(NOW));
        let now = late.life().to + 1;
        let refused = told(candidate.take(Some(Ok(late)), Validity::Ending, now));
        let expected = "--tls-cert tls.crt: expired at 2001-09-10T01:46:40Z; issue it again";
        assert_eq!(refused.as_deref(), Some(expected));
        assert_eq!(told(candidate.take(None, Validity::Valid, now)), None);
        let taken = told(candidate.take(None, Validity::Expired, now));
        assert_eq!(taken.as_deref(), Some("taken"));
    }

    #[test]
    fn one_that_is_valid_is_taken_at_once_and_the_last_one_counts() {
        let (mut candidate, early, good) = (candidate(), pair(NOW + 10 * 86_400), pair(NOW));
        let mut take = |look| candidate.take(look, Validity::Valid, NOW);
        assert!(take(Some(Ok(early))).unwrap().is_err());
        let taken = take(Some(Ok(Arc::clone(&good)))).unwrap().unwrap();
        assert!(Arc::ptr_eq(&taken, &good));
        assert!(take(None).is_none());
    }
}
