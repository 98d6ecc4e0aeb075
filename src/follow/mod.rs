//! What is looked at again and again while the server runs.

pub mod watched_files;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use self::watched_files::WatchedFiles;
use crate::telemetry::labels::Follower;
use crate::telemetry::metrics::Metrics;

/// Looks at `files` each `interval`, for ever, on a thread that may block, as they may be on a disk that stands still. What
/// each look came to, nothing included, is put in force by `apply`. A look that panics is counted and said, and is not
/// the last.
pub(crate) async fn follow<const N: usize, T: Send + 'static, E: Send + 'static>(
    follower: Follower,
    metrics: &Metrics,
    interval: Duration,
    files: WatchedFiles<N, T, E>,
    mut apply: impl FnMut(Option<Result<T, E>>),
) {
    let files = Arc::new(Mutex::new(files));
    loop {
        sleep(interval).await;
        let files = Arc::clone(&files);
        let look = move || files.lock().unwrap_or_else(PoisonError::into_inner).look();
        let looked = spawn_blocking(look).await;
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
    use super::watched_files::Content;
    use super::*;
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn parse([(_, read)]: [Content<'_>; 1]) -> io::Result<String> {
        let text = String::from_utf8(read?.to_vec()).unwrap();
        assert!(text != "not to be parsed", "on purpose");
        Ok(text)
    }

    #[tokio::test]
    async fn a_look_or_what_it_comes_to_that_panics_is_counted_and_the_next_comes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "at the start").unwrap();
        let (files, _) = WatchedFiles::open([path.clone()], parse).unwrap();
        let (metrics, looks) = (Metrics::new(), AtomicUsize::new(0));
        let faults = || {
            let (text, name) = (metrics.encode(), "keyguard_follower_faults_total");
            let start = format!("{name}{{follower=\"configuration\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&start));
            line.unwrap().parse::<usize>().unwrap()
        };
        let apply = |look: Option<io::Result<String>>| {
            looks.fetch_add(1, Ordering::Relaxed);
            let text = look.transpose().unwrap();
            assert!(text.as_deref() != Some("not to be applied"), "on purpose");
        };
        let pause = Duration::from_millis(1);
        let following = follow(Follower::Configuration, &metrics, pause, files, apply);
        let writing = async {
            for (text, expected) in [("not to be parsed", 1), ("not to be applied", 2)] {
                std::fs::write(&path, text).unwrap();
                while faults() < expected {
                    sleep(pause).await;
                }
                let before = looks.load(Ordering::Relaxed);
                while looks.load(Ordering::Relaxed) < before + 3 {
                    sleep(pause).await;
                }
                assert_eq!(faults(), expected, "told once");
            }
        };
        tokio::select! {
            () = following => {}
            () = writing => {}
        }
    }
}
