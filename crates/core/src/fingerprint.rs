//! By what two attempts at the same change are known to be the same, without saying what.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::policy::verdict::Verdict;
use crate::review::request::Request;

/// How many bytes of the hash are shown: enough that no two of a store are the same by chance.
const SHOWN: usize = 12;

/// The key of fingerprints: who has it not cannot guess what a fingerprint is of. `Debug` says nothing.
pub struct FingerprintKey(Zeroizing<Vec<u8>>);

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FingerprintKey(<redacted>)")
    }
}

impl FingerprintKey {
    /// A key that is made of a secret; the secret is used for nothing else by way of it.
    pub fn derived_from(secret: &[u8]) -> FingerprintKey {
        let digest = mac(secret, |mac| {
            mac.update(b"keyguard: fingerprints of attempts")
        });
        FingerprintKey(digest)
    }

    /// The fingerprint of an attempt: of the object, the operation, the rules that found something, and what would change.
    /// Who asks, and when, is no part of it.
    pub fn fingerprint(&self, request: &Request, verdict: &Verdict) -> String {
        let case = &request.case;
        let digest = mac(&self.0, |mac| {
            let mut part = |text: &str| {
                mac.update(&text.len().to_be_bytes());
                mac.update(text.as_bytes());
            };
            part(&request.api_version);
            part(&request.kind);
            part(&case.namespace);
            part(&request.name);
            part(case.operation.name());
            for rule in verdict.rules() {
                part(rule.id());
            }
            // Names only, in the order of the object: a value of a Secret is no part of a case.
            part(&format!("{:?}", case.subject));
        });
        let shown = digest.iter().take(SHOWN);
        shown.map(|byte| format!("{byte:02x}")).collect()
    }
}

fn mac(key: &[u8], add: impl FnOnce(&mut Hmac<Sha256>)) -> Zeroizing<Vec<u8>> {
    // A key of any length is one.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Zeroizing::default();
    };
    add(&mut mac);
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::rules::Modes;

    #[test]
    fn the_same_attempt_of_any_user_has_the_same_fingerprint_and_any_other_has_another() {
        let key = FingerprintKey::derived_from(b"one");
        let print = |key: &FingerprintKey, uid: &str, user: &str, name: &str, accounts: &str| {
            let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
                "uid": uid, "operation": "UPDATE", "name": name, "namespace": "argocd",
                "kind": {"group": "", "version": "v1", "kind": "ConfigMap"}, "userInfo": {"username": user},
                "object": {"metadata": {"name": name}, "data": {"accounts.admin": accounts}},
                "oldObject": {"metadata": {"name": name}, "data": {"accounts.admin": "apiKey, login"}},
            }});
            let request = Request::decode(review.to_string().as_bytes(), 64).unwrap();
            key.fingerprint(&request, &Verdict::of(Vec::new(), &Modes::default()))
        };
        let first = print(&key, "1", "alice", "argocd-cm", "login");
        assert_eq!(first.len(), 24);
        assert_eq!(print(&key, "2", "bob", "argocd-cm", "login"), first);
        let other = FingerprintKey::derived_from(b"two");
        for different in [
            print(&key, "1", "alice", "argocd-cm", "apiKey"),
            print(&key, "1", "alice", "other", "login"),
            print(&other, "1", "alice", "argocd-cm", "login"),
        ] {
            assert_ne!(different, first);
        }
        assert_eq!(format!("{key:?}"), "FingerprintKey(<redacted>)");
    }
}
