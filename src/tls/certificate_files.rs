//! The certificate chain and the private key in two files.

use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::follow::watched_files::WatchedFiles;
use crate::tls::serving_certificate::{Pair, PairError};

/// The label of an encrypted PKCS #8 key, which no flag gives a passphrase for.
const ENCRYPTED_KEY: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// Why a certificate and key cannot be served. Never quotes a file, which may hold a key.
#[derive(Debug, Error)]
#[error("{flag} {}: {problem}", path.display())]
pub struct TlsError {
    flag: &'static str,
    path: PathBuf,
    problem: Problem,
    source: Option<io::Error>,
}

impl TlsError {
    fn new(flag: &'static str, path: &Path, problem: Problem) -> TlsError {
        TlsError {
            flag,
            path: path.to_owned(),
            problem,
            source: None,
        }
    }

    fn of(self, source: io::Error) -> TlsError {
        TlsError {
            source: Some(source),
            ..self
        }
    }
}

/// What is wrong with a file.
#[derive(Debug, Error)]
enum Problem {
    #[error("cannot be read; name a PEM file that this process may read")]
    Unreadable,
    #[error("a PEM block in it is damaged; write the file again, line breaks included")]
    Damaged,
    #[error(
        "no certificate in it; it must hold the PEM chain, beginning with the server's own certificate (BEGIN CERTIFICATE)"
    )]
    NoCertificate,
    #[error("certificate {0} in it is not X.509; issue it again")]
    NotX509(usize),
    #[error(
        "no private key in it; it must hold one in PEM: PKCS #8 (BEGIN PRIVATE KEY), SEC1 (BEGIN EC PRIVATE KEY) or PKCS #1 (BEGIN RSA PRIVATE KEY)"
    )]
    NoKey,
    #[error("the private key is encrypted; store it without a passphrase")]
    EncryptedKey,
    #[error(
        "not a usable private key; use ECDSA (P-256, P-384), Ed25519 or RSA of 2048 to 8192 bits"
    )]
    UnusableKey,
    #[error(
        "the private key does not belong to the first certificate in --tls-cert {}; name the pair that was issued together",
        .0.display()
    )]
    Mismatch(PathBuf),
}

/// The two files, read again when their content changes.
pub type CertificateFiles = WatchedFiles<2, Pair, TlsError>;

/// Reads the PEM chain in `certificate` (the server's own certificate first) and the PEM key in `key`.
///
/// An expired or not yet valid certificate is no error here: [`Pair::life`] tells.
///
/// # Errors
/// When a file is missing or damaged, holds no certificate or no usable key, or the key is another certificate's.
pub fn load(certificate: &Path, key: &Path) -> Result<Pair, TlsError> {
    open(certificate, key).map(|(_, pair)| pair)
}

/// Reads the pair for the first time, as [`load`] does.
///
/// # Errors
/// As [`load`].
pub fn open(certificate: &Path, key: &Path) -> Result<(CertificateFiles, Pair), TlsError> {
    CertificateFiles::open([certificate.to_owned(), key.to_owned()], parse)
}

fn parse([certificate, key]: [(&Path, io::Result<Vec<u8>>); 2]) -> Result<Pair, TlsError> {
    let (certificate_path, certificate_pem) = certificate;
    let (key_path, key_pem) = key;
    let (certificate_pem, key_pem) = (
        certificate_pem.map(Zeroizing::new),
        key_pem.map(Zeroizing::new),
    );
    let certificate = |problem| TlsError::new("--tls-cert", certificate_path, problem);
    let key = |problem| TlsError::new("--tls-key", key_path, problem);
    let certificate_pem =
        certificate_pem.map_err(|source| certificate(Problem::Unreadable).of(source))?;
    let chain = chain(&certificate_pem).map_err(certificate)?;
    let key_pem = key_pem.map_err(|source| key(Problem::Unreadable).of(source))?;
    let private_key = private_key(&key_pem).map_err(key)?;
    Pair::new(chain, private_key).map_err(|error| match error {
        PairError::NoCertificate => certificate(Problem::NoCertificate),
        PairError::NotX509(number) => certificate(Problem::NotX509(number)),
        PairError::UnusableKey => key(Problem::UnusableKey),
        PairError::Mismatch => key(Problem::Mismatch(certificate_path.to_owned())),
    })
}

fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|_| Problem::Damaged)?;
    if chain.is_empty() {
        return Err(Problem::NoCertificate);
    }
    Ok(chain)
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Problem> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound if contains(pem, ENCRYPTED_KEY) => Problem::EncryptedKey,
        pem::Error::NoItemsFound => Problem::NoKey,
        // Its text may quote the line, and with lost line breaks the line is the key.
        _ => Problem::Damaged,
    })
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
#[path = "certificate_files_tests.rs"]
mod tests;
