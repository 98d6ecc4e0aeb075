//! `--client-ca`: which clients may ask for reviews, and what keeps that up to date.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::cli;
use crate::follow::follow;
use crate::follow::watched_files::WatchedFiles;
use crate::telemetry::labels::Follower;
use crate::telemetry::metrics::Metrics;
use crate::tls::client_certificates::{Authorities, ClientCaError, ClientCertificates};

/// From one look at the file to the next.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// What verifies clients, and the file that says with which CA.
pub struct Clients {
    /// What verifies them.
    pub certificates: Arc<ClientCertificates>,
    file: WatchedFiles<1, Authorities, ClientCaError>,
}

/// Why clients cannot be verified.
#[derive(Debug, Error)]
pub enum ClientsError {
    /// The CA cannot be used.
    #[error(transparent)]
    Authorities(#[from] ClientCaError),
    /// A name that no certificate has.
    #[error(
        "--client-name cannot be empty; name the common name or a DNS name of the API server's client certificate"
    )]
    EmptyName,
}

impl Clients {
    /// Reads the CA certificates, if clients are to be verified.
    ///
    /// # Errors
    /// When what was typed makes no sense, or the file holds no CA certificate.
    pub fn open(arguments: &cli::Serve) -> Result<Option<Clients>, ClientsError> {
        let Some(path) = &arguments.client_ca else {
            return Ok(None);
        };
        if arguments.client_name.iter().any(String::is_empty) {
            return Err(ClientsError::EmptyName);
        }
        let file = [path.clone()];
        let (file, authorities) =
            WatchedFiles::open(file, |[(path, read)]| Authorities::of_file(path, read))?;
        let names = arguments.client_name.clone();
        Ok(Some(Clients {
            certificates: Arc::new(ClientCertificates::new(authorities, names)),
            file,
        }))
    }

    /// Looks at the file again and again, for ever, and verifies with other CAs once they are there.
    pub async fn follow(self, metrics: Arc<Metrics>) {
        let apply = |look: Option<Result<_, ClientCaError>>| match look {
            None => {}
            Some(Ok(authorities)) => {
                self.certificates.store(authorities);
                tracing::info!("clients are verified with other CA certificates");
            }
            Some(Err(error)) => tracing::error!(
                reason = %error,
                "other CA certificates for clients are refused; those before stay"
            ),
        };
        let follower = Follower::ClientCa;
        follow(follower, &metrics, CHECK_INTERVAL, self.file, apply).await;
    }
}
