//! Which clients may ask for reviews: those with a certificate of a CA, which has one of some names.

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

use crate::telemetry::labels::ClientRefusal;

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
#[derive(Debug)]
pub struct Authorities(Arc<dyn ClientCertVerifier>);

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
    #[error("--client-ca {}: no usable CA certificate in PEM in it; name the certificate of the CA that issues the API server's client certificate", .0.display())]
    NoCertificate(PathBuf),
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

impl Authorities {
    /// Makes them of what reading the PEM file at `path` came to.
    ///
    /// # Errors
    /// When it was not read, or holds no CA certificate, or something else beside them.
    pub fn of_file(path: &Path, read: io::Result<Vec<u8>>) -> Result<Authorities, ClientCaError> {
        let pem = read.map_err(|source| ClientCaError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let unusable = || ClientCaError::NoCertificate(path.to_owned());
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(&pem) {
            let authority = authority.map_err(|_| unusable())?;
            roots.add(authority).map_err(|_| unusable())?;
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        verifier.build().map(Authorities).map_err(|_| unusable())
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
        let names = names(certificate);
        let known = |name: &Name| self.names.iter().any(|known| name.is(known));
        if names.iter().any(known) {
            return Ok(());
        }
        self.log(&names);
        Err(Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        ))
    }

    /// A name that was misspelt has to be found; the API server is told no more than "access denied".
    fn log(&self, names: &[Name]) {
        let now = Instant::now();
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|logged| now - logged >= LOG_INTERVAL) {
            *logged = Some(now);
            let texts: Vec<&str> = names.iter().take(8).map(Name::text).collect();
            let certificate = texts.join(",");
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
        let verifier = self.authorities.load();
        let verified = verifier
            .0
            .verify_client_cert(end_entity, intermediates, now)?;
        self.has_name(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verifier = self.authorities.load();
        verifier
            .0
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verifier = self.authorities.load();
        verifier
            .0
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.load().0.supported_verify_schemes()
    }
}

/// What a certificate calls its holder.
enum Name {
    Common(String),
    Dns(String),
}

impl Name {
    fn is(&self, known: &str) -> bool {
        match self {
            Name::Common(name) => name == known,
            Name::Dns(name) => name.eq_ignore_ascii_case(known),
        }
    }

    fn text(&self) -> &str {
        let (Name::Common(name) | Name::Dns(name)) = self;
        name
    }
}

fn names(certificate: &CertificateDer<'_>) -> Vec<Name> {
    let Ok((_, certificate)) = parse_x509_certificate(certificate) else {
        return Vec::new();
    };
    let common = certificate.subject().iter_common_name();
    let common = common.filter_map(|name| name.as_str().ok());
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let alternatives = alternatives.map(|names| names.value.general_names.iter());
    let dns = alternatives
        .into_iter()
        .flatten()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(Name::Dns((*name).to_owned())),
            _ => None,
        });
    common
        .map(|name| Name::Common(name.to_owned()))
        .chain(dns)
        .collect()
}

#[cfg(test)]
#[path = "client_certificates_tests.rs"]
mod tests;
