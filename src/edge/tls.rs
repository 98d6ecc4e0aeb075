//! The serving certificate and its private key. Nothing else reads a key.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use thiserror::Error;
use x509_parser::parse_x509_certificate;
use zeroize::{Zeroize, Zeroizing};

/// The label of an encrypted PKCS #8 key, which no flag gives a passphrase for.
const ENCRYPTED_KEY: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// A certificate chain with its private key, and the TLS settings that present it.
///
/// Debug shows the dates only.
pub struct ServingCertificate {
    presented: Arc<Presented>,
    config: Arc<ServerConfig>,
}

/// Whether a certificate may be used at some time. Times are Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It may.
    Valid,
    /// Not before this time.
    NotYet(i64),
    /// Not after this time.
    Expired(i64),
}

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
    /// The TLS library refuses the settings.
    #[error("TLS 1.2 and 1.3 cannot be set up")]
    Unsupported(#[source] rustls::Error),
}

/// Reads the PEM chain in `certificate` (the server's own certificate first) and the PEM key in `key`.
///
/// An expired or not yet valid certificate is no error here: [`ServingCertificate::valid_at`] tells.
///
/// # Errors
/// When a file is missing or damaged, holds no certificate or no usable key, or the key is another certificate's.
pub fn load(certificate: &Path, key: &Path) -> Result<ServingCertificate, TlsError> {
    let chain = read_chain(certificate)?;
    let (not_before, not_after) = lifetime(certificate, &chain)?;
    let certified = CertifiedKey::new(chain, read_key(key)?);
    certified.keys_match().map_err(|_| TlsError::Mismatch {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
    })?;
    let pair = Pair {
        certified: Arc::new(certified),
        not_before,
        not_after,
    };
    ServingCertificate::new(pair).map_err(TlsError::Unsupported)
}

impl ServingCertificate {
    fn new(pair: Pair) -> Result<Self, rustls::Error> {
        let presented = Arc::new(Presented(RwLock::new(Arc::new(pair))));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&presented) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // kube-apiserver keeps connections and never resumes a session (client-go sets no session cache):
        // without tickets there is no ticket key to rotate, and no session outlives its certificate.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(ServingCertificate {
            presented,
            config: Arc::new(config),
        })
    }

    /// The TLS settings: TLS 1.2 and 1.3, `h2` and `http/1.1` by ALPN. They follow [`Self::exchange`].
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// The first moment of validity of the server's own certificate, in Unix seconds.
    pub fn not_before(&self) -> i64 {
        self.presented.pair().not_before
    }

    /// The last moment of validity of the server's own certificate, in Unix seconds.
    pub fn not_after(&self) -> i64 {
        self.presented.pair().not_after
    }

    /// Whether the server's own certificate may be used at `now`, in Unix seconds. Both ends belong to it (RFC 5280, 4.1.2.5).
    pub fn valid_at(&self, now: i64) -> Validity {
        let pair = self.presented.pair();
        if now < pair.not_before {
            Validity::NotYet(pair.not_before)
        } else if now > pair.not_after {
            Validity::Expired(pair.not_after)
        } else {
            Validity::Valid
        }
    }

    /// Presents `fresh` from the next handshake on; connections that stand are not touched.
    pub fn exchange(&self, fresh: &ServingCertificate) {
        let pair = fresh.presented.pair();
        *self
            .presented
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner) = pair;
    }
}

impl fmt::Debug for ServingCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.presented.fmt(formatter)
    }
}

/// What is in a pair of files, proved to belong together.
struct Pair {
    certified: Arc<CertifiedKey>,
    not_before: i64,
    not_after: i64,
}

/// The one place that says which certificate is presented.
struct Presented(RwLock<Arc<Pair>>);

impl Presented {
    fn pair(&self) -> Arc<Pair> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Presented {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.pair().certified))
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pair = self.pair();
        formatter
            .debug_struct("ServingCertificate")
            .field("not_before", &pair.not_before)
            .field("not_after", &pair.not_after)
            .finish_non_exhaustive()
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read("--tls-cert", path)?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| damaged("--tls-cert", path))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(chain)
}

fn lifetime(path: &Path, chain: &[CertificateDer<'_>]) -> Result<(i64, i64), TlsError> {
    let mut lifetimes = Vec::with_capacity(chain.len());
    for (index, der) in chain.iter().enumerate() {
        let (_, certificate) = parse_x509_certificate(der).map_err(|_| TlsError::NotX509 {
            path: path.to_owned(),
            number: index + 1,
        })?;
        let validity = certificate.validity();
        lifetimes.push((
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        ));
    }
    // Only the server's own: a chain may carry an expired cross-signed certificate that clients pass over.
    lifetimes
        .first()
        .copied()
        .ok_or_else(|| TlsError::NoCertificate(path.to_owned()))
}

fn read_key(path: &Path) -> Result<Arc<dyn SigningKey>, TlsError> {
    let pem = read("--tls-key", path)?;
    let mut key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        pem::Error::NoItemsFound if contains(&pem, ENCRYPTED_KEY) => {
            TlsError::EncryptedKey(path.to_owned())
        }
        pem::Error::NoItemsFound => TlsError::NoKey(path.to_owned()),
        // Its text may quote the line, and with lost line breaks the line is the key.
        _ => damaged("--tls-key", path),
    })?;
    let signing_key = ring::sign::any_supported_type(&key);
    key.zeroize();
    signing_key.map_err(|_| TlsError::UnusableKey(path.to_owned()))
}

#[expect(clippy::disallowed_methods, reason = "certificate and key are files")]
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
#[path = "tls_tests.rs"]
mod tests;
