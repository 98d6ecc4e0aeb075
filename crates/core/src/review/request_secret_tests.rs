use super::tests::{config_map_review, decode, with};
use super::*;
use crate::runtime::secret_bytes::SecretData;
use serde_json::{Value, json};

#[test]
fn a_secret_is_decoded_whole_and_nothing_of_it_is_in_the_case() {
    let mut request = with(config_map_review(), "/kind/kind", json!("Secret"));
    request["object"]["data"] = json!({"token": "c3VwM3JzM2NyZXQ=", "accounts.bob.password": null});
    request["oldObject"]["data"] = json!({"accounts.bob.password": "c3VwM3JzM2NyZXQ="});
    let decoded = decode(request.clone()).unwrap();
    assert_eq!(decoded.webhook, Webhook::Secrets);
    let Subject::Secret { name } = &decoded.case.subject else {
        panic!("{:?}", decoded.case.subject)
    };
    assert_eq!(*name, "argocd-cm");
    let SecretChange { old, new } = &decoded.secret;
    let length = |data: &Option<SecretData>, key| Some(data.as_ref()?.get(key)?.expose().len());
    assert_eq!(length(old, "accounts.bob.password"), Some(11));
    assert_eq!(length(new, "accounts.bob.password"), Some(0));
    assert_eq!(length(new, "token"), Some(11));
    let told = format!("{decoded:?}");
    for piece in ["sup3rs3c", "c3VwM3Jz"] {
        assert!(!told.contains(piece), "{told}");
    }
    request["object"]["data"] = json!({"token": "sup3rs3cret%"});
    let error = decode(request.clone()).unwrap_err();
    assert!(!error.to_string().contains("sup3rs3c"), "{error}");
    request["operation"] = json!("DELETE");
    request["object"] = Value::Null;
    assert!(decode(request).unwrap().secret.new.is_none());
}

#[test]
fn argo_cds_own_secret_is_told_from_any_other_by_its_name() {
    let secret = |name: &str| {
        let mut request = with(config_map_review(), "/kind/kind", json!("Secret"));
        for state in ["object", "oldObject"] {
            request[state] =
                json!({"metadata": {"name": name}, "data": {"token": "c3VwM3JzM2NyZXQ="}});
        }
        decode(request).unwrap()
    };
    let own = secret("argocd-secret");
    assert_eq!(
        (own.webhook, own.case.subject),
        (
            Webhook::ArgocdSecret,
            Subject::ArgocdSecret { hidden: false }
        )
    );
    assert!(own.secret.old.is_some() && own.secret.new.is_some());
    let other = secret("argocd-secrets");
    assert_eq!(other.webhook, Webhook::Secrets);
}
