//! Each command, from what was typed to what it does.

use std::error::Error;
use std::io;
use std::iter::successors;

use thiserror::Error;

use crate::certificates::ca_bundle::CaBundleError;
use crate::certificates::serving::CertificateError;
use crate::check::files::FilesError;
use crate::config::ConfigError;
use crate::config::project::ProjectError;
use crate::http::server::BindError;
use crate::scan::election::LeaseNameError;
use crate::sources::cluster::ClusterError;
use crate::sources::manifest::ManifestError;
use crate::tls::client_certificates::ClientCaError;

#[cfg(feature = "audit")]
pub mod audit;
#[cfg(feature = "audit")]
mod audited;
pub mod check;
#[cfg(feature = "audit")]
mod collector;
#[cfg(feature = "audit")]
mod collector_page;
pub mod demo;
pub mod scan;
pub mod self_test;
pub mod serve;
pub mod token_inspect;
#[cfg(feature = "audit")]
mod trail;
pub mod webhook_config;

/// Why a command ends early. `main` prints it with its sources, and nobody asks which it is.
#[derive(Debug, Error)]
pub enum CommandError {
    /// Bad settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A certificate that cannot be served.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Clients that cannot be verified.
    #[error(transparent)]
    Clients(#[from] ClientCaError),
    /// No CA certificates.
    #[error(transparent)]
    CaBundle(#[from] CaBundleError),
    /// An address that cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// No API server to read from.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// No folder to read from.
    #[error("--state")]
    Manifests(#[from] ManifestError),
    /// No files to check.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A Lease that cannot be.
    #[error(transparent)]
    Lease(#[from] LeaseNameError),
    /// A project file that cannot be used.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// What OpenTelemetry is to get cannot be sent.
    #[cfg(feature = "audit")]
    #[error(transparent)]
    Otlp(#[from] crate::telemetry::otlp::OtlpError),
    /// Something that is needed failed: what, and why.
    #[error("{0}")]
    Failed(String, #[source] Box<dyn Error + Send + Sync>),
    /// Nobody reads what is printed.
    #[error(transparent)]
    Output(io::Error),
    /// Anything else, said in full.
    #[error("{0}")]
    Said(String),
}

impl CommandError {
    /// What went wrong, and each cause of it, in one line.
    pub fn chain(&self) -> String {
        let chain = successors(Some::<&dyn Error>(self), |&error| error.source());
        let chain: Vec<String> = chain.map(ToString::to_string).collect();
        chain.join(": ").replace('\n', " ")
    }

    /// The system gives none of these.
    fn no(what: &'static str) -> impl Fn(io::Error) -> CommandError + Copy {
        move |error| CommandError::Failed(format!("the system gives no {what}"), error.into())
    }
}
