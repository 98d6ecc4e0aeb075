//! Tokens as Argo CD's session manager reads them, as far as a token tells by itself.
//!
//! Source: Argo CD `util/session/sessionmanager.go` and `util/jwt`, with golang-jwt v5; checked against
//! its own verdicts on the tokens in `tests/fixtures`. Signature, account and revocation need Argo CD's
//! Secret and are not looked at here.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
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
    let mut segments = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) = (
        segments.next(),
        segments.next(),
        segments.next(),
        segments.next(),
    ) else {
        defects.push(TokenDefect::Segments(token.split('.').count()));
        return defects;
    };
    let signature = decode(signature, Segment::Signature);
    let length = signature.as_deref().map(Vec::len).ok();
    defects.extend(judged(header, Segment::Header, |header| {
        algorithm(header, length).into_iter().collect()
    }));
    defects.extend(judged(payload, Segment::Payload, |claims| {
        claim_defects(claims, now)
    }));
    defects.extend(signature.err());
    defects
}

/// The defects of a segment that is to be a JSON object: its shape's, or those that `judge` finds inside.
///
/// Go decodes JSON `null` into an empty object, and puts U+FFFD for what is not UTF-8. What Go alone refuses
/// in a member that is not read (a number beyond an f64) passes; half a surrogate pair in one that is read is refused.
fn judged(
    segment: &str,
    which: Segment,
    judge: impl FnOnce(&Members) -> Vec<TokenDefect>,
) -> Vec<TokenDefect> {
    let bytes = match decode(segment, which) {
        Ok(bytes) => bytes,
        Err(defect) => return vec![defect],
    };
    let json = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
    match serde_json::from_str(&json) {
        Ok(Member::Object(members)) => judge(&members),
        Ok(Member::Null) => judge(&Members::default()),
        _ => vec![TokenDefect::NotJson(which)],
    }
}

fn algorithm(header: &Members, length: Option<usize>) -> Option<TokenDefect> {
    let expected = match header.text(Name::Algorithm) {
        Some("HS256") => 32,
        Some("HS384") => 48,
        Some("HS512") => 64,
        _ => return Some(TokenDefect::Algorithm),
    };
    let found = length?;
    (found != expected).then_some(TokenDefect::SignatureLength { found, expected })
}

fn claim_defects(claims: &Members, now: f64) -> Vec<TokenDefect> {
    let mut defects = Vec::new();
    if claims.text(Name::Issuer) != Some("argocd") {
        defects.push(TokenDefect::Issuer);
    }
    defects.extend(subject_defect(claims));
    if !matches!(claims.get(Name::IssuedAt), Some(Member::Number(_))) {
        defects.push(TokenDefect::IssuedAt);
    }
    if claims.text(Name::Id).is_none_or(str::is_empty) {
        defects.push(TokenDefect::Id);
    }
    match claims.time(Name::NotBefore) {
        Time::Other => defects.push(TokenDefect::NotBeforeType),
        Time::At(from) if now < from => defects.push(TokenDefect::NotYetValid),
        Time::At(_) | Time::None => {}
    }
    match claims.time(Name::Expiry) {
        Time::Other => defects.push(TokenDefect::ExpiryType),
        Time::At(until) if now >= until => defects.push(TokenDefect::Expired),
        Time::At(_) => defects.push(TokenDefect::Expires),
        Time::None => {}
    }
    defects
}

fn subject_defect(claims: &Members) -> Option<TokenDefect> {
    let federated = match claims.get(Name::FederatedClaims) {
        Some(Member::Object(federated)) => federated.text(Name::UserId),
        _ => None,
    };
    let subject = federated
        .filter(|user| !user.is_empty())
        .or_else(|| claims.text(Name::Subject))
        .unwrap_or_default();
    let mut parts = subject.split(':');
    match [parts.next(), parts.next(), parts.next(), parts.next()] {
        [Some(""), None, ..] => Some(TokenDefect::NoSubject),
        [Some("proj"), Some(_), Some(_), None] => Some(TokenDefect::ProjectRole),
        [_, Some("login"), ..] => Some(TokenDefect::LoginSession),
        _ => None,
    }
}

/// The members of a JSON object that decide; of two with the same name the last counts, as in Go.
#[derive(Default)]
struct Members(BTreeMap<Name, Member>);

/// The value of a member. Text is a copy that is zeroed when dropped.
enum Member {
    Null,
    Number(f64),
    Text(Zeroizing<String>),
    Object(Members),
    Other,
}

/// The names that are read; what stands under any other is passed over and never held.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(field_identifier)]
enum Name {
    #[serde(rename = "alg")]
    Algorithm,
    #[serde(rename = "iss")]
    Issuer,
    #[serde(rename = "sub")]
    Subject,
    #[serde(rename = "federated_claims")]
    FederatedClaims,
    #[serde(rename = "user_id")]
    UserId,
    #[serde(rename = "iat")]
    IssuedAt,
    #[serde(rename = "jti")]
    Id,
    #[serde(rename = "nbf")]
    NotBefore,
    #[serde(rename = "exp")]
    Expiry,
    #[serde(other)]
    Other,
}

/// A time among the claims, in Unix seconds: golang-jwt takes 0 for none, numbers only, and whole seconds.
enum Time {
    None,
    At(f64),
    Other,
}

impl Members {
    fn get(&self, name: Name) -> Option<&Member> {
        self.0.get(&name)
    }

    fn text(&self, name: Name) -> Option<&str> {
        match self.get(name) {
            Some(Member::Text(text)) => Some(text.as_str()),
            _ => None,
        }
    }

    fn time(&self, name: Name) -> Time {
        match self.get(name) {
            None | Some(Member::Number(0.0)) => Time::None,
            Some(Member::Number(seconds)) => Time::At(seconds.floor()),
            Some(_) => Time::Other,
        }
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Member, D::Error> {
        deserializer.deserialize_any(MemberVisitor)
    }
}

struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Member;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Member, E> {
        Ok(Member::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Member, E> {
        Ok(Member::Number(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Member, E> {
        Ok(Member::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Member, E> {
        Ok(Member::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Member, E> {
        Ok(Member::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Member, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member, A::Error> {
        let mut members = BTreeMap::new();
        while let Some(name) = map.next_key()? {
            if name == Name::Other {
                map.next_value::<IgnoredAny>()?;
            } else {
                members.insert(name, map.next_value()?);
            }
        }
        Ok(Member::Object(Members(members)))
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
