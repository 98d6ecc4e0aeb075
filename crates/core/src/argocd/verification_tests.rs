use super::*;
use crate::argocd::token::inspect;
use crate::argocd::token_defect::TokenDefect;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What Argo CD decided on a token, and all that it knew.
#[derive(Deserialize)]
struct Vector {
    name: String,
    value_base64: String,
    argocd_cm: BTreeMap<String, String>,
    argocd_secret_base64: BTreeMap<String, String>,
    now: f64,
    argo_cd: String,
    has_exp: bool,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!(
        "../../../../tests/fixtures/argocd-tokens.json"
    ))
    .unwrap()
}

impl Vector {
    fn token(&self) -> String {
        String::from_utf8(STANDARD.decode(&self.value_base64).unwrap()).unwrap()
    }

    fn rejections(&self) -> Vec<Rejection> {
        let secret: Vec<(&str, Vec<u8>)> = self
            .argocd_secret_base64
            .iter()
            .map(|(key, value)| (key.as_str(), STANDARD.decode(value).unwrap()))
            .collect();
        let entries = secret.iter().map(|(key, value)| (*key, value.as_slice()));
        State::read(entries, Some(texts(&self.argocd_cm))).verify(&self.token())
    }

    /// The rejection that Argo CD's reason stands for, if its own state is what gives it.
    fn expected(&self) -> Option<fn(&Rejection) -> bool> {
        use Rejection as R;
        let reason = self.argo_cd.as_str();
        Some(if reason.starts_with("token signature is invalid") {
            |rejection| matches!(rejection, R::Signature(_))
        } else if reason.starts_with("accounts: ") {
            |rejection| matches!(rejection, R::Accounts(_))
        } else if reason.ends_with("does not exist") {
            |rejection| matches!(rejection, R::AccountMissing(_))
        } else if reason.ends_with("is disabled") {
            |rejection| matches!(rejection, R::AccountDisabled(..))
        } else if reason.ends_with(" capability") {
            |rejection| matches!(rejection, R::Capability(..))
        } else if reason.contains("does not have token with id") {
            |rejection| matches!(rejection, R::Revoked(_))
        } else if reason == "account password has changed since token issued" {
            |rejection| matches!(rejection, R::PasswordChanged(_))
        } else {
            return None;
        })
    }
}

fn texts(map: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    map.iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
}

#[test]
fn each_verdict_of_argo_cd_on_71_tokens_is_ours_and_for_its_reason() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 71);
    for vector in vectors {
        let rejections = vector.rejections();
        let Vector { name, argo_cd, .. } = &vector;
        match vector.expected() {
            Some(expected) => {
                assert!(
                    rejections.iter().any(expected),
                    "{name}: {argo_cd}: {rejections:?}"
                );
            }
            // A reason that the token shows itself, or none.
            None => assert_eq!(rejections, [], "{name}: {argo_cd}"),
        }
        let mut defects = inspect(&vector.token(), vector.now);
        // What a Runtime cannot use, and Argo CD accepts.
        let refused = |defects: &[TokenDefect]| !defects.is_empty() || !rejections.is_empty();
        let useless = vector.has_exp && name != "exp zero"
            || name == "sub login session"
            || ["trailing newline", "trailing CRLF"].contains(&name.as_str());
        assert_eq!(
            refused(&defects),
            argo_cd != "accepted" || useless,
            "{name}: {argo_cd}"
        );
        defects.retain(|defect| {
            !matches!(
                defect,
                TokenDefect::LineBreak | TokenDefect::LoginSession | TokenDefect::Expires
            )
        });
        assert_eq!(
            refused(&defects),
            argo_cd != "accepted",
            "{name}: {argo_cd}: {defects:?}"
        );
    }
}
