//! How far this machine's clock is from the API server's, by the `Date` of its answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::HeaderMap;
use hyper::header::DATE;

use crate::telemetry::metrics::Metrics;

/// From how many seconds on it is said. A `Date` has whole seconds, and an answer may be some seconds on its way.
const MAX_SECONDS: i64 = 10;

/// Puts the skew into the metrics, and says once when it becomes too large; clones share that.
#[derive(Clone, Debug)]
pub(crate) struct ClockSkew {
    metrics: Arc<Metrics>,
    is_said: Arc<AtomicBool>,
}

impl ClockSkew {
    pub(crate) fn new(metrics: Arc<Metrics>) -> ClockSkew {
        ClockSkew {
            metrics,
            is_said: Arc::default(),
        }
    }

    /// Takes note of an answer that came at `now`.
    pub(crate) fn note(&self, headers: &HeaderMap, now: SystemTime) {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let Some(theirs) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else {
            return;
        };
        let skew = unix_seconds(now) - unix_seconds(theirs);
        self.metrics.clock_skew.set(skew);
        let is_large = skew.abs() > MAX_SECONDS;
        if is_large && !self.is_said.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                skew_seconds = skew,
                "this machine's clock differs from the API server's: synchronize it; tokens and certificates are judged by it"
            );
        }
        if !is_large {
            self.is_said.store(false, Ordering::Relaxed);
        }
    }
}

fn unix_seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::test_log::TestLog;

    #[test]
    fn the_skew_is_measured_and_said_once_while_it_is_large() {
        let (metrics, log) = (Arc::new(Metrics::new()), TestLog::default());
        let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).finish();
        let _logged = tracing::subscriber::set_default(subscriber);
        let skew = ClockSkew::new(Arc::clone(&metrics));
        let theirs = UNIX_EPOCH + Duration::from_secs(1_792_408_000);
        let mut headers = HeaderMap::new();
        skew.note(&headers, theirs);
        headers.insert(DATE, httpdate::fmt_http_date(theirs).parse().unwrap());
        let table = [(0, 0), (10, 0), (11, 1), (86_400, 1), (3, 1), (40, 2)];
        for (ahead, said) in table {
            skew.note(&headers, theirs + Duration::from_secs(ahead));
            assert_eq!(
                log.text().matches("synchronize it").count(),
                said,
                "{ahead}"
            );
            let ahead = i64::try_from(ahead).unwrap();
            assert_eq!(metrics.clock_skew.get(), ahead);
        }
        skew.note(&headers, theirs - Duration::from_secs(60));
        assert_eq!(metrics.clock_skew.get(), -60);
        headers.insert(DATE, "yesterday".parse().unwrap());
        skew.note(&headers, theirs);
        assert_eq!(metrics.clock_skew.get(), -60);
    }
}
