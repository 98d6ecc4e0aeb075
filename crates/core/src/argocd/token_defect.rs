//! What can be wrong with a token that the token shows by itself.

use std::fmt;

use thiserror::Error;

/// What is wrong with a token, as a clause that follows "the token". Never holds a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenDefect {
    /// Argo CD's decoder passes over a line break, but no HTTP client can send one in a header.
    #[error("has a line break inside, which no HTTP header can carry")]
    LineBreak,
    /// Not three segments.
    #[error("has {0} dot-separated segment(s) instead of 3")]
    Segments(usize),
    /// A segment that is not base64url without padding.
    #[error("has a {0} that is not base64url without padding")]
    NotBase64Url(Segment),
    /// A segment that is not a JSON object.
    #[error("has a {0} that is not a JSON object")]
    NotJson(Segment),
    /// `alg` is not one that Argo CD accepts.
    #[error("is not signed with HS256, HS384 or HS512 (alg)")]
    Algorithm,
    /// The signature is of a length that `alg` never gives.
    #[error("has a signature of {found} bytes where its algorithm gives {expected}")]
    SignatureLength {
        /// What it has.
        found: usize,
        /// What its algorithm gives.
        expected: usize,
    },
    /// `iss` is not `argocd`.
    #[error("is not issued by argocd (iss)")]
    Issuer,
    /// Neither `sub` nor a federated user id.
    #[error("has no subject (sub)")]
    NoSubject,
    /// `iat` missing, or not a number.
    #[error("has no issue time that is a number (iat)")]
    IssuedAt,
    /// `jti` missing, empty, or not a string.
    #[error("has no id that is a string (jti)")]
    Id,
    /// `exp` is there and not a number.
    #[error("has an expiry that is not a number (exp)")]
    ExpiryType,
    /// `nbf` is there and not a number.
    #[error("has a start of validity that is not a number (nbf)")]
    NotBeforeType,
    /// The subject is a role of a project.
    #[error("is a project role's, not an account's")]
    ProjectRole,
    /// The subject is a login session.
    #[error("is a login session, not an API key")]
    LoginSession,
    /// `nbf` is in the future.
    #[error("is not valid yet (nbf)")]
    NotYetValid,
    /// `exp` has passed.
    #[error("has expired (exp)")]
    Expired,
    /// `exp` will pass.
    #[error("expires (exp)")]
    Expires,
}

impl TokenDefect {
    /// Whether Argo CD accepts such a token today all the same, though not for good.
    pub fn is_accepted_for_now(self) -> bool {
        matches!(self, TokenDefect::Expires | TokenDefect::LoginSession)
    }
}

/// A segment of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// The first.
    Header,
    /// The second, with the claims.
    Payload,
    /// The third.
    Signature,
}

impl fmt::Display for Segment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Segment::Header => "header",
            Segment::Payload => "payload",
            Segment::Signature => "signature",
        })
    }
}
