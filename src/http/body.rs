//! A request body as bytes: bounded, and not copied when it arrives in one frame.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::http::intake::{Full, Intake, Place};
use crate::http::rejection::Rejection;
use crate::http::request_limits::RequestLimits;

/// The body of a request.
pub trait RequestBody: HttpBody<Data = Bytes, Error: Send> + Send + Unpin + 'static {}

impl<B: HttpBody<Data = Bytes, Error: Send> + Send + Unpin + 'static> RequestBody for B {}

/// What an announced length may reserve before a single byte is there.
const RESERVED_BYTES: usize = 256 * 1024;
/// How much is read of a body that nobody wants: twice the default limit, so that whoever genuinely sends too much
/// gets to read the answer.
const DISCARDED_BYTES: usize = 16 * 1024 * 1024;
/// How long a body that nobody wants is read.
const DISCARDED_FOR: Duration = Duration::from_secs(2);

/// How long a body may take before it counts as slow, and gives way to whoever needs its room.
const PROMPT: Duration = Duration::from_millis(250);

/// Reads the whole of `body` within `limits`, holding in `place` what it takes of the bytes for all.
///
/// # Errors
/// When it is longer (announced or sent), takes longer, breaks off, or has to make room. Read the rest with
/// [`discard`].
pub(super) async fn read<B: RequestBody>(
    body: &mut B,
    limits: &RequestLimits,
    place: &mut Place<'_>,
) -> Result<Bytes, Rejection> {
    let patience = limits.body_timeout;
    let intake = place.intake();
    let mut whole = pin!(read_all(body, limits, place));
    // Most have arrived with their header, and need no clock.
    let at_once = poll_fn(|context| Poll::Ready(whole.as_mut().poll(context))).await;
    match at_once {
        Poll::Ready(read) => read,
        Poll::Pending => Box::pin(wait(whole, patience, intake)).await,
    }
}

/// Waits for the rest of a body, until its time is over or somebody needs the room of a slow one.
async fn wait(
    mut whole: Pin<&mut impl Future<Output = Result<Bytes, Rejection>>>,
    patience: Duration,
    intake: &Intake,
) -> Result<Bytes, Rejection> {
    if let Ok(read) = timeout(PROMPT.min(patience), whole.as_mut()).await {
        return read;
    }
    let slow = intake.slow();
    tokio::select! {
        biased;
        read = timeout(patience.saturating_sub(PROMPT), whole) => {
            read.unwrap_or_else(|_| Err(Rejection::body_timeout(patience)))
        }
        () = slow.asked_to_give_way() => Err(Rejection::slow_body(PROMPT)),
    }
}

/// Reads what is left of `body` in the background and forgets it, within bounds.
///
/// Closing a socket with unread bytes resets it, and takes back an answer that the client has not read yet.
pub(super) fn discard<B: RequestBody>(mut body: B) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(timeout(DISCARDED_FOR, async move {
        let mut left = DISCARDED_BYTES;
        while let Ok(Some(data)) = next(&mut body).await {
            match left.checked_sub(data.len()) {
                Some(less) => left = less,
                None => break,
            }
        }
    }));
}

async fn read_all<B: RequestBody>(
    body: &mut B,
    limits: &RequestLimits,
    place: &mut Place<'_>,
) -> Result<Bytes, Rejection> {
    let limit = limits.max_body_bytes;
    let announced = HttpBody::size_hint(body).lower();
    if announced > limit as u64 {
        return Err(Rejection::body_too_large(limit));
    }
    // One frame is in the connection's read buffer, and takes no more than that.
    let first = match next(body).await? {
        None => return Ok(Bytes::new()),
        Some(first) if first.len() > limit => return Err(Rejection::body_too_large(limit)),
        Some(first) if body.is_end_stream() => return Ok(first),
        Some(first) => first,
    };
    let Some(second) = next(body).await? else {
        return Ok(first);
    };
    let mut whole = Whole {
        bytes: Vec::new(),
        held: 0,
        limits,
        place,
    };
    let announced = usize::try_from(announced).unwrap_or(limit);
    whole.hold(announced.min(RESERVED_BYTES)).await?;
    whole.append(&first).await?;
    whole.append(&second).await?;
    while let Some(data) = next(body).await? {
        whole.append(&data).await?;
    }
    Ok(whole.bytes.into())
}

/// A body that is put together, in room that was held for it first.
struct Whole<'body, 'intake> {
    bytes: Vec<u8>,
    held: usize,
    limits: &'body RequestLimits,
    place: &'body mut Place<'intake>,
}

impl Whole<'_, '_> {
    async fn append(&mut self, data: &[u8]) -> Result<(), Rejection> {
        let limit = self.limits.max_body_bytes;
        let length = self.bytes.len() + data.len();
        if length > limit {
            return Err(Rejection::body_too_large(limit));
        }
        if length > self.held {
            self.hold(length.max(self.held * 2).min(limit)).await?;
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// Makes room for `length` bytes in all.
    async fn hold(&mut self, length: usize) -> Result<(), Rejection> {
        let limit = self.limits.max_body_bytes_in_flight;
        let more = length.saturating_sub(self.held);
        let held = self.place.hold(more, limit).await;
        held.map_err(|Full| Rejection::body_memory(limit))?;
        self.held += more;
        self.bytes.reserve_exact(length - self.bytes.len());
        Ok(())
    }
}

/// The next bytes; `None` at the end. Trailers are passed over.
async fn next<B: RequestBody>(body: &mut B) -> Result<Option<Bytes>, Rejection> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Rejection::body_incomplete())?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::Error;
    use axum::body::Body;
    use futures_util::stream;

    use crate::http::rejection::Reason;
    use super::*;

    fn limits(max_body_bytes: usize) -> RequestLimits {
        RequestLimits {
            max_body_bytes,
            body_timeout: Duration::from_secs(60),
            ..RequestLimits::default()
        }
    }

    async fn read(body: &mut Body, limits: &RequestLimits) -> Result<Bytes, Rejection> {
        let intake = Intake::default();
        let mut place = intake.enter(1).await.unwrap();
        super::read(body, limits, &mut place).await
    }

    fn frames(frames: &[&'static str]) -> Body {
        let frames: Vec<Result<&'static str, Infallible>> =
            frames.iter().copied().map(Ok).collect();
        Body::from_stream(stream::iter(frames))
    }

    #[tokio::test]
    async fn a_body_is_whole_up_to_its_limit_and_refused_beyond_it() {
        let table: [(&[&'static str], Result<&str, Reason>); 9] = [
            (&[], Ok("")),
            (&["12345678"], Ok("12345678")),
            (&["1234", "5678"], Ok("12345678")),
            (&["1", "2", "3", "", "45"], Ok("12345")),
            (&["", "", "1"], Ok("1")),
            (&["123456789"], Err(Reason::BodyTooLarge)),
            (&["12345678", "9"], Err(Reason::BodyTooLarge)),
            (&["1", "2", "3", "4", "56789"], Err(Reason::BodyTooLarge)),
            (&["123456789", "1"], Err(Reason::BodyTooLarge)),
        ];
        for (sent, expected) in table {
            let read = read(&mut frames(sent), &limits(8)).await;
            let read = read.as_deref().map_err(|rejection| rejection.reason);
            assert_eq!(read, expected.map(str::as_bytes), "{sent:?}");
        }
    }

    #[tokio::test]
    async fn a_body_in_one_frame_is_not_copied() {
        let sent = Bytes::from_static(b"12345678");
        let read = read(&mut Body::from(sent.clone()), &limits(8)).await;
        assert_eq!(read.map(|read| read.as_ptr()), Ok(sent.as_ptr()));
    }

    #[tokio::test]
    async fn an_announced_length_over_the_limit_is_refused_unread() {
        let mut body = Body::from("123456789");
        let read = read(&mut body, &limits(8)).await;
        assert_eq!(
            read.map_err(|rejection| rejection.reason),
            Err(Reason::BodyTooLarge)
        );
        assert!(!body.is_end_stream());
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_incomplete() {
        let broken = stream::iter([Ok("1234"), Err(Error::new(std::io::Error::other("reset")))]);
        let read = read(&mut Body::from_stream(broken), &limits(8)).await;
        assert_eq!(
            read.map_err(|rejection| rejection.reason),
            Err(Reason::BodyIncomplete)
        );
    }

    #[tokio::test]
    async fn a_body_that_never_ends_runs_into_the_timeout() {
        let silent = Body::from_stream(stream::pending::<Result<&str, Infallible>>());
        let limits = RequestLimits {
            body_timeout: Duration::from_millis(1),
            ..limits(8)
        };
        let read = read(&mut { silent }, &limits).await;
        assert_eq!(
            read.map_err(|rejection| rejection.reason),
            Err(Reason::BodyTimeout)
        );
    }

    #[tokio::test]
    async fn what_all_bodies_hold_together_is_bounded_and_the_limit_is_named() {
        let limits = RequestLimits {
            max_body_bytes_in_flight: 10,
            ..limits(8)
        };
        let intake = Intake::default();
        let mut first = intake.enter(2).await.unwrap();
        let mut second = intake.enter(2).await.unwrap();
        let body = || frames(&["123", "456"]);
        let held = super::read(&mut body(), &limits, &mut first).await.unwrap();
        let rejected = super::read(&mut body(), &limits, &mut second).await;
        assert_eq!(
            rejected.map_err(|rejection| rejection.reason),
            Err(Reason::BodyMemory)
        );
        let single = super::read(&mut frames(&["123456"]), &limits, &mut second).await;
        assert_eq!(single.as_deref(), Ok(&*held));
        drop(first);
        let read = super::read(&mut body(), &limits, &mut second).await;
        assert_eq!(read.as_deref(), Ok(&*held));
    }
}
