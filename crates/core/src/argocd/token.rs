//! Tokens as Argo CD's session manager reads them, as far as a token tells by itself.
//!
//! Source: Argo CD `util/session/sessionmanager.go` and `util/jwt`, with golang-jwt v5; checked against
//! its own verdicts on the tokens in `tests/fixtures`. Signature, account and revocation need Argo CD's
//! Secret: they are looked at in [`verification`](super::verification).

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use thiserror::Error;
use zeroize::Zeroizing;

use super::claims::{Claims, Members, Name};
use super::json;

/// Go's `base64.RawURLEncoding`: no padding, and the bits left over in the last character do not matter.
const RAW_URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

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

/// Everything that is wrong with a token at `now`, in Unix seconds; nothing when Argo CD could accept it
/// as an API key that does not expire.
pub fn inspect(token: &str, now: f64) -> Vec<TokenDefect> {
    let mut defects = Vec::new();
    if token.contains(['\r', '\n']) {
        defects.push(TokenDefect::LineBreak);
    }
    match Token::read(token) {
        Ok(token) => token.defects(now, &mut defects),
        Err(defect) => defects.push(defect),
    }
    defects
}

/// A token taken apart, as far as it can be.
pub struct Token<'a> {
    /// What is signed: the first two segments as they stand.
    signed: &'a str,
    algorithm: Result<Option<Algorithm>, TokenDefect>,
    claims: Result<Claims, TokenDefect>,
    signature: Result<Zeroizing<Vec<u8>>, TokenDefect>,
}

/// What Argo CD lets tokens be signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256
    Hs256,
    /// HMAC with SHA-384
    Hs384,
    /// HMAC with SHA-512
    Hs512,
}

impl Algorithm {
    /// The name in a token's header.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Hs256 => "HS256",
            Algorithm::Hs384 => "HS384",
            Algorithm::Hs512 => "HS512",
        }
    }

    /// The bytes of a signature.
    fn length(self) -> usize {
        match self {
            Algorithm::Hs256 => 32,
            Algorithm::Hs384 => 48,
            Algorithm::Hs512 => 64,
        }
    }

    fn from_name(name: &str) -> Option<Algorithm> {
        let all = [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512];
        all.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// When it has not three segments; whatever else is wrong is found by [`inspect`].
    pub fn read(token: &'a str) -> Result<Token<'a>, TokenDefect> {
        let mut segments = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) = (
            segments.next(),
            segments.next(),
            segments.next(),
            segments.next(),
        ) else {
            return Err(TokenDefect::Segments(token.split('.').count()));
        };
        let signed = header.len() + 1 + payload.len();
        Ok(Token {
            signed: token.get(..signed).unwrap_or_default(),
            algorithm: object(header, Segment::Header, |header| {
                header
                    .text(Name::Algorithm)
                    .and_then(|name| Algorithm::from_name(&name))
            }),
            claims: object(payload, Segment::Payload, Claims::read),
            signature: decode(signature, Segment::Signature),
        })
    }

    /// What is signed, with what, and the signature, when each of them can be read.
    pub fn signed(&self) -> Option<(&'a str, Algorithm, &[u8])> {
        let algorithm = self.algorithm.ok()??;
        Some((self.signed, algorithm, self.signature.as_ref().ok()?))
    }

    /// What it is signed with, when that is told and accepted.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm.ok()?
    }

    /// What it claims, when that can be read.
    pub fn claims(&self) -> Option<&Claims> {
        self.claims.as_ref().ok()
    }

    fn defects(&self, now: f64, defects: &mut Vec<TokenDefect>) {
        match (self.algorithm, &self.signature) {
            (Err(defect), _) => defects.push(defect),
            (Ok(None), _) => defects.push(TokenDefect::Algorithm),
            (Ok(Some(algorithm)), Ok(signature)) if signature.len() != algorithm.length() => {
                defects.push(TokenDefect::SignatureLength {
                    found: signature.len(),
                    expected: algorithm.length(),
                });
            }
            (Ok(Some(_)), _) => {}
        }
        match &self.claims {
            Ok(claims) => claims.defects(now, defects),
            Err(defect) => defects.push(*defect),
        }
        defects.extend(self.signature.as_ref().err());
    }
}

/// A segment that is to be a JSON object, of which `read` takes what is wanted.
///
/// Go decodes JSON `null` into an empty object.
fn object<T>(
    segment: &str,
    which: Segment,
    read: impl FnOnce(&Members<'_>) -> T,
) -> Result<T, TokenDefect> {
    let bytes = decode(segment, which)?;
    let members = json::value(&bytes).and_then(|value| {
        if json::is_null(value) {
            return Some(BTreeMap::new());
        }
        json::members(value)
    });
    let members = members.ok_or(TokenDefect::NotJson(which))?;
    Ok(read(&Members(members)))
}

/// Go's decoder passes over carriage returns and line feeds wherever they stand.
fn decode(segment: &str, which: Segment) -> Result<Zeroizing<Vec<u8>>, TokenDefect> {
    let mut text = Zeroizing::new(Vec::with_capacity(segment.len()));
    text.extend(
        segment
            .bytes()
            .filter(|byte| !matches!(byte, b'\r' | b'\n')),
    );
    let mut bytes = Zeroizing::new(Vec::with_capacity(segment.len()));
    match RAW_URL.decode_vec(&*text, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(TokenDefect::NotBase64Url(which)),
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
