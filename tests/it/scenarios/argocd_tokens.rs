//! Argo CD's own verdicts on 71 tokens, against the server's.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use super::guard::Guard;
use super::objects::{deployment, secret, token_by_name};

const VECTORS: &str = include_str!("../../fixtures/argocd-tokens.json");

#[derive(Deserialize)]
struct Vector {
    name: String,
    value_base64: String,
    /// The clock of the verdict, in Unix seconds.
    now: i64,
    /// `accepted`, or Argo CD's reason.
    argo_cd: String,
    has_exp: bool,
}

impl Vector {
    /// Whether the token itself shows that a Runtime cannot use it. A reason
    /// that only Argo CD's own Secret and accounts tell does not show.
    fn shows_its_defect(&self) -> bool {
        const ELSEWHERE: [&str; 6] = [
            "token signature is invalid",
            "account ",
            "accounts: ",
            "account password has changed",
            "does not exist",
            "does not have",
        ];
        let accepted = self.argo_cd == "accepted";
        let elsewhere = ELSEWHERE
            .iter()
            .any(|reason| self.argo_cd.starts_with(reason));
        match self.name.as_str() {
            // No expiry at all.
            "exp zero" => false,
            // HS384 never gives a signature of 32 bytes.
            "header says HS384 signed HS256" => true,
            // The subject is what is missing, not the account.
            "sub missing" => true,
            // Argo CD accepts these, and a Runtime cannot use them.
            "sub login session" | "trailing newline" | "trailing CRLF" => true,
            _ => (!accepted && !elsewhere) || self.has_exp,
        }
    }

    /// The value of its Secret. The server has the machine's clock, so that
    /// the times in a token move from the verdict's clock to that one.
    fn value(&self) -> Vec<u8> {
        let value = STANDARD.decode(&self.value_base64).expect("base64");
        let moved = String::from_utf8(value.clone()).ok().and_then(|text| {
            let mut segments: Vec<_> = text.split('.').map(str::to_owned).collect();
            let claims = URL_SAFE_NO_PAD.decode(segments.get(1)?).ok()?;
            let mut claims: Value = serde_json::from_slice(&claims).ok()?;
            let shift = now() - self.now;
            for name in ["exp", "nbf", "iat"] {
                let seconds = claims.get(name).and_then(Value::as_i64);
                if let Some(seconds) = seconds.filter(|seconds| *seconds != 0) {
                    claims[name] = (seconds + shift).into();
                }
            }
            segments[1] = URL_SAFE_NO_PAD.encode(claims.to_string());
            Some(segments.join(".").into_bytes())
        });
        moved.unwrap_or(value)
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since.expect("after 1970").as_secs();
    i64::try_from(seconds).expect("before the end of time")
}

#[test]
fn a_deployment_is_refused_exactly_when_its_token_shows_why() {
    let vectors: Vec<Vector> = serde_json::from_str(VECTORS).expect("vectors");
    let scene = Guard::shared().scene("argocd-tokens");
    let name = |index: usize| format!("token-{index}");
    let indexed = || vectors.iter().enumerate();
    let secrets = indexed().map(|(index, vector)| secret(&name(index), "key", vector.value()));
    let secrets: Vec<_> = secrets.collect();
    scene.create(&secrets).expect_silence();
    let deployments =
        indexed().map(|(index, _)| deployment(&name(index), token_by_name(&name(index), "key")));
    let deployments: Vec<_> = deployments.collect();
    let answers = scene.create(&deployments);
    let mut refused = 0;
    for (vector, object) in vectors.iter().zip(&deployments) {
        let refusal = answers.refusal(object, &scene.namespace);
        assert_eq!(
            !refusal.is_empty(),
            vector.shows_its_defect(),
            "{}: Argo CD says {}: {refusal}",
            vector.name,
            vector.argo_cd
        );
        refused += usize::from(!refusal.is_empty());
    }
    assert_eq!((vectors.len(), refused), (71, 31));
    assert_eq!(answers.warnings(""), [] as [&str; 0]);
}
