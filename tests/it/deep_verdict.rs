//! The verdict with Argo CD's own state, for any state, token, password and clock: never a panic, never let through what
//! the facts refuse, and nothing of a secret in what is told.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod argocd;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use keyguard_core::argocd::verification::State;
use keyguard_core::policy::decide::Policy;
use keyguard_core::policy::facts::{CredentialFact, Facts, ModeFact};
use keyguard_core::policy::facts::{Verification, Verified};
use keyguard_core::review::reply;
use keyguard_core::review::request::Request;
use keyguard_core::runtime::secret_bytes::SecretBytes;
use keyguard_core::runtime::value::examine;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

use argocd::{Argocd, argocd};

const ISSUED: i64 = 1_794_000_000;
const PASSWORD: &str = "KX7-QQ2 ZWV9 PJ40";
/// Of the password, at the lowest cost.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuAngRcXn5iAtPuYmfvz74.UKQ61G1byu";
/// A piece of every token, which somebody may have taken for a name.
const PIECE: &str = "eyJhbGciOiJIUzI1NiI";

/// A token, and what of it decides.
#[derive(Clone, Debug)]
struct Token {
    account: String,
    id: &'static str,
    key: String,
    change: Change,
}

/// What is not as in an API key.
#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    ExpiresAtZero,
    Expires,
    /// Within what a clock may be off.
    FromSoon,
    FromTheFuture,
    Login,
    OtherIssuer,
    NoId,
    Newline,
}

fn token(key: &str) -> impl Strategy<Value = Token> + use<> {
    use Change::{
        Expires, ExpiresAtZero, FromSoon, FromTheFuture, Login, Newline, NoId, Nothing, OtherIssuer,
    };
    let account = select(vec![
        "admin".to_owned(),
        "bob".to_owned(),
        "eve".to_owned(),
        key[3..15].to_owned(),
        PIECE.to_owned(),
    ]);
    let id = select(vec!["one", "one", "three"]);
    let key = select(vec![key.to_owned(), key.to_owned(), "another".to_owned()]);
    let change = select(vec![
        Nothing,
        Nothing,
        Nothing,
        Nothing,
        ExpiresAtZero,
        Expires,
        FromSoon,
        FromTheFuture,
        Login,
        OtherIssuer,
        NoId,
        Newline,
    ]);
    (account, id, key, change).prop_map(|(account, id, key, change)| Token {
        account,
        id,
        key,
        change,
    })
}

impl Token {
    fn text(&self, now: i64) -> String {
        let mut claims = json!({"iss": "argocd", "sub": format!("{}:apiKey", self.account), "iat": ISSUED, "jti": self.id});
        match self.change {
            Change::Nothing | Change::Newline => {}
            Change::ExpiresAtZero => claims["exp"] = 0.into(),
            Change::Expires => claims["exp"] = (now + 60).into(),
            Change::FromSoon => claims["nbf"] = (now + 60).into(),
            Change::FromTheFuture => claims["nbf"] = (now + 61).into(),
            Change::Login => claims["sub"] = format!("{}:login", self.account).into(),
            Change::OtherIssuer => claims["iss"] = "dex".into(),
            Change::NoId => claims["jti"] = Value::Null,
        }
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!(
            "{}.{}",
            part(&json!({"alg": "HS256", "typ": "JWT"})),
            part(&claims)
        );
        let mac = Hmac::<Sha256>::new_from_slice(self.key.as_bytes()).expect("a key of any length");
        let mac = mac.chain_update(&signed).finalize().into_bytes();
        let newline = if matches!(self.change, Change::Newline) {
            "\n"
        } else {
            ""
        };
        format!("{signed}.{}{newline}", URL_SAFE_NO_PAD.encode(mac))
    }

    /// What Argo CD and the Runtime's needs come to.
    fn is_good(&self, argocd: &Argocd) -> bool {
        let account = self.account.as_str();
        let listed = argocd.entry(account, "tokens").is_some_and(|list| {
            let list: Vec<Value> = serde_json::from_str(list).unwrap_or_default();
            list.iter().any(|entry| entry["id"] == self.id)
        });
        let newer = argocd
            .entry(account, "passwordMtime")
            .is_some_and(|time| time.starts_with("2026-11-30"));
        matches!(
            self.change,
            Change::Nothing | Change::ExpiresAtZero | Change::FromSoon
        ) && argocd.secret.get("server.secretkey") == Some(&self.key)
            && argocd.is_readable()
            && argocd.may(account, "apiKey")
            && listed
            && !newer
    }
}

/// The answer to a Deployment with this environment, whose Secret has this value.
fn answer(
    env: &Value,
    value: &[u8],
    now: i64,
    verified: impl Fn(&State<'_>) -> Verified,
    argocd: &Argocd,
) -> (bool, String) {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "name": "d", "namespace": "gitops", "operation": "CREATE",
            "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
            "userInfo": {"username": "alice"},
            "object": {"metadata": {"name": "d"}, "spec": {"template": {"spec": {"containers": [{"env": env}]}}}},
        },
    });
    let request = Request::decode(review.to_string().as_bytes(), 128).expect("a review");
    let policy = Policy {
        argocd_namespace: Some("argocd".to_owned()),
        ..Policy::default()
    };
    let lookups = policy.plan(&request.case).expect("something to look up");
    let value = SecretBytes::new(Zeroizing::new(value.to_vec()));
    let credentials = lookups.verified.iter().map(|(credential, _)| {
        (
            credential.clone(),
            CredentialFact::Value(examine(credential.2, &value, now as f64)),
        )
    });
    let state = argocd.state();
    let known = lookups
        .verified
        .iter()
        .map(|key| (key.clone(), verified(&state)));
    let facts = Facts {
        credentials: credentials.collect(),
        mode: ModeFact::Missing,
        verification: Verification::Known(known.collect()),
        initial_password_spent: false,
    };
    let verdict = policy.decide(&request.case, Some(&facts));
    let reply = reply::encode(&request, &verdict, "record");
    (verdict.allowed(), String::from_utf8(reply).expect("text"))
}

/// Eight characters in a row of a secret, if any are told.
fn leak<'a>(secret: &'a str, told: &str) -> Option<&'a str> {
    (0..secret.len().saturating_sub(7))
        .filter_map(|at| secret.get(at..at + 8))
        .find(|run| told.contains(run))
}

fn from_secret(variable: &str) -> Value {
    json!({"name": variable, "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}})
}

const KEY: &str = "Q8W-KK31-ZZTOP-77HX-L0M9";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_token_is_let_through_exactly_when_all_facts_are_for_it(argocd in argocd(KEY), token in token(KEY), now in 1_795_000_000_i64..1_900_000_000) {
        let text = token.text(now);
        let env = json!([from_secret("ARGO_CD_TOKEN")]);
        let verified = |state: &State<'_>| Verified::Judged(state.verify(&text));
        let (allowed, told) = answer(&env, text.as_bytes(), now, verified, &argocd);
        prop_assert_eq!(allowed, token.is_good(&argocd), "{}", told);
        let key = argocd.secret.get("server.secretkey").map_or("", String::as_str);
        for secret in [text.as_str(), key, HASH] {
            prop_assert_eq!(leak(secret, &told), None, "{}", told);
        }
    }

    #[test]
    fn any_change_of_a_good_token_is_refused_and_told_without_it(at in 0_usize..300, byte: u8, cut in proptest::option::of(0_usize..300)) {
        let good = Token { account: "admin".to_owned(), id: "one", key: KEY.to_owned(), change: Change::Nothing };
        let argocd = Argocd {
            secret: [("server.secretkey", KEY), ("admin.tokens", r#"[{"id":"one"}]"#)].map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            config_map: [("accounts.admin".to_owned(), "apiKey".to_owned())].into(),
        };
        let text = good.text(ISSUED);
        let mut bytes = text.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(cut.unwrap_or(bytes.len()));
        let changed = String::from_utf8(bytes.clone()).ok();
        let verified = |state: &State<'_>| Verified::Judged(changed.as_deref().map(|text| state.verify(text)).unwrap_or_default());
        let env = json!([from_secret("ARGO_CD_TOKEN")]);
        let (allowed, told) = answer(&env, &bytes, ISSUED, verified, &argocd);
        // Of the last character two bits do not count, as in Go.
        let same = bytes.len() == text.len() && bytes[..bytes.len() - 1] == text.as_bytes()[..text.len() - 1];
        prop_assert!(!allowed || same, "{}", told);
        prop_assert!(allowed || bytes != text.as_bytes(), "{}", told);
        for secret in [text.as_str(), KEY] {
            prop_assert_eq!(leak(secret, &told), None, "{}", told);
        }
    }
}

proptest! {
    // Each compares a password, slow by design.
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_password_is_let_through_exactly_when_its_account_may_log_in_and_make_an_api_key(
        argocd in argocd(KEY),
        user in select(vec!["admin", "bob", "eve", PIECE, &PASSWORD[..12]]),
        right in any::<bool>(),
    ) {
        let password = if right { PASSWORD.to_owned() } else { format!("{PASSWORD}x") };
        let env = json!([from_secret("ARGO_CD_PASSWORD"), {"name": "ARGO_CD_USERNAME", "value": user}]);
        let verified = |state: &State<'_>| {
            let matches = state.password_hash(user).map(|hash| hash.matches(password.as_bytes()));
            Verified::Judged(state.login(user, password.as_bytes(), matches))
        };
        let (allowed, told) = answer(&env, password.as_bytes(), ISSUED, verified, &argocd);
        let good = right
            && argocd.is_readable()
            && argocd.may(user, "login")
            && argocd.may(user, "apiKey")
            && argocd.entry(user, "password") == Some(HASH);
        prop_assert_eq!(allowed, good, "{}", told);
        let key = argocd.secret.get("server.secretkey").map_or("", String::as_str);
        for secret in [password.as_str(), key, HASH] {
            prop_assert_eq!(leak(secret, &told), None, "{}", told);
        }
    }
}

#[test]
fn the_hash_of_this_test_is_that_of_its_password() {
    let hash =
        keyguard_core::argocd::password::PasswordHash::read(HASH.as_bytes()).expect("a hash");
    assert!(hash.matches(PASSWORD.as_bytes()));
}
