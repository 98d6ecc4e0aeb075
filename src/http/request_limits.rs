//! What one request, and all together, may take.

use std::time::Duration;

/// What is refused before a review is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// The most bytes of a body. A review carries the object twice.
    pub max_body_bytes: usize,
    /// The most bytes of all bodies together. A body that comes in one piece is not counted: it is in the read
    /// buffer of its connection.
    pub max_body_bytes_in_flight: usize,
    /// How long a body may take to arrive. One that is slow gives way before that when others need its room.
    pub body_timeout: Duration,
    /// The most requests in progress at once; beyond it they are shed with 429.
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
