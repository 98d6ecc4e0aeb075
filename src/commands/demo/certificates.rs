//! A CA and a certificate of loopback, made anew for each demonstration.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use zeroize::Zeroizing;

use crate::commands::demo::DemoError;
use crate::commands::demo::state::write_file;

const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Where the three files are.
pub(crate) struct Files {
    /// The CA's certificate; its key is never written.
    pub(crate) authority: PathBuf,
    /// The server's certificate.
    pub(crate) certificate: PathBuf,
    /// The server's private key.
    pub(crate) key: PathBuf,
}

/// Makes the CA and the certificate and writes them into `directory`.
pub(crate) fn write(directory: &Path) -> Result<Files, DemoError> {
    let mut authority = parameters(Vec::new(), "keyguard demo CA")?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);

    let subjects = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let mut leaf = parameters(subjects, "keyguard demo")?;
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &issuer)?;

    let files = Files {
        authority: directory.join("ca.crt"),
        certificate: directory.join("tls.crt"),
        key: directory.join("tls.key"),
    };
    write_file(&files.authority, authority_certificate.pem().as_bytes())?;
    write_file(&files.certificate, certificate.pem().as_bytes())?;
    write_file(&files.key, Zeroizing::new(key.serialize_pem()).as_bytes())?;
    Ok(files)
}

fn parameters(subjects: Vec<String>, name: &str) -> Result<CertificateParams, rcgen::Error> {
    let now = SystemTime::now();
    let mut parameters = CertificateParams::new(subjects)?;
    parameters.not_before = now.into();
    parameters.not_after = (now + LIFETIME).into();
    parameters.distinguished_name.push(DnType::CommonName, name);
    Ok(parameters)
}
