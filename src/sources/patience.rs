//! Asking again when the API server is busy or goes away.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use keyguard_core::policy::facts::Unread;

/// How long to wait before each attempt.
const PAUSES: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(3),
];

/// Calls the API server, for at most `limit` each time, again when that may help.
///
/// # Errors
/// Those of the last call.
pub(crate) async fn patiently<T>(
    limit: Duration,
    mut call: impl AsyncFnMut() -> Result<T, Unread>,
) -> Result<T, Unread> {
    let mut outcome = Err(Unread::Timeout);
    for pause in PAUSES {
        sleep(pause).await;
        outcome = once(limit, &mut call).await;
        if !matches!(
            outcome,
            Err(Unread::Unreachable | Unread::Timeout | Unread::Status(429 | 500..=599))
        ) {
            break;
        }
    }
    outcome
}

/// Calls it once, for at most `limit`.
///
/// # Errors
/// Those of the call, or that it took too long.
pub(crate) async fn once<T>(
    limit: Duration,
    mut call: impl AsyncFnMut() -> Result<T, Unread>,
) -> Result<T, Unread> {
    let answer = timeout(limit, call()).await;
    answer.unwrap_or(Err(Unread::Timeout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_asked_again_and_what_will_not_is_not() {
        for (first, calls) in [
            (Unread::Status(429), 2),
            (Unread::Status(503), 2),
            (Unread::Unreachable, 2),
            (Unread::Forbidden, 1),
            (Unread::Status(410), 1),
        ] {
            let mut called = 0;
            let outcome = patiently(Duration::from_secs(1), async || {
                called += 1;
                match called {
                    1 => Err(first.clone()),
                    _ => Ok(()),
                }
            });
            let outcome = outcome.await;
            assert_eq!(called, calls, "{first:?}");
            assert_eq!(outcome.is_ok(), calls > 1, "{first:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_ends() {
        let hang = async || std::future::pending::<Result<(), Unread>>().await;
        let limit = Duration::from_secs(1);
        assert_eq!(patiently(limit, hang).await, Err(Unread::Timeout));
    }
}
