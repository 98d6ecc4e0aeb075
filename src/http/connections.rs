//! The open connections of one listener: which there are, which makes room, which is cut at the end.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{Instant, sleep, timeout};

/// How long to wait before looking again for an idle connection, when all are at work.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What one connection is used for: written by its task, read when one must make room.
#[derive(Debug)]
pub(super) struct Usage(Mutex<State>);

#[derive(Debug)]
struct State {
    requests: usize,
    priority: EvictionPriority,
}

/// Which idle connection makes room: the least goes first. One that never asked for anything goes before one that did,
/// or clients that only connect could close the connection that the API server keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct EvictionPriority {
    has_asked: bool,
    idle_since: Instant,
}

impl Usage {
    pub(super) fn new() -> Arc<Usage> {
        Arc::new(Usage(Mutex::new(State {
            requests: 0,
            priority: EvictionPriority {
                has_asked: false,
                idle_since: Instant::now(),
            },
        })))
    }

    /// A request is in progress until the result and all copies of it are dropped.
    pub(super) fn request_begins(self: &Arc<Self>) -> Arc<InProgress> {
        let mut state = self.state();
        state.requests += 1;
        state.priority.has_asked = true;
        Arc::new(InProgress(Arc::clone(self)))
    }

    fn request_rests(&self) {
        let mut state = self.state();
        state.requests -= 1;
        state.priority.idle_since = Instant::now();
    }

    /// `None` while a request is in progress: then it stays.
    fn eviction_priority(&self) -> Option<EvictionPriority> {
        let state = self.state();
        (state.requests == 0).then_some(state.priority)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in progress; each request has it as an extension, for what goes on when the answer has begun.
#[derive(Debug)]
pub(crate) struct InProgress(Arc<Usage>);

#[cfg(feature = "audit")]
impl InProgress {
    /// Until the result is dropped the client is waited for, and the connection makes room as one that is idle.
    pub(crate) fn waits_for_client(&self) -> Waiting<'_> {
        self.0.request_rests();
        Waiting(&self.0)
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.request_rests();
    }
}

/// A request of which the rest has not come yet.
#[cfg(feature = "audit")]
#[derive(Debug)]
pub(crate) struct Waiting<'a>(&'a Usage);

#[cfg(feature = "audit")]
impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().requests += 1;
    }
}

/// The open connections, a task each.
#[derive(Debug, Default)]
pub(super) struct Connections {
    tasks: JoinSet<()>,
    open: HashMap<Id, (Arc<Usage>, AbortHandle)>,
}

impl Connections {
    /// Serves a connection until `task` ends.
    pub(super) fn open(
        &mut self,
        usage: Arc<Usage>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = self.tasks.spawn(task);
        self.open.insert(task.id(), (usage, task));
    }

    /// Waits until a connection has closed; for ever when there is none.
    pub(super) async fn closed(&mut self) {
        let id = match self.tasks.join_next_with_id().await {
            None => return pending().await,
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
        };
        self.open.remove(&id);
    }

    /// Waits until fewer than `limit` connections are open, and closes idle ones for it. One with a request in progress
    /// is never cut.
    pub(super) async fn make_room(&mut self, limit: usize) {
        // None at all could never be waited for.
        let limit = limit.max(1);
        while self.tasks.len() >= limit {
            match self.eviction_candidate() {
                Some(task) => {
                    tracing::debug!(limit, "connection limit reached: an idle one is closed");
                    task.abort();
                    self.closed().await;
                }
                None => tokio::select! {
                    () = self.closed() => {}
                    () = sleep(LOOK_AGAIN) => {}
                },
            }
        }
    }

    /// Waits up to `limit` until all have closed, then cuts the rest and returns how many those were.
    pub(super) async fn drain(mut self, limit: Duration) -> usize {
        let all_closed = async { while self.tasks.join_next().await.is_some() {} };
        let in_time = timeout(limit, all_closed).await;
        let cut = self.tasks.len();
        if in_time.is_err() {
            self.tasks.shutdown().await;
        }
        cut
    }

    fn eviction_candidate(&self) -> Option<&AbortHandle> {
        let idle = self
            .open
            .values()
            .filter(|(_, task)| !task.is_finished())
            .filter_map(|(usage, task)| Some((usage.eviction_priority()?, task)));
        idle.min_by_key(|(priority, _)| *priority)
            .map(|(_, task)| task)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::{self, error::TryRecvError};

    use super::*;

    /// A connection that stays open; the receiver tells when it is no more.
    fn open(connections: &mut Connections, usage: &Arc<Usage>) -> oneshot::Receiver<()> {
        let (open, closed) = oneshot::channel();
        connections.open(Arc::clone(usage), async move {
            let _open = open;
            pending().await
        });
        closed
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_never_asked_makes_room_then_the_one_that_is_idle_for_longest() {
        let mut connections = Connections::default();
        let usages = [(); 4].map(|()| Usage::new());
        let [first, second, silent, busy] = &usages;
        drop(first.request_begins());
        sleep(Duration::from_secs(1)).await;
        drop(second.request_begins());
        let in_progress = busy.request_begins();
        // What goes on behind the answer keeps it in progress.
        drop(Arc::clone(&in_progress));
        let mut closed = usages.each_ref().map(|usage| open(&mut connections, usage));
        let _ = silent;
        for expected in [2, 0, 1] {
            let room = connections.tasks.len();
            connections.make_room(room).await;
            assert_eq!(closed[expected].try_recv(), Err(TryRecvError::Closed));
            assert_eq!(connections.tasks.len(), room - 1);
        }
        assert_eq!(closed[3].try_recv(), Err(TryRecvError::Empty));
        assert!(
            timeout(LOOK_AGAIN * 3, connections.make_room(1))
                .await
                .is_err()
        );
        let waiting = in_progress.waits_for_client();
        assert!(busy.eviction_priority().is_some());
        drop(waiting);
        assert!(busy.eviction_priority().is_none());
        drop(in_progress);
        connections.make_room(1).await;
        assert_eq!(closed[3].try_recv(), Err(TryRecvError::Closed));
    }

    #[tokio::test]
    async fn a_drain_counts_the_connections_that_it_cuts() {
        let mut connections = Connections::default();
        let closed = open(&mut connections, &Usage::new());
        connections.open(Usage::new(), async {});
        assert_eq!(connections.drain(Duration::from_millis(1)).await, 1);
        assert!(closed.await.is_err());
        assert_eq!(Connections::default().drain(Duration::ZERO).await, 0);
    }
}
