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
    #[error("--ca-bundle {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// No certificate, or something that is none.
    #[error("--ca-bundle {}: no X.509 certificate in PEM in it; name the CA's certificate", .0.display())]
    NoCertificate(PathBuf),
    /// A private key, which must not go into the API server's objects.
    #[error("--ca-bundle {}: there is a private key in it; name a file with the CA's certificate only", .0.display())]
    PrivateKey(PathBuf),
}

/// Reads a bundle and proves that it holds certificates and no key.
///
/// # Errors
/// When it does not.
pub fn read(path: &Path) -> Result<Vec<u8>, CaBundleError> {
    let pem = std::fs::read(path).map_err(|source| CaBundleError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    if String::from_utf8_lossy(&pem).contains("PRIVATE KEY-----") {
        return Err(CaBundleError::PrivateKey(path.to_owned()));
    }
    let certificates: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .unwrap_or_default();
    let x509 = certificates
        .iter()
        .all(|der| parse_x509_certificate(der).is_ok());
    if certificates.is_empty() || !x509 {
        return Err(CaBundleError::NoCertificate(path.to_owned()));
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
            super::read(&path)
        };
        assert!(read(&certificate).is_ok());
        assert!(read(&format!("{certificate}{certificate}")).is_ok());
        assert!(matches!(read(""), Err(CaBundleError::NoCertificate(_))));
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            read(garbage),
            Err(CaBundleError::NoCertificate(_))
        ));
        let with_key = format!("{certificate}{}", key.serialize_pem());
        assert!(matches!(read(&with_key), Err(CaBundleError::PrivateKey(_))));
        assert!(matches!(
            super::read(Path::new("/nowhere/at/all")),
            Err(CaBundleError::Unreadable { .. })
        ));
    }
}
