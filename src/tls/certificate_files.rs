//! The certificate chain and the private key in two files.

use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use thiserror::Error;

use crate::clock::rfc3339;
use crate::follow::watched_files::{Content, WatchedFiles};
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
    /// What is wrong with the file that `--tls-cert` names.
    pub(crate) fn of_certificate(path: &Path, problem: Problem) -> TlsError {
        TlsError {
            flag: "--tls-cert",
            path: path.to_owned(),
            problem,
            source: None,
        }
    }

    fn of_key(path: &Path, problem: Problem) -> TlsError {
        TlsError {
            flag: "--tls-key",
            ..TlsError::of_certificate(path, problem)
        }
    }
}

/// What is wrong with a file.
#[derive(Debug, Error)]
pub(crate) enum Problem {
    #[error("cannot be read; name a PEM file that this process may read")]
    Unreadable,
    #[error("a PEM block in it is damaged; write the file again, line breaks included")]
    Damaged,
    #[error(
        "no private key in it; it must hold one in PEM: PKCS #8 (BEGIN PRIVATE KEY), SEC1 (BEGIN EC PRIVATE KEY) or PKCS #1 (BEGIN RSA PRIVATE KEY)"
    )]
    NoKey,
    #[error("the private key is encrypted; store it without a passphrase")]
    EncryptedKey,
    #[error(
        "the private key does not belong to the first certificate in --tls-cert {}; name the pair that was issued together",
        .0.display()
    )]
    Mismatch(PathBuf),
    #[error(transparent)]
    Pair(PairError),
    /// It begins at this moment, in Unix seconds.
    #[error("not valid before {}", rfc3339(*.0))]
    NotYetValid(i64),
    /// It ended at this moment, in Unix seconds.
    #[error("expired at {}; issue it again", rfc3339(*.0))]
    Expired(i64),
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

fn parse(
    [(certificate_path, certificate_pem), (key_path, key_pem)]: [Content<'_>; 2],
) -> Result<Pair, TlsError> {
    let certificate = |problem| TlsError::of_certificate(certificate_path, problem);
    let key = |problem| TlsError::of_key(key_path, problem);
    let certificate_pem = certificate_pem.map_err(|source| TlsError {
        source: Some(source),
        ..certificate(Problem::Unreadable)
    })?;
    let chain = CertificateDer::pem_slice_iter(&certificate_pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|_| certificate(Problem::Damaged))?;
    if chain.is_empty() {
        return Err(certificate(Problem::Pair(PairError::NoCertificate)));
    }
    let key_pem = key_pem.map_err(|source| TlsError {
        source: Some(source),
        ..key(Problem::Unreadable)
    })?;
    let private_key = private_key(&key_pem).map_err(key)?;
    Pair::new(chain, private_key).map_err(|error| match error {
        PairError::NoCertificate | PairError::NotX509(_) => certificate(Problem::Pair(error)),
        PairError::UnusableKey => key(Problem::Pair(error)),
        PairError::Mismatch => key(Problem::Mismatch(certificate_path.to_owned())),
    })
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Problem> {
    let mut windows = pem.windows(ENCRYPTED_KEY.len());
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound if windows.any(|window| window == ENCRYPTED_KEY) => {
            Problem::EncryptedKey
        }
        pem::Error::NoItemsFound => Problem::NoKey,
        // Its text may quote the line, and with lost line breaks the line is the key.
        _ => Problem::Damaged,
    })
}

#[cfg(test)]
#[path = "certificate_files_tests.rs"]
mod tests;
