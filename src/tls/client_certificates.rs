//! `--client-ca`: which clients may connect. Those with a certificate of a CA, which has one of some names.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use thiserror::Error;
use tokio::time::Instant;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use crate::follow::follow;
use crate::follow::watched_files::WatchedFiles;
use crate::telemetry::labels::{ClientRefusal, Follower};
use crate::telemetry::metrics::Metrics;

/// From one look at the file to the next.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// From one line in the log about refused clients to the next: a client may try as often as it likes.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The CA certificates that clients are verified with, which may be replaced.
#[derive(Debug)]
pub struct ClientCertificates {
    authorities: ArcSwap<Authorities>,
    names: Vec<String>,
    logged: Mutex<Option<Instant>>,
}

/// The certificates of one or more CAs, proved to be usable.
pub type Authorities = Arc<dyn ClientCertVerifier>;

/// What verifies clients, and the file that says with which CA.
pub struct Clients {
    /// What verifies them.
    pub certificates: Arc<ClientCertificates>,
    file: WatchedFiles<1, Authorities, ClientCaError>,
}

/// Why clients cannot be verified.
#[derive(Debug, Error)]
pub enum ClientCaError {
    /// The file cannot be read.
    #[error("--client-ca {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// No certificate, or something that is none.
    #[error("--client-ca {}: no usable CA certificate in PEM in it; name the certificate of the CA that issues the client's certificate", .0.display())]
    NoCertificate(PathBuf),
    /// A name that no certificate has.
    #[error(
        "--client-name cannot be empty; name the common name or a DNS name of the client's certificate"
    )]
    EmptyName,
}

/// Reads from a failed handshake whether it was for want of the right certificate.
pub fn refusal(error: &io::Error) -> Option<ClientRefusal> {
    match error.get_ref()?.downcast_ref()? {
        Error::NoCertificatesPresented => Some(ClientRefusal::NoCertificate),
        Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
            Some(ClientRefusal::OtherName)
        }
        Error::InvalidCertificate(_) => Some(ClientRefusal::NotTrusted),
        _ => None,
    }
}

/// Makes authorities of what reading the PEM file at `path` came to. Without a CA certificate, or with something else
/// beside them, they are none.
fn authorities(
    path: &Path,
    read: io::Result<impl AsRef<[u8]>>,
) -> Result<Authorities, ClientCaError> {
    let pem = read.map_err(|source| ClientCaError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let unusable = || ClientCaError::NoCertificate(path.to_owned());
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(pem.as_ref()) {
        let authority = authority.map_err(|_| unusable())?;
        roots.add(authority).map_err(|_| unusable())?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    verifier.build().map_err(|_| unusable())
}

impl Clients {
    /// Reads the CA certificates, if clients are to be verified.
    ///
    /// # Errors
    /// When what was typed makes no sense, or the file holds no CA certificate.
    pub fn open(ca: Option<&Path>, names: &[String]) -> Result<Option<Clients>, ClientCaError> {
        let Some(path) = ca else {
            return Ok(None);
        };
        if names.iter().any(String::is_empty) {
            return Err(ClientCaError::EmptyName);
        }
        let file = [path.to_owned()];
        let (file, authorities) =
            WatchedFiles::open(file, |[(path, read)]| authorities(path, read))?;
        let names = names.to_vec();
        Ok(Some(Clients {
            certificates: Arc::new(ClientCertificates::new(authorities, names)),
            file,
        }))
    }

    /// Looks at the file again and again, for ever, and verifies with other CAs once they are there.
    pub async fn follow(self, metrics: Arc<Metrics>) {
        let apply = |look: Option<Result<_, ClientCaError>>| match look {
            None => {}
            Some(Ok(authorities)) => {
                self.certificates.store(authorities);
                tracing::info!("clients are verified with other CA certificates");
            }
            Some(Err(error)) => tracing::error!(
                reason = %error,
                "other CA certificates for clients are refused; those before stay"
            ),
        };
        let follower = Follower::ClientCa;
        follow(follower, &metrics, CHECK_INTERVAL, self.file, apply).await;
    }
}

impl ClientCertificates {
    /// Accepts a client with a certificate of `authorities` that has one of `names` as its common name or DNS name; without
    /// `names`, any name.
    pub fn new(authorities: Authorities, names: Vec<String>) -> ClientCertificates {
        ClientCertificates {
            authorities: ArcSwap::from_pointee(authorities),
            names,
            logged: Mutex::default(),
        }
    }

    /// Verifies with other CAs from the next handshake on.
    pub fn store(&self, authorities: Authorities) {
        self.authorities.store(Arc::new(authorities));
    }

    /// Whether the certificate, which is of the CA, has one of the names.
    fn has_name(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        if self.names.is_empty() {
            return Ok(());
        }
        let (common, dns) = names(certificate);
        let is_known = |known: &String| {
            common.contains(known) || dns.iter().any(|name| name.eq_ignore_ascii_case(known))
        };
        if self.names.iter().any(is_known) {
            return Ok(());
        }
        self.log(&[common, dns].concat());
        Err(Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        ))
    }

    /// A name that was misspelt has to be found; the API server is told no more than "access denied".
    fn log(&self, names: &[String]) {
        let now = Instant::now();
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|logged| now - logged >= LOG_INTERVAL) {
            *logged = Some(now);
            let certificate = names.get(..8).unwrap_or(names).join(",");
            tracing::warn!(
                certificate,
                "a client was refused: its certificate has none of the names of --client-name"
            );
        }
    }
}

impl ClientCertVerifier for ClientCertificates {
    /// None: the CAs may change, and a client that is told none shows what it has.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let authorities = self.authorities.load();
        let verified = authorities.verify_client_cert(end_entity, intermediates, now)?;
        self.has_name(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let authorities = self.authorities.load();
        authorities.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let authorities = self.authorities.load();
        authorities.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.load().supported_verify_schemes()
    }
}

/// The common names and the DNS names of a certificate.
fn names(certificate: &CertificateDer<'_>) -> (Vec<String>, Vec<String>) {
    let Ok((_, certificate)) = parse_x509_certificate(certificate) else {
        return Default::default();
    };
    let common = certificate.subject().iter_common_name();
    let common = common.filter_map(|name| Some(name.as_str().ok()?.to_owned()));
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let alternatives = alternatives
        .iter()
        .flat_map(|names| &names.value.general_names);
    let dns = alternatives.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    (common.collect(), dns.collect())
}

#[cfg(test)]
#[path = "client_certificates_tests.rs"]
mod tests;
