//! What is answered instead of a review: a status, and one line of what was wrong and what is expected.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{ALLOW, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use thiserror::Error;

use crate::telemetry::labels::RejectionReason;

/// Why a request got no review.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Rejection {
    /// Another path.
    #[error("there is nothing at this path; send reviews to POST /validate")]
    Path,
    /// Another method than POST.
    #[error("/validate takes POST only; send the review as its body")]
    Method,
    /// Another Content-Type, or none.
    #[error("Content-Type is not application/json; send the AdmissionReview in JSON and say so")]
    MediaType,
    /// A body, announced or sent, of more than this many bytes.
    #[error("the body is longer than {0} bytes; raise limits.maxBodyBytes if it is genuine")]
    BodyTooLarge(usize),
    /// A body that was not complete in time.
    #[error("the body was not complete after {0:?}; send it at once, or raise timeouts.body")]
    BodyTimeout(Duration),
    /// A body that broke off or is not framed as HTTP says.
    #[error("the body broke off; send it whole")]
    BodyIncomplete,
    /// A body that is no review: why, in one line that quotes nothing of it.
    #[error("{0}")]
    Undecodable(String),
    /// This many reviews are in progress.
    #[error(
        "{0} reviews are in progress, which is the limit; try again in a second, or raise limits.maxConcurrentRequests"
    )]
    Overload(usize),
    /// The bodies of all requests would take more than this many bytes.
    #[error(
        "the bodies of all requests would take more than {0} bytes; try again in a second, or raise limits.maxBodyBytesInFlight"
    )]
    BodyMemory(usize),
    /// The code panicked.
    #[error("keyguard failed on this review, and on this one alone; its log says where: report it")]
    Panic,
}

impl Rejection {
    /// Whether it came at a time when too much was in progress, whatever it was.
    pub fn is_shed(&self) -> bool {
        matches!(self, Rejection::Overload(_) | Rejection::BodyMemory(_))
    }

    /// The label in metrics, and the HTTP status.
    pub fn reason(&self) -> (RejectionReason, StatusCode) {
        use RejectionReason as Reason;
        match self {
            Rejection::Path => (Reason::Path, StatusCode::NOT_FOUND),
            Rejection::Method => (Reason::Method, StatusCode::METHOD_NOT_ALLOWED),
            Rejection::MediaType => (Reason::MediaType, StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Rejection::BodyTooLarge(_) => (Reason::BodyTooLarge, StatusCode::PAYLOAD_TOO_LARGE),
            Rejection::BodyTimeout(_) => (Reason::BodyTimeout, StatusCode::REQUEST_TIMEOUT),
            Rejection::BodyIncomplete => (Reason::BodyIncomplete, StatusCode::BAD_REQUEST),
            Rejection::Undecodable(_) => (Reason::Undecodable, StatusCode::BAD_REQUEST),
            Rejection::Overload(_) => (Reason::Overload, StatusCode::TOO_MANY_REQUESTS),
            Rejection::BodyMemory(_) => (Reason::BodyMemory, StatusCode::TOO_MANY_REQUESTS),
            Rejection::Panic => (Reason::Panic, StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let (reason, status) = self.reason();
        let mut response = (status, format!("{self}\n")).into_response();
        match status {
            StatusCode::METHOD_NOT_ALLOWED => {
                let post = HeaderValue::from_static("POST");
                response.headers_mut().insert(ALLOW, post);
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let a_second = HeaderValue::from_static("1");
                response.headers_mut().insert(RETRY_AFTER, a_second);
            }
            _ => {}
        }
        response.extensions_mut().insert(reason);
        response
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    #[test]
    fn every_rejection_is_one_line_with_an_error_status_and_a_reason_of_its_own() {
        let rejections = [
            Rejection::Path,
            Rejection::Method,
            Rejection::MediaType,
            Rejection::BodyTooLarge(8 << 20),
            Rejection::BodyTimeout(Duration::from_millis(1500)),
            Rejection::BodyIncomplete,
            Rejection::Undecodable("no review".to_owned()),
            Rejection::Overload(128),
            Rejection::BodyMemory(64 << 20),
            Rejection::Panic,
        ];
        let mut reasons = Vec::new();
        for rejection in rejections {
            let (reason, status) = rejection.reason();
            assert!(status.is_client_error() || rejection == Rejection::Panic);
            assert!(!rejection.to_string().contains('\n'), "{rejection}");
            reasons.push(reason);
        }
        assert_eq!(reasons, RejectionReason::VARIANTS);
    }
}
