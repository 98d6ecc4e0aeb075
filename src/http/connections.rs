//! The open connections of one listener: who is there, who makes room, who is cut at the end.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{sleep, timeout};

use crate::http::activity::Activity;

/// How long to wait before looking again for an idle connection, when all are at work.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The open connections, a task each.
#[derive(Debug)]
pub(super) struct Connections {
    tasks: JoinSet<()>,
    seats: HashMap<Id, Seat>,
}

#[derive(Debug)]
struct Seat {
    activity: Arc<Activity>,
    task: AbortHandle,
}

impl Connections {
    pub(super) fn new() -> Self {
        Connections {
            tasks: JoinSet::new(),
            seats: HashMap::new(),
        }
    }

    /// Serves a connection until `task` ends.
    pub(super) fn open(
        &mut self,
        activity: Arc<Activity>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = self.tasks.spawn(task);
        self.seats.insert(task.id(), Seat { activity, task });
    }

    /// Waits until a connection has closed; for ever when there is none.
    pub(super) async fn closed(&mut self) {
        let id = match self.tasks.join_next_with_id().await {
            None => return pending().await,
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
        };
        self.seats.remove(&id);
    }

    /// Waits until fewer than `limit` connections are open.
    ///
    /// Whoever holds a connection without asking for anything gives way to whoever comes: so idle connections,
    /// however many, never keep the API server out. One with a request in progress is not touched.
    pub(super) async fn make_room(&mut self, limit: usize) {
        // None at all could never be waited for.
        let limit = limit.max(1);
        while self.tasks.len() >= limit {
            match self.least_missed() {
                Some(id) => {
                    if let Some(seat) = self.seats.remove(&id) {
                        tracing::debug!(
                            limit,
                            "connection limit reached: an idle connection is closed"
                        );
                        seat.task.abort();
                    }
                    self.closed().await;
                }
                None => tokio::select! {
                    () = self.closed() => {}
                    () = sleep(LOOK_AGAIN) => {}
                },
            }
        }
    }

    /// Waits up to `patience` until all have closed, then cuts the rest and returns how many those were.
    pub(super) async fn drain(mut self, patience: Duration) -> usize {
        let all_closed = async { while self.tasks.join_next().await.is_some() {} };
        let in_time = timeout(patience, all_closed).await;
        let cut = self.tasks.len();
        if in_time.is_err() {
            self.tasks.shutdown().await;
        }
        cut
    }

    fn least_missed(&self) -> Option<Id> {
        self.seats
            .iter()
            .filter_map(|(id, seat)| Some((seat.activity.merit()?, *id)))
            .min_by_key(|(merit, _)| *merit)
            .map(|(_, id)| id)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::{self, error::TryRecvError};

    use super::*;

    /// A connection that stays open; the receiver tells when it is no more.
    fn open(connections: &mut Connections, activity: &Arc<Activity>) -> oneshot::Receiver<()> {
        let (open, closed) = oneshot::channel();
        connections.open(Arc::clone(activity), async move {
            let _open = open;
            pending().await
        });
        closed
    }

    #[tokio::test]
    async fn the_connection_that_never_asked_makes_room() {
        let mut connections = Connections::new();
        let (asked, busy) = (Activity::new(), Activity::new());
        drop(asked.request_begins());
        let silent = Activity::new();
        let _in_progress = busy.request_begins();
        let mut asked = open(&mut connections, &asked);
        let mut silent = open(&mut connections, &silent);
        let mut busy = open(&mut connections, &busy);
        connections.make_room(3).await;
        assert_eq!(silent.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(asked.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(busy.try_recv(), Err(TryRecvError::Empty));
    }

    #[tokio::test]
    async fn a_busy_connection_makes_room_only_when_its_request_ends() {
        let mut connections = Connections::new();
        let activity = Activity::new();
        let in_progress = activity.request_begins();
        let closed = open(&mut connections, &activity);
        assert!(
            timeout(LOOK_AGAIN * 3, connections.make_room(1))
                .await
                .is_err()
        );
        drop(in_progress);
        connections.make_room(1).await;
        assert!(closed.await.is_err());
    }

    #[tokio::test]
    async fn a_drain_counts_the_connections_that_it_cuts() {
        let mut connections = Connections::new();
        let closed = open(&mut connections, &Activity::new());
        connections.open(Activity::new(), async {});
        assert_eq!(connections.drain(Duration::from_millis(1)).await, 1);
        assert!(closed.await.is_err());
        assert_eq!(Connections::new().drain(Duration::ZERO).await, 0);
    }
}
