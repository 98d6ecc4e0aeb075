//! A request body as bytes: bounded, and not copied when it arrives in one frame.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::rejection::Rejection;

/// What an announced length may reserve before a single byte is there.
const RESERVED_BYTES: usize = 256 * 1024;
/// How much is read of a body that nobody wants: twice the default limit, so that whoever genuinely sends too much
/// gets to read the answer.
const DISCARDED_BYTES: usize = 16 * 1024 * 1024;
/// How long a body that nobody wants is read.
const DISCARDED_FOR: Duration = Duration::from_secs(2);

/// Reads the whole of `body`, of at most `limit` bytes, within `patience`.
///
/// # Errors
/// When it is longer (announced or sent), takes longer, or breaks off. Read the rest with [`discard`].
pub(super) async fn read(
    body: &mut Body,
    limit: usize,
    patience: Duration,
) -> Result<Bytes, Rejection> {
    timeout(patience, read_all(body, limit))
        .await
        .unwrap_or_else(|_| Err(Rejection::body_timeout(patience)))
}

/// Reads what is left of `body` in the background and forgets it, within bounds.
///
/// Closing a socket with unread bytes resets it, and takes back an answer that the client has not read yet.
pub(super) fn discard(mut body: Body) {
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

async fn read_all(body: &mut Body, limit: usize) -> Result<Bytes, Rejection> {
    let announced = HttpBody::size_hint(body).lower();
    if announced > limit as u64 {
        return Err(Rejection::body_too_large(limit));
    }
    let first = match next(body).await? {
        None => return Ok(Bytes::new()),
        Some(first) if first.len() > limit => return Err(Rejection::body_too_large(limit)),
        Some(first) if body.is_end_stream() => return Ok(first),
        Some(first) => first,
    };
    let Some(second) = next(body).await? else {
        return Ok(first);
    };
    let announced = usize::try_from(announced).unwrap_or(limit);
    let mut whole = Vec::with_capacity(announced.min(RESERVED_BYTES));
    whole.extend_from_slice(&first);
    let mut following = Some(second);
    while let Some(data) = following {
        if data.len() > limit - whole.len() {
            return Err(Rejection::body_too_large(limit));
        }
        whole.extend_from_slice(&data);
        following = next(body).await?;
    }
    Ok(whole.into())
}

/// The next bytes; `None` at the end. Trailers are passed over.
async fn next(body: &mut Body) -> Result<Option<Bytes>, Rejection> {
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
    use futures_util::stream;

    use super::super::rejection::Reason;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

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
            let read = read(&mut frames(sent), 8, PATIENCE).await;
            let read = read.as_deref().map_err(|rejection| rejection.reason);
            assert_eq!(read, expected.map(str::as_bytes), "{sent:?}");
        }
    }

    #[tokio::test]
    async fn a_body_in_one_frame_is_not_copied() {
        let sent = Bytes::from_static(b"12345678");
        let read = read(&mut Body::from(sent.clone()), 8, PATIENCE).await;
        assert_eq!(read.map(|read| read.as_ptr()), Ok(sent.as_ptr()));
    }

    #[tokio::test]
    async fn an_announced_length_over_the_limit_is_refused_unread() {
        let mut body = Body::from("123456789");
        let read = read(&mut body, 8, PATIENCE).await;
        assert_eq!(
            read.map_err(|rejection| rejection.reason),
            Err(Reason::BodyTooLarge)
        );
        assert!(!body.is_end_stream());
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_incomplete() {
        let broken = stream::iter([Ok("1234"), Err(Error::new(std::io::Error::other("reset")))]);
        let read = read(&mut Body::from_stream(broken), 8, PATIENCE).await;
        assert_eq!(
            read.map_err(|rejection| rejection.reason),
            Err(Reason::BodyIncomplete)
        );
    }

    #[tokio::test]
    async fn a_body_that_never_ends_runs_into_the_timeout() {
        let silent = Body::from_stream(stream::pending::<Result<&str, Infallible>>());
        let read = read(&mut { silent }, 8, Duration::from_millis(1)).await;
        assert_eq!(
            read.map_err(|rejection| rejection.reason),
            Err(Reason::BodyTimeout)
        );
    }
}
