//! The certificate chain and the private key in two files, read again when their content changes.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::clock::rfc3339;
use crate::tls::life::Validity;
use crate::tls::serving_certificate::{Pair, PairError};

/// The label of an encrypted PKCS #8 key, which no flag gives a passphrase for.
const ENCRYPTED_KEY: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// Why a certificate and key cannot be served. Never quotes a file, which may hold a key.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read at all.
    #[error("{flag} {}: cannot be read; name a PEM file that this process may read", path.display())]
    Unreadable {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file is PEM in part: a block has no end, or is not base64.
    #[error("{flag} {}: a PEM block in it is damaged; write the file again, line breaks included", path.display())]
    Damaged {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// No certificate in the certificate file.
    #[error(
        "--tls-cert {}: no certificate in it; it must hold the PEM chain, beginning with the server's own certificate (BEGIN CERTIFICATE)",
        .0.display()
    )]
    NoCertificate(PathBuf),
    /// A block that says it is a certificate is none.
    #[error("--tls-cert {}: certificate {number} in it is not X.509; issue it again", path.display())]
    NotX509 {
        /// The file.
        path: PathBuf,
        /// Its place in the file, from 1.
        number: usize,
    },
    /// No private key in the key file.
    #[error(
        "--tls-key {}: no private key in it; it must hold one in PEM: PKCS #8 (BEGIN PRIVATE KEY), SEC1 (BEGIN EC PRIVATE KEY) or PKCS #1 (BEGIN RSA PRIVATE KEY)",
        .0.display()
    )]
    NoKey(PathBuf),
    /// The key needs a passphrase.
    #[error("--tls-key {}: the private key is encrypted; store it without a passphrase", .0.display())]
    EncryptedKey(PathBuf),
    /// A key, of an algorithm that TLS here does not sign with.
    #[error(
        "--tls-key {}: not a usable private key; use ECDSA (P-256, P-384), Ed25519 or RSA of 2048 to 8192 bits",
        .0.display()
    )]
    UnusableKey(PathBuf),
    /// The key is another certificate's.
    #[error(
        "--tls-key {}: the private key does not belong to the first certificate in --tls-cert {}; name the pair that was issued together",
        key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
    },
}

/// Why another pair is not presented, although the files hold one.
#[derive(Debug, Error)]
pub enum Refusal {
    /// It cannot be.
    #[error(transparent)]
    Unusable(#[from] TlsError),
    /// The one before may still be used, and this one not yet.
    #[error("--tls-cert {}: not valid before {}", path.display(), rfc3339(*.from))]
    NotYetValid {
        /// The file.
        path: PathBuf,
        /// Its first moment of validity, in Unix seconds.
        from: i64,
    },
    /// The one before may still be used, and this one no longer.
    #[error("--tls-cert {}: expired at {}; issue it again", path.display(), rfc3339(*.to))]
    Expired {
        /// The file.
        path: PathBuf,
        /// Its last moment of validity, in Unix seconds.
        to: i64,
    },
}

/// Two files that are looked at again and again. It is their content that counts: an inode tells nothing of a mounted
/// Secret, whose files are links to a folder that is exchanged as a whole.
#[derive(Debug)]
pub struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    hasher: RandomState,
    served: u64,
    unproved: Option<u64>,
    refused: Option<Refused>,
}

/// What a look at the files came to.
#[derive(Debug)]
pub enum Look {
    /// Nothing new.
    Unchanged,
    /// There is another pair, and it is good.
    Changed(Pair),
    /// There is another pair, and it is not; told once for each content.
    Refused(Refusal),
}

/// A content that is not taken.
#[derive(Debug)]
struct Refused {
    content: u64,
    /// When it may be looked at again, in Unix seconds.
    until: Option<i64>,
}

/// Reads the PEM chain in `certificate` (the server's own certificate first) and the PEM key in `key`.
///
/// An expired or not yet valid certificate is no error here: [`Pair::life`] tells.
///
/// # Errors
/// When a file is missing or damaged, holds no certificate or no usable key, or the key is another certificate's.
pub fn load(certificate: &Path, key: &Path) -> Result<Pair, TlsError> {
    CertificateFiles::open(certificate, key).map(|(_, pair)| pair)
}

impl CertificateFiles {
    /// Reads the pair for the first time, as [`load`] does.
    ///
    /// # Errors
    /// As [`load`].
    pub fn open(certificate: &Path, key: &Path) -> Result<(CertificateFiles, Pair), TlsError> {
        let mut files = CertificateFiles {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            hasher: RandomState::new(),
            served: 0,
            unproved: None,
            refused: None,
        };
        let content = files.read()?;
        let pair = files.parse(&content)?;
        files.served = files.digest(&Ok(content));
        Ok((files, pair))
    }

    /// Reads the files again at `now`, in Unix seconds; `presented` says how the pair in use is then. It blocks.
    ///
    /// What cannot be used is refused only when a second look finds the same: whoever writes the two files one after
    /// the other is not to be blamed for the moment between.
    pub fn look(&mut self, now: i64, presented: Validity) -> Look {
        let read = self.read();
        let content = self.digest(&read);
        if content == self.served {
            (self.unproved, self.refused) = (None, None);
            return Look::Unchanged;
        }
        let known = |refused: &Refused| {
            refused.content == content && refused.until.is_none_or(|until| now < until)
        };
        if self.refused.as_ref().is_some_and(known) {
            return Look::Unchanged;
        }
        let pair = read.and_then(|content| self.parse(&content));
        match pair
            .map_err(Refusal::from)
            .and_then(|pair| self.timely(pair, now, presented))
        {
            Ok(pair) => {
                self.served = content;
                (self.unproved, self.refused) = (None, None);
                Look::Changed(pair)
            }
            Err(_) if self.unproved != Some(content) => {
                self.unproved = Some(content);
                Look::Unchanged
            }
            Err(refusal) => {
                let until = match refusal {
                    Refusal::NotYetValid { from, .. } => Some(from),
                    Refusal::Unusable(_) | Refusal::Expired { .. } => None,
                };
                self.refused = Some(Refused { content, until });
                Look::Refused(refusal)
            }
        }
    }

    /// A certificate that may be used is never given up for one that may not.
    fn timely(&self, pair: Pair, now: i64, presented: Validity) -> Result<Pair, Refusal> {
        let path = self.certificate.clone();
        let life = pair.life();
        match (presented, life.at(now)) {
            (Validity::Valid | Validity::Ending, Validity::NotYet) => Err(Refusal::NotYetValid {
                path,
                from: life.from,
            }),
            (Validity::Valid | Validity::Ending, Validity::Expired) => {
                Err(Refusal::Expired { path, to: life.to })
            }
            _ => Ok(pair),
        }
    }

    fn read(&self) -> Result<Content, TlsError> {
        Ok(Content {
            certificate: read("--tls-cert", &self.certificate)?,
            key: read("--tls-key", &self.key)?,
        })
    }

    fn parse(&self, content: &Content) -> Result<Pair, TlsError> {
        let chain = chain(&self.certificate, &content.certificate)?;
        let key = private_key(&self.key, &content.key)?;
        Pair::new(chain, key).map_err(|error| match error {
            PairError::NoCertificate => TlsError::NoCertificate(self.certificate.clone()),
            PairError::NotX509(number) => TlsError::NotX509 {
                path: self.certificate.clone(),
                number,
            },
            PairError::UnusableKey => TlsError::UnusableKey(self.key.clone()),
            PairError::Mismatch => TlsError::Mismatch {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
            },
        })
    }

    /// Tells contents apart without keeping a key. Its seed is of this process and told to nobody.
    fn digest(&self, read: &Result<Content, TlsError>) -> u64 {
        match read {
            Ok(content) => self
                .hasher
                .hash_one((content.certificate.as_slice(), content.key.as_slice())),
            Err(error) => self.hasher.hash_one(error.to_string()),
        }
    }
}

/// What is in the two files.
struct Content {
    certificate: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
}

fn chain(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| damaged("--tls-cert", path))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(chain)
}

fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound if contains(pem, ENCRYPTED_KEY) => {
            TlsError::EncryptedKey(path.to_owned())
        }
        pem::Error::NoItemsFound => TlsError::NoKey(path.to_owned()),
        // Its text may quote the line, and with lost line breaks the line is the key.
        _ => damaged("--tls-key", path),
    })
}

fn read(flag: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    std::fs::read(path)
        .map(Zeroizing::new)
        .map_err(|source| TlsError::Unreadable {
            flag,
            path: path.to_owned(),
            source,
        })
}

fn damaged(flag: &'static str, path: &Path) -> TlsError {
    TlsError::Damaged {
        flag,
        path: path.to_owned(),
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
#[path = "certificate_files_tests.rs"]
mod tests;
