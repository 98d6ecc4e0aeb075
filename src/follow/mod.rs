//! What is looked at again and again while the server runs.

pub mod watched_files;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::telemetry::labels::Follower;
use crate::telemetry::metrics::Metrics;

/// Looks each `interval`, for ever, on a thread that may block, as files may be on a disk that stands still; what a look
/// came to is put in force here. A look that panics is counted and said, and is not the last.
pub(super) async fn follow<T: Send + 'static>(
    follower: Follower,
    metrics: &Metrics,
    interval: Duration,
    look: impl Fn() -> T + Clone + Send + 'static,
    mut apply: impl FnMut(T),
) {
    loop {
        sleep(interval).await;
        let looked = spawn_blocking(look.clone()).await;
        let applied = looked.map(|look| catch_unwind(AssertUnwindSafe(|| apply(look))));
        if !matches!(applied, Ok(Ok(()))) {
            metrics.follower_faults.inc(follower);
            tracing::error!(
                follower = <&str>::from(follower),
                "a fault in keyguard ended a look, which the log has; what was in force stays, and the next look comes"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn a_look_or_what_it_comes_to_that_panics_is_counted_and_the_next_comes() {
        let (metrics, looks) = (Metrics::new(), Arc::new(AtomicUsize::new(0)));
        let applied = AtomicUsize::new(0);
        let look = {
            let looks = Arc::clone(&looks);
            move || {
                let count = looks.fetch_add(1, Ordering::Relaxed);
                assert!(count != 1, "on purpose");
                count
            }
        };
        let apply = |count| {
            assert!(count != 2, "on purpose");
            applied.fetch_add(1, Ordering::Relaxed);
        };
        let pause = Duration::from_millis(1);
        let following = follow(Follower::Configuration, &metrics, pause, look, apply);
        let three = async {
            while applied.load(Ordering::Relaxed) < 3 {
                sleep(pause).await;
            }
        };
        tokio::select! {
            () = following => {}
            () = three => {}
        }
        let line = "keyguard_follower_faults_total{follower=\"configuration\"} 2";
        assert!(metrics.encode().contains(line), "{}", metrics.encode());
    }
}
