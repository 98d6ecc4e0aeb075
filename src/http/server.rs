//! A socket that connections are accepted on: for reviews in TLS, for health in plain HTTP.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

#[cfg(feature = "audit")]
pub(crate) use super::connections::InProgress;
use super::connections::{Connections, Usage};
use super::limits::ConnectionLimits;
use crate::telemetry::metrics::Metrics;
use crate::tls::client_certificates;

/// How many connections the kernel keeps until they are accepted, if its own limit (`net.core.somaxconn`) allows.
/// With tokio's 128 a burst loses connection attempts, and the API server tries again only after a second.
const BACKLOG: u32 = 4096;
/// The first and the longest pause after the operating system refuses a connection.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// What is read at once over HTTP/1. A header must fit; bodies pass through it.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// The same for a header over HTTP/2.
const MAX_HEADER_LIST_BYTES: u32 = 64 * 1024;
/// What an HTTP/2 client may send before it is read: of one request, and of all on a connection.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// What is kept of an HTTP/2 answer that the client is slow to take.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// How often a silent HTTP/2 client is asked whether it is there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// What connections speak.
#[derive(Clone)]
pub enum Transport {
    /// HTTP/1.1 as it is.
    Plain,
    /// HTTP/2 or HTTP/1.1 by ALPN in TLS, counted in `metrics`.
    Tls {
        /// The TLS settings.
        config: Arc<ServerConfig>,
        /// What counts connections and failed handshakes.
        metrics: Arc<Metrics>,
    },
}

/// Why an address cannot be listened on.
#[derive(Debug, Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error(
        "{flag} {address}: the port is already in use; choose another, or end the process that has it"
    )]
    InUse {
        /// The flag that names the address.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// A port that needs a privilege.
    #[error("{flag} {address}: this process may not use the port; choose one above 1023")]
    Forbidden {
        /// The flag that names the address.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// An address of another machine.
    #[error(
        "{flag} {address}: the address is not one of this machine; use 0.0.0.0 or [::] for all of them"
    )]
    NotHere {
        /// The flag that names the address.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("{flag} {address}: cannot be listened on; name an address and port of this machine")]
    Other {
        /// The flag that names the address.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
}

/// A socket that is listened on, before anybody is served.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// The connections that were cut because they outlasted the drain timeout.
    pub cut: usize,
}

impl Bound {
    /// Listens on `address`, which `flag` names; port 0 lets the kernel choose. Asynchronous only because the socket
    /// belongs to the runtime.
    ///
    /// # Errors
    /// When the port is taken or not allowed, or the address is not of this machine.
    pub async fn bind(flag: &'static str, address: SocketAddr) -> Result<Bound, BindError> {
        let bound = listen(address).and_then(|listener| {
            let address = listener.local_addr()?;
            Ok(Bound { listener, address })
        });
        bound.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { flag, address },
            io::ErrorKind::PermissionDenied => BindError::Forbidden { flag, address },
            io::ErrorKind::AddrNotAvailable => BindError::NotHere { flag, address },
            _ => BindError::Other {
                flag,
                address,
                source,
            },
        })
    }

    /// The address, with the port that the kernel chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `router` until `shutdown`, each connection within the limits in force when it opens; then accepts no more,
    /// closes idle connections, and waits for requests in progress up to the drain timeout. HTTP/2 clients are sent
    /// elsewhere as soon as `draining` is cancelled.
    pub async fn serve(
        self,
        transport: Transport,
        router: Router,
        limits: Arc<ArcSwap<ConnectionLimits>>,
        draining: CancellationToken,
        shutdown: impl Future<Output = ()>,
    ) -> Drained {
        let stopping = CancellationToken::new();
        let mut connections = Connections::default();
        let server = Server {
            transport,
            router,
            draining,
            stopping: stopping.clone(),
        };
        tokio::select! {
            biased;
            () = shutdown => {}
            () = self.accept(&server, &limits, &mut connections) => {}
        }
        drop(self.listener);
        stopping.cancel();
        let cut = connections.drain(limits.load().drain_timeout).await;
        Drained { cut }
    }

    /// Accepts for ever. No error ends it: they are about one connection, or pass.
    async fn accept(
        &self,
        server: &Server,
        limits: &ArcSwap<ConnectionLimits>,
        connections: &mut Connections,
    ) {
        let mut pause = PAUSES.0;
        loop {
            let accepted = tokio::select! {
                biased;
                () = connections.closed() => continue,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    pause = PAUSES.0;
                    let limits = **limits.load();
                    connections.make_room(limits.max_connections).await;
                    let usage = Usage::new();
                    let task = server.clone().serve(stream, limits, Arc::clone(&usage));
                    connections.open(usage, task);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, address = %self.address, "no connection can be accepted for now");
                    sleep(pause).await;
                    pause = PAUSES.1.min(pause * 2);
                }
            }
        }
    }
}

/// Serves the connections of one listener.
#[derive(Clone)]
struct Server {
    transport: Transport,
    router: Router,
    /// Cancelled when clients are to go elsewhere.
    draining: CancellationToken,
    /// Cancelled when no further request is wanted.
    stopping: CancellationToken,
}

impl Server {
    /// Serves `stream` until it ends. Its errors are logged at debug only: most of them are the client's.
    async fn serve(self, stream: TcpStream, limits: ConnectionLimits, usage: Arc<Usage>) {
        // An answer is one small write: held back for a next one it would only come late.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let Transport::Tls { config, metrics } = &self.transport else {
            let http = http(&limits).http1_only();
            return Box::pin(self.requests(http, stream, usage)).await;
        };
        let _open = metrics.connection_opens();
        let handshake = TlsAcceptor::from(Arc::clone(config)).accept(stream);
        let shaken = tokio::select! {
            () = self.stopping.cancelled() => return,
            shaken = timeout(limits.tls_handshake_timeout, handshake) => shaken,
        };
        match shaken {
            Ok(Ok(stream)) => {
                let http = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => http(&limits).http2_only(),
                    _ => http(&limits).http1_only(),
                };
                // Boxed, so that a connection that never gets this far does not take its room.
                Box::pin(self.requests(http, stream, usage)).await;
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "TLS handshake");
                if let Some(refusal) = client_certificates::refusal(&error) {
                    metrics.clients_refused.inc(refusal);
                }
                metrics.tls_handshakes_failed.inc();
            }
            Err(elapsed) => {
                tracing::debug!(error = %elapsed, "TLS handshake");
                metrics.tls_handshakes_failed.inc();
            }
        }
    }

    /// Answers the requests of one connection, until it ends or is asked to.
    async fn requests<T>(&self, http: auto::Builder<TokioExecutor>, stream: T, usage: Arc<Usage>)
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let service = service_fn(|mut request: Request<Incoming>| {
            let in_progress = usage.request_begins();
            request.extensions_mut().insert(Arc::clone(&in_progress));
            let answer = self.router.clone().oneshot(request.map(Body::new));
            async move {
                let answer = answer.await;
                drop(in_progress);
                answer
            }
        });
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            biased;
            ended = connection.as_mut() => return log(ended),
            () = self.is_to_end(http.is_http2_available()) => {}
        }
        connection.as_mut().graceful_shutdown();
        log(connection.await);
    }

    /// GOAWAY loses nothing: what a client sent before it read it is answered. So HTTP/2 ends as soon as the server drains;
    /// but a client that comes only then has no other replica yet, and stays until the end. HTTP/1 is asked with each
    /// answer to connect anew: to close an idle connection would lose a request that is on its way just then.
    async fn is_to_end(&self, is_http2: bool) {
        let goes_early = is_http2 && !self.draining.is_cancelled();
        tokio::select! {
            () = self.draining.cancelled(), if goes_early => {}
            () = self.stopping.cancelled() => {}
        }
    }
}

fn log(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "connection");
    }
}

fn http(limits: &ConnectionLimits) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        // It runs while a connection is idle too.
        .header_read_timeout(limits.idle_timeout)
        .max_buf_size(READ_BUFFER_BYTES);
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .max_concurrent_streams(limits.max_concurrent_streams)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    http
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections of a predecessor that still fade away do not keep the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Whether the peer went away before it was accepted; the next one is there to be served.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_an_error_that_names_the_flag() {
        let first = Bound::bind("--listen", SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        let second = Bound::bind("--health-listen", first.address())
            .await
            .unwrap_err();
        assert!(
            matches!(
                second,
                BindError::InUse {
                    flag: "--health-listen",
                    ..
                }
            ),
            "{second}"
        );
        let expected = format!(
            "--health-listen {}: the port is already in use",
            first.address()
        );
        assert!(second.to_string().starts_with(&expected), "{second}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_an_error_of_its_own() {
        // TEST-NET-1, RFC 5737: nobody has it.
        let error = Bound::bind("--listen", SocketAddr::from(([192, 0, 2, 1], 0)))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                BindError::NotHere {
                    flag: "--listen",
                    ..
                }
            ),
            "{error}"
        );
    }
}
