//! Keeps a CA and a serving certificate in a Secret, and the CA in the webhook configuration, beside other replicas.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::time::{Instant, sleep};

use crate::certificates::authority::{Issued, SignError, Signer};
use crate::certificates::keeper::registered::{line, verify};
use crate::certificates::kept::Kept;
use crate::certificates::observed::Observer;
use crate::certificates::plan::{self, Change, Presented, Seen, Terms};
use crate::certificates::present::present;
use crate::certificates::registration::Registration;
use crate::certificates::secret::{Holding, KeptSecret};
use crate::certificates::store::{CertificateStore, StoreError};
use crate::certificates::trust_report::TrustReport;
use crate::clock;
use crate::telemetry::metrics::Metrics;
use crate::tls::life::Life;
use crate::tls::serving_certificate::ServingCertificate;

/// The most writes and looks in a row; what is then not settled waits for the next time.
const MOST_ROUNDS: usize = 10;

/// A replica that keeps the certificates.
pub struct Keeper {
    store: CertificateStore,
    certificate: Arc<ServingCertificate>,
    report: Arc<TrustReport>,
    metrics: Arc<Metrics>,
    terms: Terms,
    names: Vec<ServerName<'static>>,
    follows_names: bool,
    observer: Observer,
    started_at: Instant,
    presented: Option<(Arc<Signer>, Arc<Issued>)>,
    told: Option<String>,
}

/// Why the certificates are not as they should be. One line each.
#[derive(Debug, Error)]
enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error(
        "nobody says which names the certificate is for; apply the webhook configuration, or name --tls-dns-name"
    )]
    NoName,
    #[error("a fault in keyguard; the log says where")]
    Fault,
    #[error("other replicas write at the same time, again and again")]
    Unsettled,
}

/// What a round came to.
#[derive(PartialEq, Eq)]
enum Round {
    /// Everything is as it should be.
    Settled,
    /// Something was written, here or elsewhere.
    Again,
}

impl Keeper {
    /// Certificates for `names`; when there are none, for those by which the webhook configuration calls keyguard.
    pub fn new(
        store: CertificateStore,
        names: Vec<ServerName<'static>>,
        terms: Terms,
        certificate: Arc<ServingCertificate>,
        report: Arc<TrustReport>,
        metrics: Arc<Metrics>,
    ) -> Keeper {
        report.set(Err(line("it has not been looked at yet")));
        Keeper {
            store,
            certificate,
            report,
            metrics,
            terms,
            follows_names: names.is_empty(),
            names,
            observer: Observer::default(),
            started_at: Instant::now(),
            presented: None,
            told: None,
        }
    }

    /// Looks each `interval`, for ever, and writes when something is not as it should be.
    pub async fn keep(mut self, interval: Duration) {
        loop {
            // A fault in one look must not be the end of all renewals.
            let settled = AssertUnwindSafe(self.settle()).catch_unwind().await;
            self.tell(settled.unwrap_or(Err(Trouble::Fault)));
            sleep(interval).await;
        }
    }

    async fn settle(&mut self) -> Result<(), Trouble> {
        for _ in 0..MOST_ROUNDS {
            if self.round().await? == Round::Settled {
                return Ok(());
            }
        }
        Err(Trouble::Unsettled)
    }

    /// One look, and at most one write.
    async fn round(&mut self) -> Result<Round, Trouble> {
        let (secret, registration) =
            tokio::join!(self.store.secret(), self.store.registration().read());
        let (secret, registration) = (secret?, registration?);
        if self.follows_names
            && let Some(registration) = &registration
        {
            self.names = registration.names();
        }
        if self.names.is_empty() {
            return Err(Trouble::NoName);
        }
        let mut seen = self.see(secret.as_ref(), registration.as_ref());
        if plan::is_to_be_presented(&seen, &self.terms)
            && let Some(presented) = self.take_over(secret.as_ref())
        {
            seen.presented = Some(presented);
        }
        let name = self.store.registration().name();
        let verified = verify(registration.as_ref(), name, &self.certificate, seen.now);
        self.report.set(verified);
        if let Some(change) = plan::change(&seen, &self.terms) {
            self.write(change, secret.as_ref(), seen.now).await?;
            return Ok(Round::Again);
        }
        match (plan::bundle(&seen, &self.terms), &registration) {
            (Some(bundle), Some(registration)) => {
                if self.store.publish(registration, &bundle).await? {
                    tracing::info!(certificates = bundle.len(), "the caBundle is written");
                }
                Ok(Round::Again)
            }
            _ => Ok(Round::Settled),
        }
    }

    fn see(&mut self, secret: Option<&KeptSecret>, registration: Option<&Registration>) -> Seen {
        let kept = secret.map_or(Kept::Missing, |secret| secret.kept(&self.names));
        let bundles = registration.map_or_else(Vec::new, Registration::bundles);
        let at = self.started_at.elapsed();
        Seen {
            now: clock::now(),
            observed: self.observer.look(at, &kept, &bundles),
            kept,
            bundles,
            presented: self.presented.as_ref().map(presented),
        }
    }

    /// Presents what the Secret holds.
    fn take_over(&mut self, secret: Option<&KeptSecret>) -> Option<Presented> {
        let holding = secret?.holding.as_ref()?;
        let issued = holding.issued.as_ref()?;
        present(&self.certificate, Arc::clone(issued.pair()), &self.metrics);
        let fresh = (Arc::clone(&holding.signer), Arc::clone(issued));
        let seen = presented(&fresh);
        self.presented = Some(fresh);
        Some(seen)
    }

    async fn write(
        &self,
        change: Change,
        secret: Option<&KeptSecret>,
        now: i64,
    ) -> Result<(), Trouble> {
        let holding = secret.and_then(|secret| secret.holding.as_ref());
        let authority = || Signer::generate(Life::issued(now, self.terms.authority));
        let leaf = |signer: &Signer, names: &[String]| {
            signer.issue(names, Life::issued(now, self.terms.leaf))
        };
        let names = self.own_names();
        let written = match (change, holding, &self.presented) {
            (Change::Restore, _, Some((signer, issued))) => {
                let next = authority()?;
                self.store.put(secret, signer, issued, Some(&next)).await?
            }
            (Change::RenewLeaf, Some(holding), _) => {
                let issued = leaf(&holding.signer, &self.names_beside(holding))?;
                let (signer, next) = (&holding.signer, holding.next.as_ref());
                self.store.put(secret, signer, &issued, next).await?
            }
            (
                Change::StageNext,
                Some(Holding {
                    signer,
                    issued: Some(issued),
                    ..
                }),
                _,
            ) => {
                let next = authority()?;
                self.store.put(secret, signer, issued, Some(&next)).await?
            }
            (
                Change::Promote,
                Some(Holding {
                    next: Some(next), ..
                }),
                _,
            ) => {
                let issued = leaf(next, &names)?;
                self.store.put(secret, next, &issued, None).await?
            }
            _ => {
                let signer = authority()?;
                let issued = leaf(&signer, &names)?;
                self.store.put(secret, &signer, &issued, None).await?
            }
        };
        if written {
            tracing::info!(
                change = change.name(),
                "the Secret of the certificates is written"
            );
        }
        Ok(())
    }

    fn own_names(&self) -> Vec<String> {
        self.names
            .iter()
            .map(|name| name.to_str().into_owned())
            .collect()
    }

    /// This replica's names; while replicas are exchanged and theirs differ, those of the others as well.
    fn names_beside(&self, holding: &Holding) -> Vec<String> {
        let mut names = self.own_names();
        if let Some(issued) = &holding.issued
            && !issued.covers(&self.names, &holding.signer)
        {
            let others = issued.names().into_iter();
            names.extend(others.filter(|other| !self.own_names().contains(other)));
        }
        names
    }

    /// Says what is wrong once, and when it no longer is. What cannot be written is no reason not to be ready: the
    /// certificate that is there serves until it ends.
    fn tell(&mut self, settled: Result<(), Trouble>) {
        let trouble = settled.err().map(|trouble| trouble.to_string());
        match &trouble {
            None => {
                if self.told.is_some() {
                    tracing::info!("the certificates are kept again");
                }
            }
            Some(why) => {
                self.metrics.certificate_check_failed();
                if self.told.as_ref() != Some(why) {
                    tracing::error!(reason = %why, "the certificates cannot be kept");
                }
            }
        }
        let line = trouble.as_ref().map(|why| format!("certificates: {why}"));
        self.report.set_trouble(line);
        self.told = trouble;
    }
}

fn presented((signer, issued): &(Arc<Signer>, Arc<Issued>)) -> Presented {
    Presented {
        authority: signer.certificate().clone(),
        life: issued.pair().life(),
    }
}
