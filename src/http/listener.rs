//! A socket that connections are accepted on: for reviews in TLS, for health in plain HTTP.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::http::activity::Activity;
use crate::http::connection::Server;
use crate::http::connections::Connections;
use crate::http::health::Draining;
use crate::http::http_service::HttpService;
use crate::live::Live;
use crate::telemetry::metrics::Metrics;

/// How many connections the kernel keeps until they are accepted, if its own limit (`net.core.somaxconn`) allows.
/// With tokio's 128 a burst loses connection attempts, and the API server tries again only after a second.
const BACKLOG: u32 = 4096;
/// The first and the longest pause after the operating system refuses a connection.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// What one connection, and all together, may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most connections at once. Beyond it the one that does least makes room.
    pub max_connections: usize,
    /// How long a TLS handshake may take.
    pub tls_handshake_timeout: Duration,
    /// How long an HTTP/1 header may take from its first byte.
    pub header_timeout: Duration,
    /// How long a connection may stay without a request. More than the 90 s for which kube-apiserver keeps an idle
    /// one: it must be the client that closes, or a review gets lost that is sent just then.
    ///
    /// Source: `IdleConnTimeout` of Go's `http.DefaultTransport`, which apimachinery's `SetTransportDefaults` takes.
    pub idle_timeout: Duration,
    /// How long requests in progress may take to end once the server stops.
    pub drain_timeout: Duration,
    /// The most bytes of a request line and headers.
    pub max_header_bytes: usize,
    /// The most requests at once on one HTTP/2 connection.
    pub max_concurrent_streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_connections: 1024,
            tls_handshake_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(120),
            drain_timeout: Duration::from_secs(10),
            max_header_bytes: 32 * 1024,
            max_concurrent_streams: 100,
        }
    }
}

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

    /// Serves `service` until `shutdown`, each connection within the limits in force when it opens; then accepts no more,
    /// closes idle connections, and waits for requests in progress up to the drain timeout.
    pub async fn serve(
        self,
        transport: Transport,
        service: impl HttpService,
        limits: Arc<Live<Limits>>,
        draining: Draining,
        shutdown: impl Future<Output = ()>,
    ) -> Drained {
        let (stop, stopping) = watch::channel(false);
        let mut connections = Connections::new();
        let server = Server {
            transport,
            service,
            limits: limits.get(),
            draining,
            stopping,
        };
        tokio::select! {
            biased;
            () = pin!(shutdown) => {}
            () = self.accept(&server, &limits, &mut connections) => {}
        }
        drop(self.listener);
        stop.send_replace(true);
        let cut = connections.drain(limits.get().drain_timeout).await;
        Drained { cut }
    }

    /// Accepts for ever. No error ends it: they are about one connection, or pass.
    async fn accept(
        &self,
        server: &Server<impl HttpService>,
        limits: &Live<Limits>,
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
                    let limits = limits.get();
                    connections.make_room(limits.max_connections).await;
                    let activity = Activity::new();
                    let server = Server {
                        limits,
                        ..server.clone()
                    };
                    let task = server.serve(stream, Arc::clone(&activity));
                    connections.open(activity, task);
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
