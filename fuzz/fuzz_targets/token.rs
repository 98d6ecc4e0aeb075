//! A token: as it came, and with the input as its claims under a signature that is right.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use keyguard_core::argocd::claims::{Capability, Subject};
use keyguard_core::argocd::token::{Token, inspect};
use keyguard_core::argocd::verification::State;
use libfuzzer_sys::fuzz_target;
use sha2::Sha256;

const KEY: &[u8] = b"the key of this fuzz target";
const NOW: f64 = 1_795_000_000.0;

fuzz_target!(|input: &[u8]| {
    if let Ok(token) = std::str::from_utf8(input) {
        look(token);
    }
    let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(input));
    let mac = Hmac::<Sha256>::new_from_slice(KEY).expect("a key of any length");
    let mac = mac.chain_update(&signed).finalize().into_bytes();
    look(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac)));
});

fn look(token: &str) {
    let secret: [(&str, &[u8]); 4] = [
        ("server.secretkey", KEY),
        ("admin.tokens", br#"[{"id":"one"}]"#),
        ("accounts.bob.tokens", br#"[{"id":"two"}]"#),
        ("accounts.bob.passwordMtime", b"2026-11-01T00:00:00Z"),
    ];
    let config_map = [("accounts.admin", "apiKey"), ("accounts.bob", "apiKey")];
    let state = State::read(secret, Some(config_map));
    let (defects, rejections) = (inspect(token, NOW), state.verify(token));
    for told in defects.iter().map(ToString::to_string) {
        assert!(!told.is_empty());
    }
    for told in rejections.iter().map(ToString::to_string) {
        assert!(!told.is_empty());
    }
    if !defects.is_empty() || !rejections.is_empty() {
        return;
    }
    // What nothing is said against is an API key that is listed.
    let token = Token::read(token).expect("three segments");
    let claims = token.claims().expect("claims");
    let Subject::Account(account, capability) = claims.subject() else {
        panic!("a project's role");
    };
    assert_eq!(capability, Capability::ApiKey);
    match account {
        "admin" => assert_eq!(claims.id(), "one"),
        "bob" => assert_eq!(claims.id(), "two"),
        _ => panic!("an account that does not exist"),
    }
    assert!(claims.issued_by_argocd());
    assert!(claims.issued_at().is_some());
}
