//! `limits`: how much is accepted.

use super::section::Section;
use keyguard_core::review::request::DEEPEST;

/// How much is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one body; a review carries the object and the old object.
    pub max_body_bytes: usize,
    /// Bytes of the bodies of all requests together; more are shed with HTTP 429.
    pub max_body_bytes_in_flight: usize,
    /// Levels of nesting of a body.
    pub max_json_depth: usize,
    /// Connections at once.
    pub max_connections: usize,
    /// Requests at once; more are shed with HTTP 429.
    pub max_concurrent_requests: usize,
    /// Secrets read at once, for all requests together; more wait for their turn.
    pub max_concurrent_secret_reads: usize,
    /// Bytes of one Secret or ConfigMap as the API server sends it.
    pub max_secret_bytes: usize,
    /// Workloads looked through for one request, to find out who uses what is changed.
    pub max_workloads: usize,
    /// Their bytes, as the API server sends them.
    pub max_workload_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_body_bytes: 8 * 1024 * 1024,
            max_body_bytes_in_flight: 64 * 1024 * 1024,
            max_json_depth: DEEPEST,
            max_connections: 1024,
            max_concurrent_requests: 256,
            max_concurrent_secret_reads: 32,
            max_secret_bytes: 2 * 1024 * 1024,
            max_workloads: 1000,
            max_workload_bytes: 16 * 1024 * 1024,
        }
    }
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

impl Limits {
    /// Reads the section; how many Secrets are read for one request is policy.
    pub(super) fn read(&mut self, section: &mut Section<'_>, max_secret_reads: &mut usize) {
        section.number("maxBodyBytes", &mut self.max_body_bytes, KIB..=256 * MIB);
        let in_flight = &mut self.max_body_bytes_in_flight;
        section.number("maxBodyBytesInFlight", in_flight, KIB..=4096 * MIB);
        if self.max_body_bytes_in_flight < self.max_body_bytes {
            let problem = "must be at least maxBodyBytes, or no body of that length is ever read";
            section.fault("maxBodyBytesInFlight", problem);
        }
        section.number("maxJsonDepth", &mut self.max_json_depth, 16..=DEEPEST);
        section.number("maxConnections", &mut self.max_connections, 1..=65_536);
        let requests = &mut self.max_concurrent_requests;
        section.number("maxConcurrentRequests", requests, 1..=65_536);
        section.number("maxSecretReads", max_secret_reads, 1..=1024);
        let reads = &mut self.max_concurrent_secret_reads;
        section.number("maxConcurrentSecretReads", reads, 1..=1024);
        section.number("maxSecretBytes", &mut self.max_secret_bytes, KIB..=64 * MIB);
        section.number("maxWorkloads", &mut self.max_workloads, 1..=100_000);
        let bytes = &mut self.max_workload_bytes;
        section.number("maxWorkloadBytes", bytes, KIB..=256 * MIB);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn there_is_room_for_one_body_at_least() {
        for (text, good) in [
            ("{maxBodyBytes: 4096, maxBodyBytesInFlight: 4096}", true),
            ("{maxBodyBytes: 4097, maxBodyBytesInFlight: 4096}", false),
            ("{maxBodyBytes: 67108864}", true),
            ("{maxBodyBytes: 67108865}", false),
            ("{maxBodyBytesInFlight: 8388607}", false),
        ] {
            let parsed = Config::parse("test", &format!("limits: {text}"));
            assert_eq!(parsed.is_ok(), good, "{text}: {parsed:?}");
        }
    }
}
