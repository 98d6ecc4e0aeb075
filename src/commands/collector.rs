//! `keyguard audit serve`: the collector of records.

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use keyguard_audit::follower::Follower;
use keyguard_audit::note::SigningKey;
use keyguard_audit::store::Store;
use keyguard_audit::writer::Writer;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::certificates::files;
use crate::certificates::serving::CertificateError;
use crate::cli::audit::Collect;
use crate::cli::webhook::Webhook as Webhooks;
use crate::collector::callers::Callers;
use crate::collector::checks::Checks;
use crate::collector::events::{self, Events};
use crate::collector::keys::KeySecret;
use crate::collector::service::{self, Collector};
use crate::collector::webhook::{self, Target, Webhook, WebhookError};
use crate::commands::CommandError;
use crate::commands::audited::{
    cluster_name, failed, if_any, no_key, outlive_limits, retention, said, unreadable,
};
use crate::commands::collector_page::{PageServer, Shown};
use crate::http::limits::ConnectionLimits;
use crate::http::probes::{self, Probes};
use crate::http::server::{Bound, Transport};
use crate::sources::cluster::Cluster;
use crate::telemetry::audit_store::Retaining;
use crate::telemetry::collector_metrics::CollectorMetrics;
use crate::telemetry::log::{Elsewhere, Log};
use crate::telemetry::metrics::Metrics;
use crate::tls::certificate_files;
use crate::tls::serving_certificate::ServingCertificate;

/// From one look at the certificate's files to the next.
const CERTIFICATE_INTERVAL: Duration = Duration::from_secs(10);
/// The most bytes of an answer of the API server; a TokenReview repeats the token.
const MOST_BYTES: usize = 1 << 20;
/// The most connections: of replicas, and of those who read.
const CONNECTIONS: usize = 256;

/// Collects until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot begin.
pub(super) fn run(arguments: &Collect) -> Result<(), CommandError> {
    let metrics = Arc::new(Metrics::new());
    let mut log =
        Log::start(io::stdout(), Arc::clone(&metrics)).map_err(CommandError::no("thread"))?;
    log.install(arguments.log_format, Elsewhere::default());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(CommandError::no("timer"))?;
    runtime.block_on(serve(arguments, metrics))
}

async fn serve(arguments: &Collect, metrics: Arc<Metrics>) -> Result<(), CommandError> {
    let handler = CommandError::no("signal handler");
    let mut terminate = signal(SignalKind::terminate()).map_err(handler)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(handler)?;
    outlive_limits();
    let cluster_name = cluster_name(&arguments.cluster, "--cluster")?;
    let (files, pair) = certificate_files::open(&arguments.tls_cert, &arguments.tls_key)
        .map_err(CertificateError::from)?;
    let certificate = Arc::new(ServingCertificate::of_files(pair));
    let tls = certificate
        .server_config(None)
        .map_err(CertificateError::Settings)?;
    let bound = Bound::bind("--listen", arguments.listen).await?;
    let health = Bound::bind("--health-listen", arguments.health_listen).await?;
    let page = PageServer::open(arguments, &certificate, &metrics).await?;
    let kubeconfig = arguments.kubeconfig.as_deref();
    let cluster = Cluster::open(kubeconfig, MOST_BYTES, Arc::clone(&metrics)).await?;
    let store = Store::open(&arguments.store).await.map_err(failed)?;
    let key = signing_key(arguments, &cluster, &store).await?;
    // Its connections are others, so that who searches does not keep records from being stored.
    let read = Store::open_to_read(&arguments.store).await;
    let read = read.map_err(failed)?;
    let verifying_key = key.verifying_key();
    let id = Uuid::now_v7().to_string();
    let writer = Writer::new(store.clone(), key, cluster_name, id)
        .await
        .map_err(failed)?;
    let told = Arc::new(CollectorMetrics::new());
    told.writes.set(1);
    let webhook = match target(&arguments.webhook) {
        None => None,
        Some(target) => {
            let opened = Webhook::open(target, Arc::clone(&told)).await;
            let failed =
                |error: WebhookError| CommandError::Failed("--webhook".to_owned(), error.into());
            Some(opened.map_err(failed)?)
        }
    };
    // What was not wanted for a while is not told of later.
    for (name, is_wanted) in [
        (webhook::FOLLOWER, webhook.is_some()),
        (events::FOLLOWER, arguments.events),
    ] {
        if !is_wanted {
            Follower::forget(&store, name).await.map_err(failed)?;
        }
    }
    let checks = Checks {
        address: arguments.store.clone(),
        key: verifying_key,
        metrics: Arc::clone(&told),
    };
    let retaining = Retaining::new(retention(&arguments.retention));
    let (events, reader) = (Events::new(cluster.clone()), cluster.clone());
    let callers = Arc::new(Callers::new(cluster, arguments.audience.clone()));
    let collector = Collector::new(
        read.clone(),
        writer,
        retaining,
        Arc::clone(&callers),
        Arc::clone(&told),
    );
    let collector = Arc::new(collector);
    let added = || collector.added.subscribe();
    let posting = webhook.map(|webhook| webhook.run(store.clone(), added()));
    let telling = arguments.events.then(|| events.run(store.clone(), added()));
    let unready = Arc::clone(&collector.unready);
    tracing::info!(
        address = %bound.address(),
        health = %health.address(),
        page = %page.address(),
        version = env!("CARGO_PKG_VERSION"),
        "collecting records"
    );
    let follow = files::keep(
        files,
        certificate,
        Arc::clone(&metrics),
        CERTIFICATE_INTERVAL,
    );
    let stopping = CancellationToken::new();
    let limits = Arc::new(ArcSwap::from_pointee(ConnectionLimits {
        max_connections: CONNECTIONS,
        ..ConnectionLimits::default()
    }));
    let page_limits = Arc::clone(&limits);
    let transport = Transport::Tls {
        config: tls,
        metrics,
    };
    let serving = bound.serve(
        transport,
        service::router(Arc::clone(&collector)),
        limits,
        stopping.clone(),
        stopping.cancelled(),
    );
    let probes = Probes {
        metrics: Arc::new(move || told.encode()),
        unready,
    };
    let probing = health.serve(
        Transport::Plain,
        probes::router(probes),
        probes::limits(),
        CancellationToken::new(),
        stopping.cancelled(),
    );
    let showing = page.serve(
        Shown {
            arguments,
            store: &read,
            callers,
            cluster: reader,
            collector,
        },
        page_limits,
        &stopping,
    );
    let signals = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = follow => {}
            () = checks.run() => {}
            () = if_any(posting) => {}
            () = if_any(telling) => {}
        }
        stopping.cancel();
    };
    tokio::join!(serving, probing, showing, signals);
    read.close().await;
    store.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Where records go besides, if anywhere.
fn target(typed: &Webhooks) -> Option<Target> {
    Some(Target {
        folder: typed.folder.clone()?,
        decisions: typed.decision.clone(),
        rules: typed.rule.clone(),
        format: typed.format,
    })
}

async fn signing_key(
    arguments: &Collect,
    cluster: &Cluster,
    store: &Store,
) -> Result<SigningKey, CommandError> {
    if let Some(path) = &arguments.key {
        let pem = fs::read_to_string(path).map(Zeroizing::new);
        let pem = pem.map_err(unreadable(path))?;
        return SigningKey::parse(&pem).map_err(|error| no_key(path, error));
    }
    let secret = arguments.key_secret.as_deref().unwrap_or_default();
    let wrong = || said("--key-secret is not NAMESPACE/NAME, such as keyguard/keyguard-audit");
    let (namespace, name) = secret.split_once('/').ok_or_else(wrong)?;
    let secret = KeySecret {
        cluster,
        namespace,
        name,
    };
    let has_log = !store.logs().await.map_err(failed)?.is_empty();
    let key = secret.log_key(has_log).await;
    key.map_err(|error| CommandError::Failed("--key-secret".to_owned(), error.into()))
}
