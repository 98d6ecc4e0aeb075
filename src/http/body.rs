//! A request body as bytes: bounded in length, in time, and in what all bodies take together.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use super::limits::RequestLimits;
use super::rejection::Rejection;

/// How much is read of a body that is not wanted, so that a client that sends too much gets to read the answer: closing
/// a socket with unread bytes resets it. Twice the default limit.
const DISCARDED_BYTES: usize = 16 * 1024 * 1024;
/// How long such a body is read.
const DISCARDED_FOR: Duration = Duration::from_secs(2);

/// Reads the whole of `body` within `limits`, and holds its part of the budget. `budget` has a permit for each byte that
/// all bodies may take together; bytes are taken as they arrive, so that what is announced and not sent keeps nobody out.
///
/// # Errors
/// When the body is longer (announced or sent), takes longer, breaks off, or does not fit into the budget.
pub(crate) async fn read<'a>(
    mut body: Body,
    limits: &RequestLimits,
    budget: &'a Semaphore,
) -> Result<(Bytes, SemaphorePermit<'a>), Rejection> {
    let deadline = Instant::now() + limits.body_timeout;
    let limit = limits.max_body_bytes;
    if body.size_hint().lower() > limit as u64 {
        return Err(Rejection::BodyTooLarge(limit));
    }
    let mut parts = Parts::default();
    let mut held = hold(budget, 0, limits)?;
    let read = timeout_at(deadline, async {
        while let Some(data) = next(&mut body).await? {
            let length = parts.length() + data.len();
            let refused = match length > limit {
                true => Err(Rejection::BodyTooLarge(limit)),
                false => hold(budget, data.len(), limits),
            };
            match refused {
                Ok(more) => held.merge(more),
                Err(rejection) => {
                    parts = Parts::default();
                    discard(&mut body).await;
                    return Err(rejection);
                }
            }
            parts.push(data);
        }
        Ok(())
    });
    read.await
        .unwrap_or(Err(Rejection::BodyTimeout(limits.body_timeout)))?;
    Ok((parts.into_bytes(), held))
}

/// Reads what is left of `body`, within bounds in length and time, and forgets it.
pub(crate) async fn discard(body: &mut Body) {
    let mut left = DISCARDED_BYTES;
    let read = async {
        while let Ok(Some(data)) = next(body).await {
            match left.checked_sub(data.len()) {
                Some(less) => left = less,
                None => return,
            }
        }
    };
    let _ = timeout(DISCARDED_FOR, read).await;
}

fn hold<'a>(
    budget: &'a Semaphore,
    bytes: usize,
    limits: &RequestLimits,
) -> Result<SemaphorePermit<'a>, Rejection> {
    u32::try_from(bytes)
        .ok()
        .and_then(|bytes| budget.try_acquire_many(bytes).ok())
        .ok_or(Rejection::BodyMemory(limits.max_body_bytes_in_flight))
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, Rejection> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Rejection::BodyIncomplete)?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// A body that is put together; one that comes in one piece, as most do, is not copied.
#[derive(Debug, Default)]
struct Parts {
    first: Bytes,
    rest: Vec<u8>,
}

impl Parts {
    fn length(&self) -> usize {
        self.first.len().max(self.rest.len())
    }

    fn push(&mut self, data: Bytes) {
        if self.first.is_empty() {
            self.first = data;
        } else {
            if self.rest.is_empty() {
                self.rest.extend_from_slice(&self.first);
            }
            self.rest.extend_from_slice(&data);
        }
    }

    fn into_bytes(self) -> Bytes {
        match self.rest.is_empty() {
            true => self.first,
            false => self.rest.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::Error;
    use futures_util::stream;

    use super::*;

    fn limits(max_body_bytes: usize) -> RequestLimits {
        RequestLimits {
            max_body_bytes,
            max_body_bytes_in_flight: 10,
            body_timeout: Duration::from_millis(20),
            ..RequestLimits::default()
        }
    }

    fn frames(frames: &[&'static str]) -> Body {
        let frames: Vec<_> = frames.iter().copied().map(Ok::<_, Infallible>).collect();
        Body::from_stream(stream::iter(frames))
    }

    async fn bytes(body: Body, budget: &Semaphore) -> Result<Bytes, Rejection> {
        read(body, &limits(8), budget).await.map(|(bytes, _)| bytes)
    }

    #[tokio::test]
    async fn a_body_is_read_whole_up_to_the_limit_however_it_is_cut() {
        let too_large = Err(Rejection::BodyTooLarge(8));
        let table: [(&[&str], Result<&str, Rejection>); 8] = [
            (&[], Ok("")),
            (&["12345678"], Ok("12345678")),
            (&["123", "45678"], Ok("12345678")),
            (&["1", "2", "3", "4"], Ok("1234")),
            (&["", "1", "", "2"], Ok("12")),
            (&["123456789"], too_large.clone()),
            (&["12345678", "9"], too_large.clone()),
            (&["1", "2", "3456789"], too_large),
        ];
        for (sent, expected) in table {
            let budget = Semaphore::new(10);
            let read = bytes(frames(sent), &budget).await;
            assert_eq!(read, expected.map(Bytes::from), "{sent:?}");
            assert_eq!(budget.available_permits(), 10);
        }
    }

    #[tokio::test]
    async fn a_body_in_one_frame_is_not_copied() {
        let sent = Bytes::from_static(b"12345678");
        let read = bytes(Body::from(sent.clone()), &Semaphore::new(10)).await;
        assert_eq!(read.map(|read| read.as_ptr()), Ok(sent.as_ptr()));
    }

    #[tokio::test]
    async fn an_announced_length_over_the_limit_is_refused_unread() {
        let read = bytes(Body::from("123456789"), &Semaphore::new(10)).await;
        assert_eq!(read, Err(Rejection::BodyTooLarge(8)));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_incomplete() {
        let broken = stream::iter([Ok("1234"), Err(Error::new(std::io::Error::other("reset")))]);
        let read = bytes(Body::from_stream(broken), &Semaphore::new(10)).await;
        assert_eq!(read, Err(Rejection::BodyIncomplete));
    }

    #[tokio::test]
    async fn a_body_that_never_ends_runs_into_the_timeout() {
        let silent = Body::from_stream(stream::pending::<Result<&str, Infallible>>());
        let read = bytes(silent, &Semaphore::new(10)).await;
        assert_eq!(read, Err(Rejection::BodyTimeout(Duration::from_millis(20))));
    }

    #[tokio::test]
    async fn what_all_bodies_hold_together_is_bounded_and_given_back() {
        let budget = Semaphore::new(10);
        let first = read(frames(&["123", "456"]), &limits(8), &budget).await;
        let second = bytes(frames(&["123", "456"]), &budget).await;
        assert_eq!(second, Err(Rejection::BodyMemory(10)));
        assert_eq!(bytes(frames(&["1234"]), &budget).await.unwrap(), "1234");
        drop(first);
        assert_eq!(bytes(frames(&["123456"]), &budget).await.unwrap(), "123456");
    }
}
