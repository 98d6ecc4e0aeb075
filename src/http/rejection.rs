//! What is answered instead of a review: a status, and one line of what was wrong and what is expected.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use http_body_util::Full;

/// Why a request got no review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Another path.
    Path,
    /// Another method than POST.
    Method,
    /// Not `application/json`.
    MediaType,
    /// A longer body than allowed, announced or sent.
    BodyTooLarge,
    /// A body that took too long.
    BodyTimeout,
    /// A body that broke off or is not framed as HTTP says.
    BodyIncomplete,
    /// A body that is no review.
    Undecodable,
    /// A slow body whose room others needed.
    SlowBody,
    /// Too many requests at once.
    Overload,
    /// Too many bytes of bodies at once.
    BodyMemory,
    /// The code panicked.
    Panic,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 11] = [
        Reason::Path,
        Reason::Method,
        Reason::MediaType,
        Reason::BodyTooLarge,
        Reason::BodyTimeout,
        Reason::BodyIncomplete,
        Reason::Undecodable,
        Reason::SlowBody,
        Reason::Overload,
        Reason::BodyMemory,
        Reason::Panic,
    ];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Path => "path",
            Reason::Method => "method",
            Reason::MediaType => "media-type",
            Reason::BodyTooLarge => "body-too-large",
            Reason::BodyTimeout => "body-timeout",
            Reason::BodyIncomplete => "body-incomplete",
            Reason::Undecodable => "undecodable",
            Reason::SlowBody => "slow-body",
            Reason::Overload => "overload",
            Reason::BodyMemory => "body-memory",
            Reason::Panic => "panic",
        }
    }

    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        match self {
            Reason::Path => StatusCode::NOT_FOUND,
            Reason::Method => StatusCode::METHOD_NOT_ALLOWED,
            Reason::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Reason::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Reason::BodyTimeout | Reason::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Reason::BodyIncomplete | Reason::Undecodable => StatusCode::BAD_REQUEST,
            Reason::Overload | Reason::BodyMemory => StatusCode::TOO_MANY_REQUESTS,
            Reason::Panic => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A reason with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Why.
    pub reason: Reason,
    line: Cow<'static, str>,
}

impl Rejection {
    /// Another path than the one there is.
    pub fn path() -> Self {
        Self::fixed(
            Reason::Path,
            "there is nothing at this path; send reviews to POST /validate",
        )
    }

    /// Another method than POST.
    pub fn method() -> Self {
        Self::fixed(
            Reason::Method,
            "/validate takes POST only; send the review as its body",
        )
    }

    /// Another Content-Type, or none.
    pub fn media_type() -> Self {
        Self::fixed(
            Reason::MediaType,
            "Content-Type is not application/json; send the AdmissionReview in JSON and say so",
        )
    }

    /// A body of more than `limit` bytes.
    pub fn body_too_large(limit: usize) -> Self {
        Self::written(
            Reason::BodyTooLarge,
            format!(
                "the body is longer than {limit} bytes; raise limits.maxBodyBytes if it is genuine"
            ),
        )
    }

    /// A body that was not complete after `limit`.
    pub fn body_timeout(limit: Duration) -> Self {
        Self::written(
            Reason::BodyTimeout,
            format!(
                "the body was not complete after {limit:?}; send it at once, or raise timeouts.body"
            ),
        )
    }

    /// A body that broke off.
    pub fn body_incomplete() -> Self {
        Self::fixed(Reason::BodyIncomplete, "the body broke off; send it whole")
    }

    /// A body that is no review; `line` says why, in one line that quotes nothing of it.
    pub fn undecodable(line: String) -> Self {
        Self::written(Reason::Undecodable, line)
    }

    /// `limit` requests are in progress.
    pub fn overload(limit: usize) -> Self {
        Self::written(
            Reason::Overload,
            format!(
                "{limit} reviews are in progress, which is the limit; try again in a second, or raise limits.maxConcurrentRequests"
            ),
        )
    }

    /// A body that was still arriving after `prompt` when others needed its room.
    pub fn slow_body(prompt: Duration) -> Self {
        Self::written(
            Reason::SlowBody,
            format!(
                "the body was not complete after {prompt:?} and others needed its room; send it at once"
            ),
        )
    }

    /// The bodies in memory have `limit` bytes.
    pub fn body_memory(limit: usize) -> Self {
        Self::written(
            Reason::BodyMemory,
            format!(
                "the bodies of all reviews in progress would take more than {limit} bytes; try again in a second, or raise limits.maxBodyBytesInFlight"
            ),
        )
    }

    /// A panic.
    pub fn panic() -> Self {
        Self::fixed(
            Reason::Panic,
            "keyguard failed on this review, and on this one alone; its log says where: report it",
        )
    }

    fn fixed(reason: Reason, line: &'static str) -> Self {
        Rejection {
            reason,
            line: Cow::Borrowed(line),
        }
    }

    fn written(reason: Reason, line: String) -> Self {
        Rejection {
            reason,
            line: Cow::Owned(line),
        }
    }

    /// The answer in plain text.
    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(format!("{}\n", self.line).into());
        *response.status_mut() = self.reason.status();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        match self.reason {
            Reason::Method => headers.insert(ALLOW, HeaderValue::from_static("POST")),
            Reason::Overload | Reason::BodyMemory => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"))
            }
            _ => None,
        };
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_has_a_name_and_an_error_status_of_its_own() {
        let names: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let status = reason.status();
            assert!(
                status.is_client_error() || reason == Reason::Panic,
                "{reason:?}: {status}"
            );
        }
    }

    #[test]
    fn every_line_is_one_line() {
        let rejections = [
            Rejection::path(),
            Rejection::method(),
            Rejection::media_type(),
            Rejection::body_too_large(8 << 20),
            Rejection::body_timeout(Duration::from_millis(1500)),
            Rejection::body_incomplete(),
            Rejection::slow_body(Duration::from_millis(250)),
            Rejection::overload(128),
            Rejection::body_memory(64 << 20),
            Rejection::panic(),
        ];
        for rejection in rejections {
            assert!(!rejection.line.contains('\n'), "{}", rejection.line);
        }
    }
}
