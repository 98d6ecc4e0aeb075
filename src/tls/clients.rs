//! `--client-ca`: who may ask for reviews, and what keeps that up to date.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

use crate::cli;
use crate::clock;
use crate::follow::follow;
use crate::follow::watched_files::{Content, Look, WatchedFiles};
use crate::telemetry::labels::Follower;
use crate::telemetry::metrics::Metrics;
use crate::tls::client_certificates::{Authorities, ClientCaError, ClientCertificates};

/// From one look at the file to the next.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// What verifies clients, and the file that says with which CA.
pub struct Clients {
    /// What verifies them.
    pub certificates: Arc<ClientCertificates>,
    path: PathBuf,
    file: WatchedFiles,
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
        let parse = |[read]: [Content; 1]| Authorities::of_file(path, read);
        let (file, authorities) = WatchedFiles::open([path], parse)?;
        let names = arguments.client_name.clone();
        Ok(Some(Clients {
            certificates: Arc::new(ClientCertificates::new(authorities, names)),
            path: path.clone(),
            file,
        }))
    }

    /// Looks at the file again and again, for ever, and verifies with other CAs once they are there.
    pub async fn follow(self, metrics: Arc<Metrics>) {
        let Clients {
            certificates,
            path,
            file,
        } = self;
        let file = Arc::new(Mutex::new(file));
        let look = move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.look(clock::now(), |[read]: [Content; 1]| {
                Authorities::of_file(&path, read)
            })
        };
        let apply = |look| match look {
            Look::Unchanged => {}
            Look::Changed(authorities) => {
                certificates.store(authorities);
                tracing::info!("clients are verified with other CA certificates");
            }
            Look::Refused(error) => tracing::error!(
                reason = %error,
                "other CA certificates for clients are refused; those before stay"
            ),
        };
        follow(Follower::ClientCa, &metrics, CHECK_INTERVAL, look, apply).await;
    }
}
