//! Why the collector refuses a call.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use keyguard_audit::store::StoreError;
use keyguard_audit::writer::MOST_RECORDS;
use thiserror::Error;

use super::callers::Denied;
use super::{ARRIVAL, MOST_BYTES, MOST_OF_A_PAGE, RECORDS_PATH};
use crate::http::rejection::Rejection;
use crate::telemetry::audit_store::why;
use crate::telemetry::labels::BatchOutcome;

/// Why a call is refused: one line that says what to do.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(
        "the token was not made for a pod; send the one that the kubelet mounts by a projected volume"
    )]
    NoPod,
    #[error(
        "record {line} is of replica {replica:?}, and the token of pod {pod:?}; a replica sends its own alone"
    )]
    OtherReplica {
        line: usize,
        replica: String,
        pod: String,
    },
    #[error("another batch is stored just now; send one after the other, and this one again")]
    Busy,
    #[error("a batch has at most {MOST_BYTES} bytes and {MOST_RECORDS} records; send less at once")]
    TooLarge,
    #[error("the batch did not arrive whole within {} s; send it again", ARRIVAL.as_secs())]
    Incomplete,
    #[error(
        "line {0} is no record of this version of keyguard; bring the collector to the version of the replicas, or a later one"
    )]
    NoRecord(usize),
    #[error("limit is from 1 to {MOST_OF_A_PAGE}")]
    Limit,
    #[error("the query cannot be read: {0}")]
    Query(String),
    #[error("there is nothing at this path; ask for {RECORDS_PATH} or /log/")]
    Nothing,
    #[error("the store cannot be used: {}; try again", why(.0))]
    Store(#[from] StoreError),
}

impl Refusal {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Refusal::Denied(denied) => denied.status(),
            Refusal::NoPod | Refusal::OtherReplica { .. } => StatusCode::FORBIDDEN,
            Refusal::Busy => StatusCode::TOO_MANY_REQUESTS,
            Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Incomplete => StatusCode::REQUEST_TIMEOUT,
            Refusal::NoRecord(_) | Refusal::Limit | Refusal::Query(_) => StatusCode::BAD_REQUEST,
            Refusal::Nothing => StatusCode::NOT_FOUND,
            Refusal::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) fn outcome(&self) -> BatchOutcome {
        match self.status() {
            StatusCode::UNAUTHORIZED => BatchOutcome::Unknown,
            StatusCode::FORBIDDEN => BatchOutcome::Forbidden,
            StatusCode::TOO_MANY_REQUESTS => BatchOutcome::Busy,
            StatusCode::PAYLOAD_TOO_LARGE => BatchOutcome::TooLarge,
            StatusCode::BAD_REQUEST | StatusCode::REQUEST_TIMEOUT => BatchOutcome::Invalid,
            _ => BatchOutcome::NotStored,
        }
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Refusal {
        match rejection {
            Rejection::BodyTooLarge(_) => Refusal::TooLarge,
            Rejection::BodyMemory(_) => Refusal::Busy,
            _ => Refusal::Incomplete,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status(), format!("{self}\n")).into_response()
    }
}
