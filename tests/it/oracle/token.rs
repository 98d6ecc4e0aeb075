//! Tokens made at random: most as Argo CD makes them, with one or two things that are not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use sha2::{Sha256, Sha384, Sha512};

use super::generate::{KEY, mostly};

/// When API keys were issued, in Unix seconds; the passwords of the states are changed before or after.
pub(super) const ISSUED: i64 = 1_780_000_000;
/// How far ahead `nbf` is where it is soon, in seconds.
const SOON: i64 = 30;

/// A token taken apart.
#[derive(Clone, Debug)]
pub(super) struct Token {
    header: Value,
    pub(super) claims: Map<String, Value>,
    key: &'static str,
    shape: Shape,
    now: i64,
}

/// What is done to a token after it was signed.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Whole,
    LineBreak,
    TrailingNewline,
    Space,
    Padding,
    TwoSegments,
    FourSegments,
    OtherSignature,
    Bearer,
}

pub(super) fn token(now: i64) -> impl Strategy<Value = Token> {
    use Shape::*;
    let header = mostly(
        json!({"alg": "HS256", "typ": "JWT"}),
        vec![
            json!({"alg": "HS384"}),
            json!({"alg": "HS512", "typ": 1}),
            json!({"alg": "none"}),
            json!({"alg": "RS256"}),
            json!({"alg": "hs256"}),
            json!({"ALG": "HS256"}),
            json!({"alg": 256}),
            json!({}),
            json!([]),
            Value::Null,
        ],
    );
    let usual = ["admin:apiKey", "bob:apiKey"].repeat(5);
    let others = [
        "admin",
        "bob",
        "bob:login",
        "admin:login",
        "eve:apiKey",
        ":apiKey",
        "",
        "bob:apikey",
        "bob:apiKey:x",
        "Bob:apiKey",
        "bob:login:x",
        "proj:x",
    ];
    let subjects = [usual, others.to_vec()].concat();
    let subject = prop_oneof![
        20 => select(subjects).prop_map(Value::from),
        1 => select(vec![Value::Null, json!(7), json!(["admin"])]),
    ];
    let issued = mostly(
        json!(ISSUED),
        vec![
            json!(ISSUED as f64 + 0.5),
            json!(now + 3_600),
            json!(0),
            json!(-1),
            json!(1e30),
            json!(-1e30),
            json!("1780000000"),
            Value::Null,
            json!(true),
        ],
    );
    let id = mostly(
        json!("one"),
        vec![
            json!("two"),
            json!("three"),
            json!(""),
            json!(1),
            Value::Null,
            json!("ONE"),
        ],
    );
    let times = |soon: i64| {
        vec![
            json!(0),
            json!(0.0),
            json!(1),
            json!(now - 3_600),
            json!(now as f64 + 3_600.5),
            json!(now + 3_600),
            json!(soon),
            json!(1e30),
            json!(-5),
            json!("soon"),
            Value::Null,
            json!({}),
            json!(false),
        ]
    };
    let federated = [
        json!({"user_id": "bob:apiKey"}),
        json!({"user_id": ""}),
        json!({"user_id": 1}),
        json!([]),
        Value::Null,
    ];
    let claims = (
        subject,
        proptest::option::weighted(0.97, issued),
        proptest::option::weighted(0.97, id),
        proptest::option::weighted(0.1, select(times(now + SOON))),
        proptest::option::weighted(0.15, select(times(now + 3_600))),
        proptest::option::weighted(0.04, select(federated.to_vec())),
    );
    let claims = claims.prop_map(|(subject, issued, id, not_before, expiry, federated)| {
        let members = [
            ("iss", Some(json!("argocd"))),
            ("sub", Some(subject)),
            ("iat", issued),
            ("jti", id),
            ("nbf", not_before),
            ("exp", expiry),
            ("federated_claims", federated),
        ];
        let members = members
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        members.collect()
    });
    let shape = mostly(
        Whole,
        vec![
            LineBreak,
            TrailingNewline,
            Space,
            Padding,
            TwoSegments,
            FourSegments,
            OtherSignature,
            Bearer,
        ],
    );
    let key = mostly(KEY, vec!["another", ""]);
    (header, claims, key, shape).prop_map(move |(header, claims, key, shape)| Token {
        header,
        claims,
        key,
        shape,
        now,
    })
}

impl Token {
    /// Whether it is valid soon, as far as clocks may differ.
    pub(super) fn is_valid_soon(&self) -> bool {
        self.claims.get("nbf") == Some(&json!(self.now + SOON))
    }

    /// The text that is sent.
    pub(super) fn text(&self) -> String {
        let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let claims = Value::Object(self.claims.clone()).to_string();
        let signed = format!("{}.{}", part(&self.header.to_string()), part(&claims));
        let mac = match self.header.get("alg").and_then(Value::as_str) {
            Some("HS384") => mac::<Hmac<Sha384>>(self.key, &signed),
            Some("HS512") => mac::<Hmac<Sha512>>(self.key, &signed),
            _ => mac::<Hmac<Sha256>>(self.key, &signed),
        };
        let signature = URL_SAFE_NO_PAD.encode(&mac);
        match self.shape {
            Shape::Whole => format!("{signed}.{signature}"),
            Shape::LineBreak => format!("{signed}.\n{signature}"),
            Shape::TrailingNewline => format!("{signed}.{signature}\n"),
            Shape::Space => format!("{signed}.{signature} "),
            Shape::Padding => format!("{signed}.{signature}="),
            Shape::TwoSegments => signed,
            Shape::FourSegments => format!("{signed}.{signature}.e30"),
            Shape::OtherSignature => format!("{signed}.{}", part("x").repeat(21)),
            Shape::Bearer => format!("Bearer {signed}.{signature}"),
        }
    }
}

fn mac<M: Mac + KeyInit>(key: &str, signed: &str) -> Vec<u8> {
    let mac = <M as KeyInit>::new_from_slice(key.as_bytes());
    let mac = mac.expect("a key of any length").chain_update(signed);
    mac.finalize().into_bytes().to_vec()
}
