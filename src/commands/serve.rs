//! `keyguard serve`: from arguments to bound listeners to a server that drains and ends.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::admission::configuration::Configuration;
#[cfg(feature = "audit")]
use crate::certificates::ca_bundle;
use crate::certificates::serving::{CertificateError, Certificates};
use crate::cli;
use crate::commands::CommandError;
#[cfg(feature = "audit")]
use crate::commands::trail;
use crate::config::Config;
use crate::follow::watched_files::WatchedFiles;
use crate::http::health;
use crate::http::limits::ConnectionLimits;
use crate::http::reviews;
use crate::http::server::{BindError, Bound, Transport};
use crate::sources::any_source::AnySource;
use crate::sources::cluster::Cluster;
use crate::sources::manifests::Manifests;
#[cfg(not(feature = "audit"))]
use crate::telemetry::log::Elsewhere;
use crate::telemetry::log::Log;
use crate::telemetry::metrics::Metrics;
#[cfg(feature = "audit")]
use crate::telemetry::otlp::Otlp;
use crate::tls::client_certificates::Clients;
use crate::tls::serving_certificate::ServingCertificate;

/// The most connections to the health address; probes and a scraper need a handful.
const HEALTH_CONNECTIONS: usize = 64;

/// How long the end of the program waits for files that are being read.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// At once, when anything that was typed or configured cannot be used.
pub fn run(arguments: &cli::Serve) -> Result<(), CommandError> {
    let system = CommandError::no("thread, timer or signal handler");
    let (file, config) = match &arguments.config {
        Some(path) => {
            let file = [path.clone()];
            WatchedFiles::open(file, |[(path, read)]| Config::of_file(path, read))
                .map(|(file, config)| (Some(file), config))?
        }
        None => (None, Config::default()),
    };
    let certificates = Certificates::open(arguments)?;
    let clients = Clients::open(arguments.client_ca.as_deref(), &arguments.client_name)?;
    let verifier = clients
        .as_ref()
        .map(|clients| Arc::clone(&clients.certificates) as _);
    let tls = certificates.certificate.server_config(verifier);
    let tls = tls.map_err(CertificateError::Settings)?;
    let metrics = Arc::new(Metrics::new());
    let mut log = Log::start(io::stdout(), Arc::clone(&metrics)).map_err(system)?;
    // Two, so that one that is busy (a large review, a burst of handshakes) does not keep others waiting.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(system)?;
    #[cfg(feature = "audit")]
    let otlp = otlp(&arguments.open_telemetry, &runtime, &metrics)?;
    #[cfg(feature = "audit")]
    let elsewhere = otlp.as_ref().map(Otlp::elsewhere).unwrap_or_default();
    #[cfg(not(feature = "audit"))]
    let elsewhere = Elsewhere::default();
    log.install(arguments.log_format, elsewhere);
    reviews::install_panic_hook();
    let ended = runtime.block_on(async {
        let server = Server::bind(
            arguments.listen,
            arguments.health_listen,
            tls,
            Arc::clone(&certificates.certificate),
        )
        .await?;
        let most = *config.limits.max_secret_bytes;
        let source = source(&arguments.read, most, &metrics).await?;
        let terminate = signal(SignalKind::terminate()).map_err(system)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(system)?;
        let stopping = Stopping::default();
        let mut kept = certificates.keep(source.cluster(), &config.certificates, &metrics);
        if let Some(clients) = clients {
            kept.spawn(clients.follow(Arc::clone(&metrics)));
        }
        #[cfg(feature = "audit")]
        let (trail, keeping) = trail::trail(&arguments.audit, &metrics)?.unzip();
        #[cfg(not(feature = "audit"))]
        let trail = None;
        let trail = trail.map(Arc::new);
        let configuration = Configuration::new(config, source, metrics, log.writer(), trail);
        let followed = async {
            if let Some(file) = file {
                configuration.follow(file).await;
            }
            // With nobody to look at a file the configuration stays.
            pending::<()>().await;
        };
        tokio::select! {
            () = server.serve(&configuration, &stopping) => {}
            () = followed => {}
            () = stopping.on_signals(terminate, interrupt) => {}
        }
        // What is left is written once nobody hands over any more.
        drop(configuration);
        #[cfg(feature = "audit")]
        if let Some(keeping) = keeping {
            keeping.end().await;
        }
        Ok(())
    });
    #[cfg(feature = "audit")]
    if let Some(otlp) = otlp {
        otlp.end();
    }
    // A file that is read on a disk that stands still, or that is a pipe, must not keep the program from ending.
    runtime.shutdown_timeout(LAST_LOOK);
    ended
}

/// What sends to OpenTelemetry, if that was typed.
#[cfg(feature = "audit")]
fn otlp(
    typed: &cli::OpenTelemetry,
    runtime: &tokio::runtime::Runtime,
    metrics: &Arc<Metrics>,
) -> Result<Option<Otlp>, CommandError> {
    // A variable that is empty is as good as none, as OpenTelemetry has it.
    let Some(endpoint) = typed.otlp_endpoint.as_deref().filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    let ca = typed.otlp_ca.as_ref().filter(|it| !it.is_empty());
    let ca = ca.map(|path| ca_bundle::read("--otlp-ca", path.as_ref()));
    let _within = runtime.enter();
    let otlp = Otlp::start(
        endpoint,
        ca.transpose()?.as_deref(),
        &typed.otlp_signals,
        metrics,
    );
    Ok(Some(otlp?))
}

/// The cluster that was typed, or the one that keyguard runs in.
pub(crate) async fn source(
    read: &cli::ReadFrom,
    max_object_bytes: usize,
    metrics: &Arc<Metrics>,
) -> Result<AnySource, CommandError> {
    Ok(match &read.state {
        Some(folder) => AnySource::Manifests(Manifests::open(folder)?),
        None => {
            let (file, metrics) = (read.kubeconfig.as_deref(), Arc::clone(metrics));
            AnySource::Cluster(Cluster::open(file, max_object_bytes, metrics).await?)
        }
    })
}

/// Both addresses bound and the certificate proved; nobody is served yet.
pub struct Server {
    /// Where reviews are answered.
    pub reviews: Bound,
    /// Where health and metrics are.
    pub health: Bound,
    tls: Arc<ServerConfig>,
    certificate: Arc<ServingCertificate>,
}

impl Server {
    /// Binds both addresses; `tls` presents `certificate`.
    ///
    /// # Errors
    /// When one of them cannot be listened on.
    pub async fn bind(
        listen: SocketAddr,
        health_listen: SocketAddr,
        tls: Arc<ServerConfig>,
        certificate: Arc<ServingCertificate>,
    ) -> Result<Server, BindError> {
        Ok(Server {
            reviews: Bound::bind("--listen", listen).await?,
            health: Bound::bind("--health-listen", health_listen).await?,
            tls,
            certificate,
        })
    }

    /// Serves until `stopping` is requested, then drains and returns.
    pub async fn serve(self, configuration: &Configuration, stopping: &Stopping) {
        if let Some(pair) = self.certificate.pair() {
            configuration
                .metrics
                .certificate_not_after
                .set(pair.life().to);
        }
        let Configuration {
            serving,
            connections,
            config,
            source,
            metrics,
            ..
        } = configuration;
        let Stopping { draining, hurry } = stopping;
        let health_router = health::router(
            Arc::clone(source),
            Arc::clone(&self.certificate),
            Arc::clone(metrics),
            draining.clone(),
        );
        let reviews_router =
            reviews::router(Arc::clone(serving), Arc::clone(metrics), draining.clone());
        let health_limits = ArcSwap::from_pointee(ConnectionLimits {
            max_connections: HEALTH_CONNECTIONS,
            drain_timeout: Duration::ZERO,
            ..**connections.load()
        });
        let transport = Transport::Tls {
            config: self.tls,
            metrics: Arc::clone(metrics),
        };
        tracing::info!(
            address = %self.reviews.address(),
            health_address = %self.health.address(),
            version = env!("CARGO_PKG_VERSION"),
            "serving"
        );
        let stopped = CancellationToken::new();
        let grace = async {
            draining.cancelled().await;
            let grace = *config.load().timeouts.drain_grace;
            tracing::info!(grace_seconds = grace.as_secs_f64(), "draining");
            tokio::select! {
                () = sleep(grace) => {}
                () = hurry.cancelled() => {}
            }
        };
        let connections = Arc::clone(connections);
        let reviews = async {
            let served = self.reviews.serve(
                transport,
                reviews_router,
                connections,
                draining.clone(),
                grace,
            );
            let ended = served.await;
            stopped.cancel();
            ended
        };
        let health = self.health.serve(
            Transport::Plain,
            health_router,
            Arc::new(health_limits),
            CancellationToken::new(),
            stopped.cancelled(),
        );
        let (ended, _) = tokio::join!(reviews, health);
        tracing::info!(connections_cut = ended.cut, "stopped");
    }
}

/// When to stop.
#[derive(Clone, Debug, Default)]
pub struct Stopping {
    /// Cancelled when to stop: clients are sent elsewhere, and after `timeouts.drainGrace` no more are served.
    pub draining: CancellationToken,
    /// Cancelled when the grace is to be cut short.
    pub hurry: CancellationToken,
}

impl Stopping {
    /// Stops on a signal, and at once on a second.
    async fn on_signals(&self, mut terminate: Signal, mut interrupt: Signal) {
        for token in [&self.draining, &self.hurry] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            token.cancel();
        }
        pending().await
    }
}
