//! Where the serving certificate comes from, and what keeps it up to date.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::task::JoinSet;

use crate::certificates::files;
use crate::certificates::keeper::Keeper;
use crate::certificates::store::{SecretName, Stored};
use crate::cli;
use crate::config;
use crate::sources::cluster::Cluster;
use crate::telemetry::metrics::Metrics;
use crate::tls::certificate_files::{self, CertificateFiles, TlsError};
use crate::tls::serving_certificate::ServingCertificate;
use keyguard_core::policy::plan::is_object_name;

/// The webhook configuration that is kept unless another is named.
const REGISTRATION: &str = "keyguard";

/// A certificate that can be served, or that will be.
pub struct Certificates {
    /// What is presented.
    pub certificate: Arc<ServingCertificate>,
    source: Source,
    registration: Option<String>,
    config: config::Certificates,
}

/// Where the certificate is kept.
enum Source {
    /// In files, which keyguard only reads.
    Files(CertificateFiles),
    /// In a Secret, for these names.
    Kept(SecretName, Vec<ServerName<'static>>),
}

/// Why there is nothing to serve.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// The files cannot be served.
    #[error(transparent)]
    Files(#[from] TlsError),
    /// The TLS library refuses the settings.
    #[error("TLS 1.2 and 1.3 cannot be set up")]
    Settings(#[from] rustls::Error),
    /// Neither files nor a Secret are named.
    #[error("name --tls-secret, or --tls-cert and --tls-key")]
    Nothing,
    /// Not a Secret.
    #[error("--tls-secret {0:?} is not NAMESPACE/NAME, such as keyguard/keyguard-certificates")]
    Secret(String),
    /// Not a name for a certificate.
    #[error(
        "--tls-dns-name {0:?} is neither a DNS name nor an IP address, such as keyguard.keyguard.svc"
    )]
    Name(String),
    /// Not the name of an object.
    #[error("--webhook-configuration {0:?} cannot be the name of a webhook configuration")]
    Registration(String),
}

impl Certificates {
    /// Reads the files, or makes ready for a Secret.
    ///
    /// # Errors
    /// When what was typed makes no sense, or the files cannot be served.
    pub fn open(
        arguments: &cli::Serve,
        config: &config::Certificates,
    ) -> Result<Certificates, CertificateError> {
        let registration = arguments.webhook_configuration.clone();
        if let Some(name) = registration.as_ref().filter(|name| !is_object_name(name)) {
            return Err(CertificateError::Registration(name.clone()));
        }
        let (source, certificate) = match (
            &arguments.tls_secret,
            &arguments.tls_cert,
            &arguments.tls_key,
        ) {
            (Some(secret), _, _) => {
                let name = SecretName::parse(secret);
                let name = name.ok_or_else(|| CertificateError::Secret(secret.clone()))?;
                let names = arguments.tls_dns_name.iter().map(|name| server_name(name));
                let names = names.collect::<Result<_, _>>()?;
                (Source::Kept(name, names), ServingCertificate::to_be_kept())
            }
            (None, Some(certificate), Some(key)) => {
                let (files, pair) = certificate_files::open(certificate, key)?;
                (Source::Files(files), ServingCertificate::of_files(pair))
            }
            _ => return Err(CertificateError::Nothing),
        };
        Ok(Certificates {
            certificate: Arc::new(certificate),
            source,
            registration,
            config: config.clone(),
        })
    }

    /// Keeps the certificate up to date until the result is dropped. The cluster is where the Secret and the webhook
    /// configuration are, if there is one.
    pub fn keep(self, cluster: Option<&Cluster>, metrics: &Arc<Metrics>) -> JoinSet<()> {
        let Certificates {
            certificate,
            source,
            registration,
            config,
        } = self;
        let (metrics, interval) = (Arc::clone(metrics), *config.check_interval);
        let mut tasks = JoinSet::new();
        match source {
            Source::Files(files) => {
                if let (Some(cluster), Some(name)) = (cluster, registration) {
                    tasks.spawn(files::watch_registration(
                        Stored::registration(cluster, &name, &metrics),
                        Arc::clone(&certificate),
                        Arc::clone(&metrics),
                        interval,
                    ));
                }
                tasks.spawn(files::keep(files, certificate, metrics, interval));
            }
            Source::Kept(secret, names) => {
                if let Some(cluster) = cluster {
                    let name = registration.as_deref().unwrap_or(REGISTRATION);
                    let stored = (
                        Stored::secret(cluster, &secret, &metrics),
                        Stored::registration(cluster, name, &metrics),
                    );
                    let keeper = Keeper::new(stored, names, config, certificate, metrics);
                    tasks.spawn(keeper.keep(interval));
                }
            }
        }
        tasks
    }
}

fn server_name(text: &str) -> Result<ServerName<'static>, CertificateError> {
    ServerName::try_from(text.to_owned()).map_err(|_| CertificateError::Name(text.to_owned()))
}
