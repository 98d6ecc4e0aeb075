//! Looking through workloads: one round at a time in each namespace, which all that wait for it share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio::sync::Semaphore;
use tokio::time::{Duration, Instant, sleep_until};

use crate::sources::source::{Bound, Source, WorkloadsRead};
use crate::telemetry::metrics::Metrics;

/// Rounds at once: each may have some megabytes in memory.
const AT_ONCE: usize = 2;

/// After a round that others waited for, the next waits for as long as it took, so that more requests share that one, and at
/// most for this long.
const MAX_PAUSE: Duration = Duration::from_millis(250);

type Round = BoxFuture<'static, Arc<WorkloadsRead>>;

/// Looks through workloads for all requests. A round serves only those that came before it began: what one that came
/// later depends on may have changed meanwhile, and nothing is remembered.
pub struct Searches<S> {
    source: Arc<S>,
    bound: Bound,
    metrics: Arc<Metrics>,
    at_once: Semaphore,
    places: Mutex<HashMap<Option<String>, Place>>,
}

/// One namespace, or all of them.
#[derive(Default)]
struct Place {
    /// Held by the round in progress; says before when the next must not begin.
    turn: Arc<tokio::sync::Mutex<Option<Instant>>>,
    /// The round that has not begun, as long as a request waits for it.
    next: Option<WeakShared<Round>>,
}

impl<S: Source> Searches<S> {
    /// Looks through `source`, up to `bound` in a round.
    pub fn new(source: Arc<S>, bound: Bound, metrics: Arc<Metrics>) -> Arc<Searches<S>> {
        Arc::new(Searches {
            source,
            bound,
            metrics,
            at_once: Semaphore::new(AT_ONCE),
            places: Mutex::default(),
        })
    }

    /// The workloads of one namespace, or of all, as they are after now.
    pub(crate) fn workloads(self: &Arc<Self>, namespace: Option<&str>) -> Shared<Round> {
        let mut places = self.places();
        places.retain(|_, place| place.next.is_some() || Arc::strong_count(&place.turn) > 1);
        let key = namespace.map(str::to_owned);
        let place = places.entry(key.clone()).or_default();
        if let Some(next) = place.next.as_ref().and_then(WeakShared::upgrade) {
            return next;
        }
        let (searches, turn) = (Arc::clone(self), Arc::clone(&place.turn));
        let round: Round = Box::pin(async move {
            let mut not_before = turn.lock().await;
            if let Some(not_before) = *not_before {
                sleep_until(not_before).await;
            }
            let _permit = searches.at_once.acquire().await;
            // From here on a request needs another round.
            if let Some(place) = searches.places().get_mut(&key) {
                place.next = None;
            }
            searches.metrics.workload_rounds.inc();
            let began = Instant::now();
            let read = searches
                .source
                .workloads(key.as_deref(), searches.bound)
                .await;
            *not_before = Some(Instant::now() + began.elapsed().min(MAX_PAUSE));
            Arc::new(read)
        });
        let round = round.shared();
        place.next = round.downgrade();
        round
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Option<String>, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "searches_tests.rs"]
mod tests;
