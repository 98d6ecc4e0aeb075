//! A CA and a certificate of loopback, made anew for each demonstration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::ServerName;

use crate::certificates::authority::{SignError, Signer};
use crate::clock;
use crate::commands::CommandError;
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
pub(crate) fn write(directory: &Path) -> Result<Files, CommandError> {
    let fail = |error: SignError| {
        let what = "the demonstration's certificate cannot be made";
        CommandError::Failed(what.to_owned(), error.into())
    };
    let life = Life::issued(clock::now(), LIFETIME);
    let signer = Signer::generate(life).map_err(fail)?;
    let names = ["127.0.0.1", "localhost"].into_iter();
    let names: Vec<_> = names.flat_map(ServerName::try_from).collect();
    let issued = signer.issue(&names, life).map_err(fail)?;
    Ok(Files {
        authority: write_file(directory, "ca.crt", signer.certificate_pem().as_bytes())?,
        certificate: write_file(directory, "tls.crt", issued.certificate_pem().as_bytes())?,
        key: write_file(directory, "tls.key", issued.key_pem().as_bytes())?,
    })
}
