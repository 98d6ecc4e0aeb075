//! Why a body is no request.

use thiserror::Error;

use crate::runtime::json_object;

/// Why a body is no request to answer. Never quotes the body, which may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Undecodable {
    /// Not JSON, or not of the shape of an AdmissionReview.
    #[error(
        "the body is not an AdmissionReview in JSON: {problem} at line {line}, column {column}; send what kube-apiserver sends"
    )]
    Json {
        /// What kind of problem.
        problem: &'static str,
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
    },
    /// Not text.
    #[error("the body is not UTF-8; send the AdmissionReview in JSON as kube-apiserver sends it")]
    NotUtf8,
    /// Something else than a JSON object.
    #[error(
        "the body is not an AdmissionReview: it is not a JSON object; send what kube-apiserver sends"
    )]
    NoObject,
    /// Nested too deeply.
    #[error(
        "the body is nested more than {0} levels deep (limits.maxJsonDepth); send what kube-apiserver sends"
    )]
    TooDeep(usize),
    /// Another version or kind.
    #[error(
        "the body is not an admission.k8s.io/v1 AdmissionReview; set admissionReviewVersions to [\"v1\"]"
    )]
    Version,
    /// Something that a request must have is missing.
    #[error("{0} is missing or unknown; an AdmissionReview of kube-apiserver has it")]
    Missing(&'static str),
}

impl From<&serde_json::Error> for Undecodable {
    /// Says where, and never what: the error of serde_json may quote a value.
    fn from(error: &serde_json::Error) -> Self {
        use serde_json::error::Category;
        Undecodable::Json {
            problem: match error.classify() {
                Category::Eof => "it ends too early",
                // The text may quote the body; nothing of it is told.
                Category::Data if error.to_string().contains(json_object::EXPECTED) => {
                    "what must be an object is not an object"
                }
                Category::Data => "a field of the wrong type, or one that stands twice",
                Category::Syntax | Category::Io => "a syntax error",
            },
            line: error.line(),
            column: error.column(),
        }
    }
}
