//! Tokens in Secrets: what Argo CD could accept, and each defect by its rule
//! and its name.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};

use super::objects::{token_by_name, token_from};
use super::tokens::Token;
use super::values::{Row, judges};

fn seconds_from_now(seconds: i64) -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = since.as_ref().map(Duration::as_secs).expect("after 1970");
    i64::try_from(now).expect("before the end of time") + seconds
}

fn token_rows() -> Vec<Row> {
    const MALFORMED: &[&str] = &["credentials/not-an-api-key"];
    const ALGORITHM: &[&str] = &["credentials/not-an-api-key"];
    const ISSUER: &[&str] = &["credentials/not-an-api-key"];
    const CLAIMS: &[&str] = &["credentials/not-an-api-key"];
    const EXPIRES: &[&str] = &["credentials/token-expires"];
    const SESSION: &[&str] = &["credentials/not-an-api-key"];
    const PROJECT: &[&str] = &["credentials/not-an-api-key"];
    const EARLY: &[&str] = &["credentials/token-not-yet-valid"];
    let good = || Token::api_key("admin");
    let claim = |name: &str, value: Value| good().claim(name, value).text().into_bytes();
    let [header, claims, signature] = good().segments();
    let joined = |segments: &[&str]| segments.join(".").into_bytes();
    let broken = STANDARD_NO_PAD.encode("{\"iss\":");
    vec![
        ("good", good().text().into_bytes(), &[], ""),
        ("no-expiry", claim("exp", json!(0)), &[], ""),
        (
            "two",
            joined(&[&header, &claims]),
            MALFORMED,
            "2 dot-separated",
        ),
        (
            "four",
            joined(&[&header, &claims, &signature, ""]),
            MALFORMED,
            "4 dot-separated",
        ),
        (
            "padded",
            joined(&[&header, &claims, &format!("{signature}=")]),
            MALFORMED,
            "signature that is not base64url",
        ),
        (
            "alphabet",
            joined(&[&header, "a+/b", &signature]),
            MALFORMED,
            "payload that is not base64url",
        ),
        (
            "json",
            joined(&[&header, &broken, &signature]),
            MALFORMED,
            "payload that is not a JSON object",
        ),
        (
            "rs256",
            good().algorithm("RS256").text().into(),
            ALGORITHM,
            "(alg)",
        ),
        (
            "hs256",
            good().algorithm("hs256").text().into(),
            ALGORITHM,
            "(alg)",
        ),
        (
            "none",
            good().algorithm("none").text().into(),
            ALGORITHM,
            "(alg)",
        ),
        (
            "issuer",
            claim("iss", json!("https://dex.example.com")),
            ISSUER,
            "(iss)",
        ),
        ("no-issuer", claim("iss", Value::Null), ISSUER, "(iss)"),
        ("no-subject", claim("sub", Value::Null), CLAIMS, "(sub)"),
        ("no-issued-at", claim("iat", Value::Null), CLAIMS, "(iat)"),
        (
            "issued-at",
            claim("iat", json!("yesterday")),
            CLAIMS,
            "(iat)",
        ),
        ("no-id", claim("jti", Value::Null), CLAIMS, "(jti)"),
        ("id", claim("jti", json!(7)), CLAIMS, "(jti)"),
        ("expiry", claim("exp", json!("never")), CLAIMS, "(exp)"),
        (
            "project",
            claim("sub", json!("proj:team:deployer")),
            PROJECT,
            "project role",
        ),
        (
            "early",
            claim("nbf", json!(seconds_from_now(3600))),
            EARLY,
            "(nbf)",
        ),
        (
            "session",
            claim("sub", json!("admin:login")),
            SESSION,
            "login session",
        ),
        (
            "expired",
            claim("exp", json!(seconds_from_now(-3600))),
            EXPIRES,
            "has expired",
        ),
        (
            "expires",
            claim("exp", json!(seconds_from_now(3600))),
            EXPIRES,
            "expires (exp)",
        ),
    ]
}

#[test]
fn a_token_that_argo_cd_could_never_accept_is_refused_by_its_defect() {
    judges(
        "tokens",
        &token_rows(),
        &[
            |name| vec![token_from(name, "key")],
            |name| token_by_name(name, "key"),
        ],
    );
}
