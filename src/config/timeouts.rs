//! `timeouts`: how long anything may take.

use std::time::Duration;

use super::section::Section;

/// How long anything may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// A TLS handshake.
    pub tls_handshake: Duration,
    /// An HTTP/1 connection without a request, and the header of one. More than the 90 s for which kube-apiserver keeps one.
    pub idle: Duration,
    /// The body of a request.
    pub body: Duration,
    /// All lookups of one request together.
    pub lookup: Duration,
    /// From SIGTERM to the end of accepting, so that load balancers see "not ready" first.
    pub drain_grace: Duration,
    /// From then until requests in flight are cut.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            tls_handshake: Duration::from_secs(5),
            idle: Duration::from_secs(120),
            body: Duration::from_secs(3),
            lookup: Duration::from_secs(3),
            drain_grace: Duration::from_secs(5),
            drain: Duration::from_secs(20),
        }
    }
}

impl Timeouts {
    pub(super) fn read(&mut self, section: &mut Section<'_>) {
        section.duration("tlsHandshake", &mut self.tls_handshake);
        section.duration("idle", &mut self.idle);
        section.duration("body", &mut self.body);
        section.duration("lookup", &mut self.lookup);
        section.duration("drainGrace", &mut self.drain_grace);
        section.duration("drain", &mut self.drain);
    }
}
