//! `keyguard demo`: what is refused and what is not, on a machine with no cluster.

mod certificates;
mod client;
mod examples;
#[cfg(feature = "audit")]
mod page;
mod state;
mod table;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use self::examples::{Expected, examples};
use crate::admission::configuration::Configuration;
use crate::certificates::serving::CertificateError;
use crate::cli;
use crate::commands::CommandError;
use crate::commands::serve::{Server, Stopping};
#[cfg(feature = "audit")]
use crate::commands::trail;
use crate::config::Config;
use crate::sources::any_source::AnySource;
use crate::sources::manifests::Manifests;
use crate::telemetry::log::Log;
use crate::telemetry::metrics::Metrics;
use crate::tls::certificate_files;
use crate::tls::serving_certificate::ServingCertificate;
use keyguard_core::policy::rules::Rule;

/// Makes certificates and examples, serves, asks, prints; then stays up unless told otherwise.
///
/// # Errors
/// When anything of it fails, or a verdict is not the expected one.
pub fn run(arguments: &cli::Demo) -> Result<(), CommandError> {
    let system = CommandError::no("thread, timer or output");
    let files = certificates::write(&arguments.directory)?;
    let folder = state::write(&arguments.directory)?;
    let source = AnySource::Manifests(Manifests::open(&folder)?);
    let pair = certificate_files::load(&files.certificate, &files.key);
    let pair = pair.map_err(CertificateError::from)?;
    let certificate = Arc::new(ServingCertificate::of_files(pair));
    let tls = certificate.server_config(None);
    let tls = tls.map_err(CertificateError::from)?;
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system)?;
    runtime.block_on(async {
        let server = Server::bind(loopback, loopback, tls, certificate).await?;
        let metrics = Arc::new(Metrics::new());
        // The table shows what was decided.
        let log = Log::start(io::sink(), Arc::clone(&metrics)).map_err(system)?;
        #[cfg(feature = "audit")]
        let (trail, keeping) = trail::trail(&kept_in(&arguments.directory), &metrics)?.unzip();
        #[cfg(not(feature = "audit"))]
        let trail = None;
        let trail = trail.map(Arc::new);
        let configuration =
            Configuration::new(Config::default(), source, metrics, log.writer(), trail);
        let shown = show(arguments, server, &configuration, &files, &folder).await;
        drop(configuration);
        #[cfg(feature = "audit")]
        if let Some(keeping) = keeping {
            keeping.end().await;
        }
        shown
    })
}

/// Where the demonstration keeps its records.
#[cfg(feature = "audit")]
fn kept_in(directory: &Path) -> cli::AuditTrail {
    cli::AuditTrail {
        audit_store: Some(store(directory)),
        audit_cluster: "demo".to_owned(),
        ..cli::AuditTrail::default()
    }
}

#[cfg(feature = "audit")]
fn store(directory: &Path) -> String {
    format!("sqlite:{}", directory.join("audit.db").display())
}

/// How to look at what was kept.
#[cfg(feature = "audit")]
fn to_look(directory: &Path) -> String {
    let store = store(directory);
    format!(
        "\nEvery decision is on record. Who tried what, and whether anybody edited it:\n\n  keyguard audit query --store {store} \\\n    --decision deny\n  keyguard audit verify --store {store}\n"
    )
}

#[cfg(not(feature = "audit"))]
fn to_look(_: &Path) -> String {
    String::new()
}

/// Asks, prints, and goes on serving unless told otherwise.
async fn show(
    arguments: &cli::Demo,
    server: Server,
    configuration: &Configuration,
    files: &certificates::Files,
    folder: &Path,
) -> Result<(), CommandError> {
    let system = CommandError::no("thread, timer or output");
    #[cfg(feature = "audit")]
    let page = page::Page::bind().await?;
    let (address, health_address) = (server.reviews.address(), server.health.address());
    // It ends with the program.
    let stopping = Stopping::default();
    let mut serving = std::pin::pin!(server.serve(configuration, &stopping));
    let examples = examples();
    let answers = tokio::select! {
        () = &mut serving => return Ok(()),
        answers = client::ask(&examples, address, &files.authority) => answers?,
    };
    let (table, unexpected) = table::draw(&examples, &answers);
    let all = answers.len();
    say(&format!(
        "{table}\n{all} reviews over TLS, {} as expected, {unexpected} not.\n{}",
        all - unexpected,
        to_look(&arguments.directory)
    ))
    .map_err(system)?;
    if unexpected > 0 {
        let what = format!("{unexpected} verdict(s) are not the expected ones: see the table");
        return Err(CommandError::Said(what));
    }
    if arguments.once {
        return Ok(());
    }
    // The Deployment that misses its Secret: putting it into the folder turns the verdict.
    let missing = Expected::Refused(Rule::SecretMissing);
    let to_try = examples.iter().find(|example| example.expected == missing);
    let to_try = to_try.map_or(&Value::Null, |example| &example.review);
    let review = to_try.to_string();
    let review = state::write_file(&arguments.directory, "review.json", review.as_bytes())?;
    let ca = files.authority.display();
    say(&format!(
        "\nStill serving. Change the manifests in {}, and try:\n\n  curl --cacert {ca} -H 'Content-Type: application/json' \\\n    --data @{} https://{address}/validate\n\n  curl http://{health_address}/metrics\n\nCtrl-C ends it.\n",
        folder.display(),
        review.display(),
    ))
    .map_err(system)?;
    #[cfg(feature = "audit")]
    say(&format!(
        "\nEvery decision is on a page, too: http://{}\n",
        page.address()
    ))
    .map_err(system)?;
    #[cfg(feature = "audit")]
    let showing = page.show(store(&arguments.directory));
    #[cfg(not(feature = "audit"))]
    let showing = std::future::pending();
    tokio::select! {
        () = serving => Ok(()),
        shown = showing => shown,
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(system),
    }
}

fn say(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}
