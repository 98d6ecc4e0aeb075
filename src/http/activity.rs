//! What one connection is doing: at work, on its way to a request, or idle.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What one connection is doing. Written by its task, read by the accept loop too.
#[derive(Debug)]
pub(super) struct Activity {
    opened_at: Instant,
    /// Microseconds from `opened_at` to the end of the last request.
    idle_since: AtomicU64,
    requests: AtomicU32,
    has_asked: AtomicBool,
    bytes_pending: AtomicBool,
}

/// A moment in the life of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Requests are in progress.
    Busy,
    /// Bytes came that are no request yet.
    HeadBegun,
    /// Nothing since this moment.
    Idle(Instant),
}

/// How much a connection without a request in progress would be missed: the least goes first.
///
/// One that never asked for anything goes before one that did, and then the one idle for longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Merit {
    has_asked: bool,
    idle_since: Instant,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Activity {
            opened_at: Instant::now(),
            idle_since: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            has_asked: AtomicBool::new(false),
            bytes_pending: AtomicBool::new(false),
        })
    }

    /// A request is in progress until the result is dropped.
    pub(super) fn request_begins(self: &Arc<Self>) -> InProgress {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.has_asked.store(true, Ordering::Relaxed);
        InProgress(Arc::clone(self))
    }

    pub(super) fn state(&self) -> State {
        if self.requests.load(Ordering::Relaxed) > 0 {
            State::Busy
        } else if self.bytes_pending.load(Ordering::Relaxed) {
            State::HeadBegun
        } else {
            State::Idle(self.idle_since())
        }
    }

    /// `None` while a request is in progress: then it stays.
    pub(super) fn merit(&self) -> Option<Merit> {
        (self.state() != State::Busy).then(|| Merit {
            has_asked: self.has_asked.load(Ordering::Relaxed),
            idle_since: self.idle_since(),
        })
    }

    pub(super) fn idle_since(&self) -> Instant {
        self.opened_at + Duration::from_micros(self.idle_since.load(Ordering::Relaxed))
    }
}

/// A request in progress.
#[derive(Debug)]
pub(super) struct InProgress(Arc<Activity>);

impl Drop for InProgress {
    fn drop(&mut self) {
        let since = u64::try_from(self.0.opened_at.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.0.idle_since.store(since, Ordering::Relaxed);
        self.0.bytes_pending.store(false, Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream whose incoming bytes are noticed.
#[derive(Debug)]
pub(super) struct Noticed<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Noticed<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Noticed { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noticed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.bytes_pending.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noticed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_connection_is_idle_then_on_its_way_then_busy_then_idle_again() {
        let activity = Activity::new();
        let (mut client, server) = duplex(64);
        let mut server = Noticed::new(server, Arc::clone(&activity));
        assert!(matches!(activity.state(), State::Idle(_)));
        client.write_all(b"POST").await.unwrap();
        server.read_exact(&mut [0; 4]).await.unwrap();
        assert_eq!(activity.state(), State::HeadBegun);
        let first = activity.request_begins();
        let second = activity.request_begins();
        assert_eq!(activity.state(), State::Busy);
        drop(first);
        assert_eq!(activity.state(), State::Busy);
        drop(second);
        assert!(matches!(activity.state(), State::Idle(_)));
    }

    #[test]
    fn who_is_busy_stays_and_who_never_asked_goes_before_who_has_waited_longer() {
        let (asked, busy) = (Activity::new(), Activity::new());
        let _in_progress = busy.request_begins();
        assert_eq!(busy.merit(), None);
        drop(asked.request_begins());
        let long_idle = asked.merit();
        let silent = later_than(&asked);
        assert!(silent.merit() < asked.merit());
        while asked.merit() == long_idle {
            drop(asked.request_begins());
        }
        assert!(long_idle < asked.merit());
    }

    /// A connection that opens after `other` became idle.
    fn later_than(other: &Activity) -> Arc<Activity> {
        loop {
            let activity = Activity::new();
            if activity.opened_at > other.idle_since() {
                return activity;
            }
        }
    }
}
