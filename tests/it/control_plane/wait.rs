//! Waiting for a condition, never for a time.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything that a test waits for may take before the test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Time between two looks at a condition.
const INTERVAL: Duration = Duration::from_millis(20);

/// Looks again and again until `probe` returns a value, and returns it.
///
/// # Panics
/// When [`DEADLINE`] has passed: says what was awaited, and the last reason
/// why it was not there.
pub(crate) fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match probe() {
            Ok(value) => return value,
            Err(reason) if start.elapsed() > DEADLINE => {
                panic!("waited {DEADLINE:?} for {what}: {reason}")
            }
            Err(_) => thread::sleep(INTERVAL),
        }
    }
}
