//! A CA and a certificate of loopback, made anew for each demonstration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::ServerName;

use crate::certificates::authority::Signer;
use crate::clock;
use crate::commands::demo::DemoError;
use crate::commands::demo::state::write_file;
use crate::tls::life::Life;

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
    let life = Life::issued(clock::now(), LIFETIME);
    let signer = Signer::generate(life)?;
    let names = ["127.0.0.1", "localhost"].into_iter();
    let names: Vec<_> = names.flat_map(ServerName::try_from).collect();
    let issued = signer.issue(&names, life)?;
    let files = Files {
        authority: directory.join("ca.crt"),
        certificate: directory.join("tls.crt"),
        key: directory.join("tls.key"),
    };
    write_file(&files.authority, signer.certificate_pem().as_bytes())?;
    write_file(&files.certificate, issued.certificate_pem().as_bytes())?;
    write_file(&files.key, issued.key_pem().as_bytes())?;
    Ok(files)
}
