//! `keyguard scan`: the cluster as it is, once or again and again.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::cli::scan as cli;
use crate::commands::CommandError;
use crate::commands::check::write;
use crate::commands::serve::source;
use crate::config::Config;
use crate::http::probes::{self, Probes};
use crate::http::server::{Bound, Transport};
use crate::report::exit;
use crate::scan::Scan;
use crate::scan::election::Election;
use crate::scan::progress::Progress;
use crate::scan::reports::Reports;
use crate::scan::watch::Watch;
use crate::sources::any_source::AnySource;
use crate::telemetry::log::{Elsewhere, Log};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::scan_metrics::ScanMetrics;
use keyguard_core::policy::plan::is_object_name;

/// Scans, and prints the report or goes on until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot begin, or what it found cannot be written.
pub fn run(arguments: &cli::Scan) -> Result<u8, CommandError> {
    let config = Config::load(arguments.config.as_deref())?;
    let mut named = arguments.namespace.iter();
    if let Some(wrong) = named.find(|name| !is_object_name(name)) {
        let said = format!("--namespace {wrong:?}: no namespace can have this name");
        return Err(CommandError::Said(said));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(CommandError::no("timer"))?;
    match arguments.every {
        None => runtime.block_on(once(arguments, config)),
        Some(every) => runtime
            .block_on(again(arguments, config, every))
            .map(|()| exit::CLEAN),
    }
}

async fn scan(
    arguments: &cli::Scan,
    config: Config,
    metrics: &Arc<Metrics>,
) -> Result<(Scan, Arc<AnySource>), CommandError> {
    let most = *config.limits.max_secret_bytes;
    let source = Arc::new(source(&arguments.read, most, metrics).await?);
    let (shared, metrics) = (Arc::clone(&source), Arc::clone(metrics));
    let (namespaces, reads) = (arguments.namespace.clone(), usize::from(arguments.reads));
    let scan = Scan::new(shared, config, namespaces, reads, metrics);
    Ok((scan.map_err(CommandError::no("thread"))?, source))
}

async fn once(arguments: &cli::Scan, config: Config) -> Result<u8, CommandError> {
    let (scan, _) = scan(arguments, config, &Arc::default()).await?;
    let report = scan.run(&mut Progress::to_terminal()).await.report;
    write(&report, arguments.format, arguments.output.as_deref())?;
    Ok(exit::code(&report, arguments.fail_on))
}

async fn again(arguments: &cli::Scan, config: Config, every: Duration) -> Result<(), CommandError> {
    let metrics = Arc::new(Metrics::new());
    let mut log =
        Log::start(io::stdout(), Arc::clone(&metrics)).map_err(CommandError::no("thread"))?;
    log.install(arguments.log_format, Elsewhere::default());
    let handler = CommandError::no("signal handler");
    let mut terminate = signal(SignalKind::terminate()).map_err(handler)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(handler)?;
    let bound = Bound::bind("--listen", arguments.listen).await?;
    let (scan, source) = scan(arguments, config, &metrics).await?;
    let told = Arc::new(ScanMetrics::new());
    let exposition = Arc::clone(&told);
    let probes = Probes {
        metrics: Arc::new(move || exposition.encode()),
        unready: Arc::default(),
    };
    let writes = arguments.policy_reports == cli::PolicyReports::Auto;
    let cluster = source.cluster();
    let election = match (cluster, arguments.lease.as_deref()) {
        (Some(cluster), Some(lease)) => Some(Election::new(cluster, lease, identity())?),
        _ => None,
    };
    let watch = Watch {
        scan,
        every,
        reports: cluster.filter(|_| writes).map(|cluster| {
            let namespaces = arguments.namespace.clone();
            Reports::new(cluster, namespaces, Arc::clone(&told))
        }),
        metrics: told,
        election,
        unready: Arc::clone(&probes.unready),
    };
    tracing::info!(
        address = %bound.address(),
        every_seconds = every.as_secs_f64(),
        version = env!("CARGO_PKG_VERSION"),
        "scanning"
    );
    let stopping = CancellationToken::new();
    let health = bound.serve(
        Transport::Plain,
        probes::router(probes),
        probes::limits(),
        CancellationToken::new(),
        stopping.cancelled(),
    );
    let signals = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopping.cancel();
    };
    tokio::join!(watch.run(stopping.clone()), health, signals);
    tracing::info!("stopped");
    Ok(())
}

/// What this replica is called in the Lease: the name of the pod, and something that no other has.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "keyguard".to_owned());
    format!("{host}_{}", Uuid::now_v7())
}
