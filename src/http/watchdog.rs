//! When a connection has kept its place for too long without a request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::http::activity::{Activity, State};

/// Watches one connection. Polled together with it, so that it sees every change.
///
/// hyper's own header timeout runs while a kept-alive connection is idle too. Five seconds are long for a header
/// and short for an idle connection: kube-apiserver keeps one for 90 s, and one that is closed under its hands
/// just when it sends a review fails that review.
#[derive(Debug)]
pub(super) struct Watchdog {
    activity: Arc<Activity>,
    patience: Patience,
    head_begun_at: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

/// How long a connection may do without a request in progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Between the first byte of a request and the end of its header; `None` when bytes do not mean that one begins.
    pub(super) header: Option<Duration>,
    /// With nothing at all.
    pub(super) idle: Duration,
}

/// What ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// A header that does not end.
    Header,
    /// A connection that nobody uses.
    Idle,
}

impl Watchdog {
    pub(super) fn new(activity: Arc<Activity>, patience: Patience) -> Self {
        Watchdog {
            activity,
            patience,
            head_begun_at: None,
            sleep: Box::pin(sleep(patience.idle)),
        }
    }

    /// Waits `more` before a connection that is being closed for want of use is overdue again.
    pub(super) fn grant(&mut self, more: Duration) {
        self.patience.idle += more;
    }

    /// Ready when the connection is overdue.
    pub(super) fn poll_overdue(&mut self, context: &mut Context<'_>) -> Poll<Overdue> {
        let Some((deadline, overdue)) = self.deadline() else {
            return Poll::Pending;
        };
        // Later deadlines are met when the timer runs out: setting it anew for every request costs more.
        if deadline < self.sleep.deadline() {
            self.sleep.as_mut().reset(deadline);
        }
        while self.sleep.as_mut().poll(context).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(overdue);
            }
            self.sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    /// `None` while a request is in progress; its end wakes the connection's task.
    fn deadline(&mut self) -> Option<(Instant, Overdue)> {
        match (self.activity.state(), self.patience.header) {
            (State::Busy, _) => {
                self.head_begun_at = None;
                None
            }
            (State::HeadBegun, Some(patience)) => {
                let begun_at = *self.head_begun_at.get_or_insert_with(Instant::now);
                Some((begun_at + patience, Overdue::Header))
            }
            (State::HeadBegun, None) => Some((
                self.activity.idle_since() + self.patience.idle,
                Overdue::Idle,
            )),
            (State::Idle(since), _) => {
                self.head_begun_at = None;
                Some((since + self.patience.idle, Overdue::Idle))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use crate::http::activity::Noticed;
    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const NEVER: Duration = Duration::from_secs(3600);

    async fn overdue(
        activity: &Arc<Activity>,
        header: Option<Duration>,
        idle: Duration,
    ) -> Overdue {
        let mut watchdog = Watchdog::new(Arc::clone(activity), Patience { header, idle });
        poll_fn(|context| watchdog.poll_overdue(context)).await
    }

    async fn head_begun() -> Arc<Activity> {
        let activity = Activity::new();
        let (mut client, server) = duplex(8);
        client.write_all(b"P").await.unwrap();
        Noticed::new(server, Arc::clone(&activity))
            .read_u8()
            .await
            .unwrap();
        activity
    }

    #[tokio::test]
    async fn silence_is_overdue_after_the_idle_timeout() {
        assert_eq!(
            overdue(&Activity::new(), Some(NEVER), SOON).await,
            Overdue::Idle
        );
    }

    #[tokio::test]
    async fn a_header_that_does_not_end_is_overdue_before_an_idle_connection_would_be() {
        assert_eq!(
            overdue(&head_begun().await, Some(SOON), NEVER).await,
            Overdue::Header
        );
    }

    #[tokio::test]
    async fn bytes_between_requests_do_not_begin_a_header_where_they_are_frames() {
        assert_eq!(
            overdue(&head_begun().await, None, SOON).await,
            Overdue::Idle
        );
    }

    #[tokio::test]
    async fn a_request_in_progress_is_never_overdue_and_its_end_starts_the_wait_anew() {
        let activity = Activity::new();
        let in_progress = activity.request_begins();
        let patience = Patience {
            header: Some(Duration::ZERO),
            idle: Duration::ZERO,
        };
        let mut watchdog = Watchdog::new(Arc::clone(&activity), patience);
        poll_fn(|context| {
            assert!(watchdog.poll_overdue(context).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(in_progress);
        assert_eq!(
            poll_fn(|context| watchdog.poll_overdue(context)).await,
            Overdue::Idle
        );
    }
}
