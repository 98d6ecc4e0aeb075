//! Keeps a CA and a serving certificate in a Secret, and the CA in the webhook configuration, beside other replicas.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::time::{Instant, sleep};

use crate::certificates::authority::{Keyed, SignError, Signer};
use crate::certificates::plan::{self, Change};
use crate::certificates::registration::{self, Registration};
use crate::certificates::secret::{Holding, KeptSecret};
use crate::certificates::seen::{Presented, Seen};
use crate::certificates::store::{StoreError, Stored};
use crate::clock;
use crate::config;
use crate::telemetry::metrics::Metrics;
use crate::tls::life::Life;
use crate::tls::serving_certificate::ServingCertificate;

/// The most looks, with a write each, in a row. What is not settled then waits for the next time.
const MAX_ROUNDS: usize = 10;

/// A replica that keeps the certificates.
pub struct Keeper {
    secret: Stored,
    registration: Stored,
    certificate: Arc<ServingCertificate>,
    metrics: Arc<Metrics>,
    terms: config::Certificates,
    names: Vec<ServerName<'static>>,
    follows_names: bool,
    seen: Seen,
    started_at: Instant,
    presented: Option<(Arc<Signer>, Arc<Keyed>)>,
    told: Option<String>,
}

/// Why the certificates are not as they should be. One line each.
#[derive(Debug, Error)]
enum KeeperError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error(
        "the names for the certificate are not known; apply the webhook configuration, or name --tls-dns-name"
    )]
    NoName,
    #[error("a fault in keyguard; the log says where")]
    Fault,
    #[error("other replicas write at the same time, again and again")]
    Unsettled,
}

impl Keeper {
    /// Certificates for `names`; when there are none, for those by which the webhook configuration calls keyguard.
    pub fn new(
        (secret, registration): (Stored, Stored),
        names: Vec<ServerName<'static>>,
        terms: config::Certificates,
        certificate: Arc<ServingCertificate>,
        metrics: Arc<Metrics>,
    ) -> Keeper {
        let why = registration::line("it has not been looked at yet");
        certificate.unverified.store(Some(Arc::new(why)));
        Keeper {
            secret,
            registration,
            certificate,
            metrics,
            terms,
            follows_names: names.is_empty(),
            names,
            seen: Seen::default(),
            started_at: Instant::now(),
            presented: None,
            told: None,
        }
    }

    /// Looks each `checkInterval`, for ever, and writes when something is not as it should be.
    pub async fn keep(mut self) {
        loop {
            // A fault in one look must not be the end of all renewals.
            let settled = AssertUnwindSafe(self.settle()).catch_unwind().await;
            self.tell(settled.unwrap_or(Err(KeeperError::Fault)));
            sleep(*self.terms.check_interval).await;
        }
    }

    async fn settle(&mut self) -> Result<(), KeeperError> {
        for _ in 0..MAX_ROUNDS {
            if self.round().await? {
                return Ok(());
            }
        }
        Err(KeeperError::Unsettled)
    }

    /// One look, and at most one write; whether there was nothing to write.
    async fn round(&mut self) -> Result<bool, KeeperError> {
        let (secret, registration) = tokio::join!(
            self.secret.read(KeptSecret::parse),
            self.registration.read(Registration::parse)
        );
        let (secret, registration) = (secret?, registration?);
        if self.follows_names
            && let Some(registration) = &registration
        {
            self.names = registration.names();
        }
        if self.names.is_empty() {
            return Err(KeeperError::NoName);
        }
        let kept = secret.as_ref().and_then(|secret| secret.kept(&self.names));
        let bundles = registration
            .as_ref()
            .map_or_else(Vec::new, Registration::bundles);
        self.seen.look(self.started_at.elapsed(), kept, bundles);
        self.seen.now = clock::now();
        let holding = secret.as_ref().and_then(|secret| secret.holding.as_ref());
        if plan::is_to_be_presented(&self.seen, &self.terms)
            && let Some(Holding { signer, issued, .. }) = holding
            && let Some(issued) = issued
        {
            self.certificate
                .present(Arc::clone(issued.pair()), &self.metrics);
            self.presented = Some((Arc::clone(signer), Arc::clone(issued)));
            self.seen.presented = Some(Presented {
                authority: signer.certificate(),
                life: issued.pair().life(),
            });
        }
        let (name, pair) = (self.registration.name(), self.certificate.pair());
        let verified =
            registration::verify(registration.as_ref(), name, pair.as_deref(), self.seen.now);
        self.certificate
            .unverified
            .store(verified.err().map(Arc::new));
        if let Some(change) = plan::change(&self.seen, &self.terms) {
            let fresh = self.changed(change, holding)?;
            let written = match &secret {
                None => {
                    self.secret
                        .create(fresh.new_secret(self.secret.name()))
                        .await?
                }
                Some(secret) => self.secret.patch(fresh.patch(&secret.version)).await?,
            };
            if written {
                let change: &str = change.into();
                tracing::info!(change, "the Secret of the certificates is written");
            }
            return Ok(false);
        }
        if let Some(registration) = &registration
            && let Some(bundle) = plan::bundle(&self.seen, &self.terms)
        {
            if self.registration.patch(registration.patch(&bundle)).await? {
                tracing::info!(certificates = bundle.len(), "the caBundle is written");
            }
            return Ok(false);
        }
        Ok(true)
    }

    /// What the Secret is to hold in place of `before`.
    fn changed(&self, change: Change, before: Option<&Holding>) -> Result<Holding, SignError> {
        let now = self.seen.now;
        let authority =
            || Signer::generate(Life::issued(now, *self.terms.ca_lifetime)).map(Arc::new);
        let leaf = |signer: &Signer, names: &[ServerName<'static>]| {
            let issued = signer.issue(names, Life::issued(now, *self.terms.lifetime));
            issued.map(|issued| Some(Arc::new(issued)))
        };
        let next = before.and_then(|before| before.next.as_ref());
        Ok(match (change, before, next, &self.presented) {
            (Change::Restore, _, _, Some((signer, issued))) => Holding {
                signer: Arc::clone(signer),
                issued: Some(Arc::clone(issued)),
                next: Some(authority()?),
            },
            (Change::RenewLeaf, Some(before), _, _) => Holding {
                issued: leaf(&before.signer, &self.names_beside(before))?,
                ..before.clone()
            },
            (Change::StageNext, Some(before), _, _) => Holding {
                next: Some(authority()?),
                ..before.clone()
            },
            (Change::Promote, _, Some(next), _) => Holding {
                signer: Arc::clone(next),
                issued: leaf(next, &self.names)?,
                next: None,
            },
            _ => {
                let signer = authority()?;
                Holding {
                    issued: leaf(&signer, &self.names)?,
                    signer,
                    next: None,
                }
            }
        })
    }

    /// This replica's names; while replicas are replaced and theirs differ, those of the others as well.
    fn names_beside(&self, holding: &Holding) -> Vec<ServerName<'static>> {
        let mut names = self.names.clone();
        if let Some(issued) = &holding.issued
            && !issued.covers(&self.names)
        {
            let others = issued.names().into_iter();
            names.extend(others.filter(|other| !self.names.contains(other)));
        }
        names
    }

    /// Says what is wrong once, and when it no longer is. What cannot be written is no reason not to be ready: the
    /// certificate that is there serves until it ends.
    fn tell(&mut self, settled: Result<(), KeeperError>) {
        let error = settled.err().map(|error| error.to_string());
        match &error {
            None if self.told.is_some() => tracing::info!("the certificates are kept again"),
            None => {}
            Some(why) => {
                self.metrics.certificate_checks_failed.inc();
                if self.told != error {
                    tracing::error!(reason = %why, "the certificates cannot be kept");
                }
            }
        }
        let line = error.as_ref().map(|why| format!("certificates: {why}"));
        self.certificate.keeper_error.store(line.map(Arc::new));
        self.told = error;
    }
}
