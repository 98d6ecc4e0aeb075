//! What connections and requests may take.

use std::time::Duration;

/// What one connection, and all together, may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// The most connections at once. Beyond it an idle one makes room.
    pub max_connections: usize,
    /// How long a TLS handshake may take.
    pub tls_handshake_timeout: Duration,
    /// How long an HTTP/1 connection may stay without a request, and how long a header may take. More than the 90 s for
    /// which kube-apiserver keeps an idle connection: it must be the client that closes, or a review gets lost that is
    /// sent just then.
    ///
    /// Source: `IdleConnTimeout` of Go's `http.DefaultTransport`, which apimachinery's `SetTransportDefaults` takes.
    pub idle_timeout: Duration,
    /// How long requests in progress may take to end once the server stops.
    pub drain_timeout: Duration,
    /// The most requests at once on one HTTP/2 connection.
    pub max_concurrent_streams: u32,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            max_connections: 1024,
            tls_handshake_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(120),
            drain_timeout: Duration::from_secs(10),
            max_concurrent_streams: 100,
        }
    }
}

/// What is refused before a review is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// The most bytes of a body. A review carries the object twice.
    pub max_body_bytes: usize,
    /// The most bytes of all bodies together; beyond it requests are shed with 429.
    pub max_body_bytes_in_flight: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// The most reviews in progress at once; beyond it they are shed with 429. A body that is still on its way is none yet.
    pub max_requests: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        RequestLimits {
            max_body_bytes: 8 * 1024 * 1024,
            max_body_bytes_in_flight: 64 * 1024 * 1024,
            body_timeout: Duration::from_secs(3),
            max_requests: 256,
        }
    }
}
