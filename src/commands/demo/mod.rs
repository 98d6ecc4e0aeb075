//! `keyguard demo`: what is refused and what is not, on a machine with no cluster.

mod certificates;
mod client;
mod examples;
mod state;
mod table;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;

use self::client::{Answer, Client};
use self::examples::{Example, Expected, examples};
use crate::admission::configuration::Configuration;
use crate::certificates::authority::SignError;
use crate::cli;
use crate::commands::serve::{ServeError, Server, Stopping};
use crate::config::Config;
use crate::sources::any_source::AnySource;
use crate::sources::manifests::{ManifestError, Manifests};
use crate::telemetry::log::Log;
use crate::telemetry::metrics::Metrics;
use crate::tls::certificate_files::{self, TlsError};
use crate::tls::serving_certificate::ServingCertificate;
use keyguard_core::policy::rules::Rule;

/// Why the demonstration ends early.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The folder cannot be written.
    #[error("--directory {path} cannot be written; name a folder that may be")]
    Directory {
        /// The folder or file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// No certificate came about.
    #[error("the demonstration's certificate cannot be made")]
    Certificate(#[from] SignError),
    /// The certificate that was made cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The TLS library refuses the settings.
    #[error("TLS 1.2 and 1.3 cannot be set up")]
    TlsSettings(#[from] rustls::Error),
    /// The server did not come up.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The examples cannot be read back.
    #[error(transparent)]
    Manifests(#[from] ManifestError),
    /// A review could not be sent or its answer not be read.
    #[error("{0}")]
    Client(#[from] client::ClientError),
    /// The system gives no thread, timer or output.
    #[error("the system gives no thread, timer or output")]
    System(#[from] io::Error),
    /// Some verdicts are not the expected ones.
    #[error("{0} verdict(s) are not the expected ones: see the table")]
    Unexpected(usize),
}

/// Makes certificates and examples, serves, asks, prints; then stays up unless told otherwise.
///
/// # Errors
/// When anything of it fails, or a verdict is not the expected one.
pub fn run(arguments: &cli::Demo) -> Result<(), DemoError> {
    let files = certificates::write(&arguments.directory)?;
    let folder = state::write(&arguments.directory)?;
    let source = AnySource::Manifests(Manifests::open(&folder)?);
    let pair = certificate_files::load(&files.certificate, &files.key)?;
    let certificate = Arc::new(ServingCertificate::of_files(pair));
    let tls = certificate.server_config(None)?;
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let server = Server::bind(
            loopback,
            loopback,
            tls,
            certificate,
        )
            .await
            .map_err(ServeError::from)?;
        let (address, health_address) = (server.address(), server.health_address());
        let examples = examples();
        let asked = async {
            let client = Client::new(address, &files.authority)?;
            let mut answers = Vec::with_capacity(examples.len());
            for example in &examples {
                answers.push(client.ask(&example.review).await?);
            }
            Ok::<_, DemoError>(answers)
        };
        let metrics = Arc::new(Metrics::new());
        // The table shows what was decided.
        let log = Log::start(io::sink(), Arc::clone(&metrics))?;
        let configuration = Configuration::new(Config::default(), source, metrics, log.writer());
        // It ends with the program.
        let stopping = Stopping::default();
        let mut serving = std::pin::pin!(server.serve(&configuration, &stopping));
        let answers = tokio::select! {
            () = &mut serving => return Ok(()),
            answers = asked => answers?,
        };
        let unexpected = report(&examples, &answers)?;
        if unexpected > 0 {
            return Err(DemoError::Unexpected(unexpected));
        }
        if arguments.once {
            return Ok(());
        }
        // The Deployment that misses its Secret: putting it into the folder turns the verdict.
        let missing = Expected::Refused(Rule::SecretMissing);
        let to_try = examples.iter().find(|example| example.expected == missing);
        let to_try = to_try.map_or(&Value::Null, |example| &example.review);
        let review = state::write_review(&arguments.directory, to_try)?;
        let ca = files.authority.display();
        say(&format!(
            "\nStill serving. Change the manifests in {}, and try:\n\n  curl --cacert {ca} -H 'Content-Type: application/json' \\\n    --data @{} https://{address}/validate\n\n  curl http://{health_address}/metrics\n\nCtrl-C ends it.\n",
            folder.display(),
            review.display(),
        ))?;
        tokio::select! {
            () = serving => Ok(()),
            interrupted = tokio::signal::ctrl_c() => interrupted.map_err(DemoError::from),
        }
    })
}

/// Prints the table; gives the number of verdicts that are not the expected ones.
fn report(examples: &[Example], answers: &[Answer]) -> io::Result<usize> {
    let rows: Vec<table::Row<'_>> = examples.iter().zip(answers).map(table::row).collect();
    let unexpected = rows.iter().filter(|row| !row.expected).count();
    say(&format!("{}\n", table::render(&rows)))?;
    say(&format!(
        "{} reviews over TLS, {} as expected, {unexpected} not.\n",
        rows.len(),
        rows.len() - unexpected
    ))?;
    Ok(unexpected)
}

fn say(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}
