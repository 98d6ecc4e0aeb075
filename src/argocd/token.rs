//! Tokens as Argo CD's session manager reads them, as far as a token tells by itself.
//!
//! Source: Argo CD `util/session/sessionmanager.go` and `util/jwt`, with golang-jwt v5; checked against
//! its own verdicts on the tokens in `tests/fixtures`. Signature, account and revocation need Argo CD's
//! Secret and are not looked at here.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use thiserror::Error;
use zeroize::Zeroizing;

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

impl std::fmt::Display for Segment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
    let segments: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = segments.as_slice() else {
        defects.push(TokenDefect::Segments(segments.len()));
        return defects;
    };
    let header = object(header, Segment::Header);
    let claims = object(payload, Segment::Payload);
    let signature = decode(signature, Segment::Signature);
    match &header {
        Ok(header) => defects.extend(algorithm(header, signature.as_deref().ok())),
        Err(defect) => defects.push(*defect),
    }
    match &claims {
        Ok(claims) => defects.extend(claim_defects(claims, now)),
        Err(defect) => defects.push(*defect),
    }
    defects.extend(signature.err());
    defects
}

fn algorithm(header: &Claims, signature: Option<&Vec<u8>>) -> Option<TokenDefect> {
    let expected = match header.text("alg") {
        Some("HS256") => 32,
        Some("HS384") => 48,
        Some("HS512") => 64,
        _ => return Some(TokenDefect::Algorithm),
    };
    let found = signature?.len();
    (found != expected).then_some(TokenDefect::SignatureLength { found, expected })
}

fn claim_defects(claims: &Claims, now: f64) -> Vec<TokenDefect> {
    let mut defects = Vec::new();
    if claims.text("iss") != Some("argocd") {
        defects.push(TokenDefect::Issuer);
    }
    defects.extend(subject_defect(claims));
    if !claims.get("iat").is_some_and(Value::is_number) {
        defects.push(TokenDefect::IssuedAt);
    }
    if claims.text("jti").is_none_or(str::is_empty) {
        defects.push(TokenDefect::Id);
    }
    match claims.time("nbf") {
        Time::Other => defects.push(TokenDefect::NotBeforeType),
        Time::At(from) if now < from => defects.push(TokenDefect::NotYetValid),
        Time::At(_) | Time::None => {}
    }
    match claims.time("exp") {
        Time::Other => defects.push(TokenDefect::ExpiryType),
        Time::At(until) if now >= until => defects.push(TokenDefect::Expired),
        Time::At(_) => defects.push(TokenDefect::Expires),
        Time::None => {}
    }
    defects
}

fn subject_defect(claims: &Claims) -> Option<TokenDefect> {
    let federated = claims
        .get("federated_claims")
        .and_then(|federated| federated.get("user_id"))
        .and_then(Value::as_str)
        .filter(|user| !user.is_empty());
    let subject = federated.or_else(|| claims.text("sub")).unwrap_or_default();
    let parts: Vec<&str> = subject.split(':').collect();
    match parts.as_slice() {
        [] | [""] => Some(TokenDefect::NoSubject),
        ["proj", _, _] => Some(TokenDefect::ProjectRole),
        [_, "login", ..] => Some(TokenDefect::LoginSession),
        _ => None,
    }
}

/// A JSON object of a token.
struct Claims(Map<String, Value>);

/// A time among the claims: golang-jwt takes 0 for none, and numbers only.
enum Time {
    None,
    At(f64),
    Other,
}

impl Claims {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    fn time(&self, name: &str) -> Time {
        match self.get(name) {
            None => Time::None,
            Some(value) => match value.as_f64() {
                Some(0.0) => Time::None,
                Some(seconds) => Time::At(seconds),
                None => Time::Other,
            },
        }
    }
}

/// Go decodes JSON `null` into an empty object, and puts U+FFFD for what is not UTF-8.
fn object(segment: &str, which: Segment) -> Result<Claims, TokenDefect> {
    let bytes = decode(segment, which)?;
    match serde_json::from_str(&String::from_utf8_lossy(&bytes)) {
        Ok(Value::Object(object)) => Ok(Claims(object)),
        Ok(Value::Null) => Ok(Claims(Map::new())),
        _ => Err(TokenDefect::NotJson(which)),
    }
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
