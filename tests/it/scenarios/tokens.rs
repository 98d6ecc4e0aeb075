//! Tokens as Argo CD issues them, each with a signature that nobody made unless a key is told.

use std::fs::File;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

/// A token that starts as an API key that does not expire.
#[derive(Clone)]
pub(crate) struct Token {
    header: Value,
    claims: Value,
    signature: Vec<u8>,
}

impl Token {
    pub(crate) fn api_key(account: &str) -> Self {
        let id = URL_SAFE_NO_PAD.encode(random(16));
        Self {
            header: json!({"alg": "HS256", "typ": "JWT"}),
            claims: json!({
                "iss": "argocd",
                "sub": format!("{account}:apiKey"),
                "nbf": 1_700_000_000,
                "iat": 1_700_000_000,
                "jti": id,
            }),
            signature: random(32),
        }
    }

    /// With a claim set, or left out when it is null.
    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims = super::objects::merged(&self.claims, &json!({name: value.into()}));
        self
    }

    /// With another algorithm in its header, and the signature as it was.
    pub(crate) fn algorithm(mut self, name: &str) -> Self {
        self.header["alg"] = name.into();
        self
    }

    /// With the signature of this key.
    pub(crate) fn signed(mut self, key: &[u8]) -> Self {
        let [header, claims, _] = self.segments();
        self.signature = hs256(key, &format!("{header}.{claims}"));
        self
    }

    /// Its id.
    pub(crate) fn id(&self) -> &str {
        self.claims["jti"].as_str().expect("it has an id")
    }

    pub(crate) fn segments(&self) -> [String; 3] {
        [
            self.header.to_string().into_bytes(),
            self.claims.to_string().into_bytes(),
            self.signature.clone(),
        ]
        .map(|part| URL_SAFE_NO_PAD.encode(part))
    }

    pub(crate) fn text(&self) -> String {
        self.segments().join(".")
    }
}

/// The signature of a key.
pub(crate) fn hs256(key: &[u8], signed: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    let mac = mac.chain_update(signed).finalize();
    mac.into_bytes().to_vec()
}

/// Text that no other test has, such as for a password.
pub(crate) fn random_text() -> String {
    URL_SAFE_NO_PAD.encode(random(18))
}

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .expect("read random bytes");
    bytes
}
