//! The CA certificates that the API server verifies keyguard's certificate with.

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;
use x509_parser::parse_x509_certificate;

/// Why a file is no CA bundle. Never quotes the file, which may hold a key by mistake.
#[derive(Debug, Error)]
pub enum CaBundleError {
    /// It cannot be read.
    #[error("{flag} {} cannot be read", path.display())]
    Unreadable {
        /// Where it was typed.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// No certificate, or something that is none.
    #[error("{flag} {}: no X.509 certificate in PEM in it; name the CA's certificate", path.display())]
    NoCertificate {
        /// Where it was typed.
        flag: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A private key, which must not go into the API server's objects.
    #[error("{flag} {}: there is a private key in it; name a file with the CA's certificate only", path.display())]
    PrivateKey {
        /// Where it was typed.
        flag: &'static str,
        /// The file.
        path: PathBuf,
    },
}

/// Reads a bundle that was typed behind a flag, and proves that it holds certificates and no key.
///
/// # Errors
/// When it does not.
pub fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, CaBundleError> {
    let pem = std::fs::read(path).map_err(|source| CaBundleError::Unreadable {
        flag,
        path: path.to_owned(),
        source,
    })?;
    if String::from_utf8_lossy(&pem).contains("PRIVATE KEY-----") {
        return Err(CaBundleError::PrivateKey {
            flag,
            path: path.to_owned(),
        });
    }
    let certificates: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .unwrap_or_default();
    let x509 = certificates
        .iter()
        .all(|der| parse_x509_certificate(der).is_ok());
    if certificates.is_empty() || !x509 {
        return Err(CaBundleError::NoCertificate {
            flag,
            path: path.to_owned(),
        });
    }
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    #[test]
    fn a_bundle_holds_certificates_and_nothing_else() {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default()
            .self_signed(&key)
            .unwrap()
            .pem();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.crt");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            super::read("--ca-bundle", &path)
        };
        assert!(read(&certificate).is_ok());
        assert!(read(&format!("{certificate}{certificate}")).is_ok());
        assert!(matches!(read(""), Err(CaBundleError::NoCertificate { .. })));
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            read(garbage),
            Err(CaBundleError::NoCertificate { .. })
        ));
        let with_key = format!("{certificate}{}", key.serialize_pem());
        assert!(matches!(
            read(&with_key),
            Err(CaBundleError::PrivateKey { .. })
        ));
        assert!(matches!(
            super::read("--ca-bundle", Path::new("/nowhere/at/all")),
            Err(CaBundleError::Unreadable { .. })
        ));
    }
}
