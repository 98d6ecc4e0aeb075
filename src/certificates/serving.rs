//! Where the serving certificate comes from, and what keeps it up to date.

use std::sync::Arc;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::task::JoinSet;

use crate::certificates::files;
use crate::certificates::keeper::Keeper;
use crate::certificates::store::Stored;
use crate::cli;
use crate::config;
use crate::sources::cluster::Cluster;
use crate::telemetry::labels::Kind;
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
}

/// Where the certificate is kept.
enum Source {
    /// In files, which keyguard only reads.
    Files(CertificateFiles),
    /// In the Secret of this namespace and name, for these DNS names and IP addresses.
    Kept((String, String), Vec<ServerName<'static>>),
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
    pub fn open(arguments: &cli::Serve) -> Result<Certificates, CertificateError> {
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
                let name = secret_name(secret);
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
        })
    }

    /// Keeps the certificate up to date until the result is dropped. The cluster is where the Secret and the webhook
    /// configuration are, if there is one.
    pub fn keep(
        self,
        cluster: Option<&Cluster>,
        config: &config::Certificates,
        metrics: &Arc<Metrics>,
    ) -> JoinSet<()> {
        let (certificate, metrics) = (self.certificate, Arc::clone(metrics));
        let registration = |cluster, name: &str| {
            let kind = Kind::WebhookConfiguration;
            Stored::new::<ValidatingWebhookConfiguration>(cluster, kind, None, name, &metrics)
        };
        let mut tasks = JoinSet::new();
        match (self.source, cluster) {
            (Source::Files(files), cluster) => {
                let interval = *config.check_interval;
                if let (Some(cluster), Some(name)) = (cluster, self.registration) {
                    let registration = registration(cluster, &name);
                    let (certificate, metrics) = (Arc::clone(&certificate), Arc::clone(&metrics));
                    tasks.spawn(files::watch_registration(
                        registration,
                        certificate,
                        metrics,
                        interval,
                    ));
                }
                tasks.spawn(files::keep(files, certificate, metrics, interval));
            }
            (Source::Kept((namespace, name), names), Some(cluster)) => {
                let (kind, namespace) = (Kind::Secret, Some(&*namespace));
                let secret = Stored::new::<Secret>(cluster, kind, namespace, &name, &metrics);
                let name = self.registration.as_deref().unwrap_or(REGISTRATION);
                let stored = (secret, registration(cluster, name));
                let keeper = Keeper::new(stored, names, config.clone(), certificate, metrics);
                tasks.spawn(keeper.keep());
            }
            (Source::Kept(..), None) => {}
        }
        tasks
    }
}

/// The namespace and the name in `NAMESPACE/NAME`.
fn secret_name(text: &str) -> Option<(String, String)> {
    let (namespace, name) = text.split_once('/')?;
    let valid = is_object_name(namespace) && !namespace.contains('.') && is_object_name(name);
    valid.then(|| (namespace.to_owned(), name.to_owned()))
}

fn server_name(text: &str) -> Result<ServerName<'static>, CertificateError> {
    ServerName::try_from(text.to_owned()).map_err(|_| CertificateError::Name(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_by_its_namespace_and_its_name() {
        let (namespace, name) = secret_name("keyguard/own").unwrap();
        assert_eq!((&*namespace, &*name), ("keyguard", "own"));
        for bad in ["", "a", "a/", "/a", "a/b/c", "A/b", "a.b/c", "a/b c"] {
            assert_eq!(secret_name(bad), None, "{bad}");
        }
    }
}
