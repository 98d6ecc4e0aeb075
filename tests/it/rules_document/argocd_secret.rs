//! Situations in which Argo CD's own Secret is changed while a workload uses a token of the account ci.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyguard_core::policy::argocd_secret::{ArgocdSecretUse, Lost};
use keyguard_core::policy::argocd_secret_change::{Change, lost};
use keyguard_core::policy::facts::Verification;
use keyguard_core::policy::in_use::InUse;
use keyguard_core::policy::users::{Need, Users};
use keyguard_core::review::request::Request;
use keyguard_core::runtime::secret_bytes::SecretBytes;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::examples::{NOW, Situation, review, users};
use super::verified;

/// A value is put into the Secret.
pub(super) fn with(key: &'static str, value: &'static str) -> Situation {
    situation("UPDATE", &object(&verified::state().with(key, value)))
}

/// The Secret goes.
pub(super) fn deletion() -> Situation {
    situation("DELETE", &Value::Null)
}

fn situation(operation: &str, new: &Value) -> Situation {
    let kind = json!({"group": "", "version": "v1", "kind": "Secret"});
    let old = object(&verified::state());
    Situation {
        review: review(operation, &kind, old, new.clone()),
        known: users(None),
        verification: Verification::NotAsked,
    }
}

fn object(argocd: &verified::Argocd) -> Value {
    let data = argocd.secret().iter();
    let data: BTreeMap<_, _> = data
        .map(|(key, value)| (*key, STANDARD.encode(value)))
        .collect();
    json!({"metadata": {"name": "argocd-secret", "namespace": "argocd"}, "data": data})
}

/// Everything that was looked up when these workloads use the token.
pub(super) fn found(request: &Request, users: Users) -> InUse {
    let change = Change::of(
        request.secret.old.as_ref().unwrap(),
        request.secret.new.as_ref(),
    );
    assert!(change.may_revoke());
    let accounts = [("accounts.ci".to_owned(), "apiKey, login".to_owned())].into();
    let token = SecretBytes::new(Zeroizing::new(verified::token().into_bytes()));
    let (rejections, doomed) = lost(&token, &change.states(Some(&accounts), NOW), NOW).unwrap();
    let users_of = users.found.into_iter();
    InUse::ArgocdSecret(ArgocdSecretUse {
        lost: vec![Lost {
            rejections,
            doomed,
            users: users_of.map(|user| (user, Need::Certain)).collect(),
        }],
        unlisted: users.unlisted.into_iter().collect(),
        ..ArgocdSecretUse::default()
    })
}
