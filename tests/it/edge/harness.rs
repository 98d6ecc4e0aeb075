//! A server on loopback with a reviewer that does as the body says, and how to connect to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Bytes;
use keyguard::http::limits::{ConnectionLimits, RequestLimits};
use keyguard::http::rejection::Rejection;
use keyguard::http::reviews::{Answer, ReviewMode, Reviewer, Serving, router};
use keyguard::http::server::{Bound, Drained, Transport};
use keyguard::telemetry::metrics::Metrics;
use keyguard::tls::certificate_files;
use keyguard::tls::serving_certificate::ServingCertificate;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use super::client::{Client, Protocol};

/// A timeout that a test waits for.
pub(super) const SOON: Duration = Duration::from_millis(50);
/// A timeout that must not be what ends a test.
pub(super) const NEVER: Duration = Duration::from_secs(3600);
/// How long anything may take at most before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Echoes, or tells how many seconds are left; `panic` panics; what begins with `wait` waits until it is released.
#[derive(Clone)]
pub(super) struct Scripted {
    pub(super) waiting: Arc<Semaphore>,
    pub(super) released: Arc<Semaphore>,
    /// What got no review.
    pub(super) rejected: Arc<Mutex<Vec<Rejection>>>,
}

impl Reviewer for Scripted {
    async fn review(&self, body: Bytes, _: ReviewMode, answer_by: Option<Instant>) -> Answer {
        match &*body {
            b"panic" => panic!("asked for"),
            waits if waits.starts_with(b"wait") => {
                self.waiting.add_permits(1);
                self.released.acquire().await.unwrap().forget();
            }
            _ => {}
        }
        match answer_by {
            Some(by) => {
                let left = (by - Instant::now()).as_secs_f64();
                Answer::Review(format!("{left:.0}s").into())
            }
            None => Answer::Review(body),
        }
    }

    fn rejected(&self, rejection: &Rejection, _: Duration) {
        self.rejected.lock().unwrap().push(rejection.clone());
    }
}

/// A certificate for `localhost`, made now.
pub(super) fn certificate() -> (Arc<ServingCertificate>, CertificateDer<'static>) {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key): (&Path, &Path) = (
        &folder.path().join("tls.crt"),
        &folder.path().join("tls.key"),
    );
    let pair = KeyPair::generate().unwrap();
    let issued = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .self_signed(&pair)
        .unwrap();
    std::fs::write(certificate, issued.pem()).unwrap();
    std::fs::write(key, pair.serialize_pem()).unwrap();
    let pair = certificate_files::load(certificate, key).unwrap();
    let certificate = Arc::new(ServingCertificate::of_files(pair));
    (certificate, issued.der().clone())
}

/// A running server; each field of [`Setup`] is one deviation.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) certificate: Arc<ServingCertificate>,
    pub(super) root: CertificateDer<'static>,
    pub(super) reviewer: Scripted,
    pub(super) metrics: Arc<Metrics>,
    pub(super) draining: CancellationToken,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Drained>,
}

#[derive(Default)]
pub(super) struct Setup {
    pub(super) limits: ConnectionLimits,
    pub(super) requests: RequestLimits,
}

impl Server {
    pub(super) async fn start(setup: Setup) -> Server {
        let (certificate, root) = certificate();
        let reviewer = Scripted {
            waiting: Arc::new(Semaphore::new(0)),
            released: Arc::new(Semaphore::new(0)),
            rejected: Arc::default(),
        };
        let metrics = Arc::new(Metrics::new());
        let draining = CancellationToken::new();
        let router = router(
            Arc::new(ArcSwap::from_pointee(Serving::new(
                reviewer.clone(),
                setup.requests,
            ))),
            Arc::clone(&metrics),
            draining.clone(),
        );
        let transport = Transport::Tls {
            config: certificate.server_config(None).unwrap(),
            metrics: Arc::clone(&metrics),
        };
        let (address, stop, served) = serve(transport, router, setup.limits, &draining).await;
        Server {
            address,
            certificate,
            root,
            reviewer,
            metrics,
            draining,
            stop,
            served,
        }
    }

    /// Waits until a review of `wait` is in the reviewer's hands.
    pub(super) async fn is_waiting(&self) {
        within("a review waits", self.reviewer.waiting.acquire())
            .await
            .unwrap()
            .forget();
    }

    pub(super) fn release(&self) {
        self.reviewer.released.add_permits(1);
    }

    /// Asks it to stop; the result tells how that ended.
    pub(super) fn stop(self) -> JoinHandle<Drained> {
        self.stop.send(()).unwrap();
        self.served
    }

    /// Waits until the metrics show `line`.
    pub(super) async fn shows(&self, line: &str) {
        within(line, async {
            while !self.metrics.encode().lines().any(|shown| shown == line) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }

    /// Opens a TCP connection and says nothing.
    pub(super) async fn connect_silently(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Opens a TLS connection that offers `protocol` alone; nothing when it is empty.
    pub(super) async fn connect(&self, protocol: &str) -> TlsStream<TcpStream> {
        self.connect_with(protocol, &rustls::version::TLS13).await
    }

    pub(super) async fn connect_with(
        &self,
        protocol: &str,
        version: &'static SupportedProtocolVersion,
    ) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = Some(protocol)
            .filter(|name| !name.is_empty())
            .map(Vec::from)
            .into_iter()
            .collect();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = self.connect_silently().await;
        let handshake = connector.connect(ServerName::try_from("localhost").unwrap(), stream);
        within("TLS handshake", handshake).await.unwrap()
    }

    pub(super) async fn client(&self, protocol: Protocol) -> Client {
        Client::over(self.connect(protocol.name()).await, protocol).await
    }
}

/// Serves anything on loopback.
pub(super) async fn serve(
    transport: Transport,
    router: Router,
    limits: ConnectionLimits,
    draining: &CancellationToken,
) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<Drained>) {
    let bound = Bound::bind("--listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await
        .unwrap();
    let address = bound.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let limits = Arc::new(ArcSwap::from_pointee(limits));
    let served = tokio::spawn(bound.serve(transport, router, limits, draining.clone(), shutdown));
    (address, stop, served)
}
