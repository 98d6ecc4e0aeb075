//! Tokens as Argo CD's session manager reads them, as far as a token tells by itself.
//!
//! Source: Argo CD `util/session/sessionmanager.go` and `util/jwt`, with golang-jwt v5; checked against
//! its own verdicts on the tokens in `tests/fixtures`. Signature, account and revocation need Argo CD's
//! Secret: they are looked at in [`verification`](super::verification).

use std::collections::BTreeMap;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::claims::{Claims, Members, Name};
use super::json;
use super::token_defect::{Segment, TokenDefect};

/// Go's `base64.RawURLEncoding`: no padding, and the bits left over in the last character do not matter.
const RAW_URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

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
