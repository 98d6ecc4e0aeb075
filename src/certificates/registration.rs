//! The ValidatingWebhookConfiguration by which the API server calls keyguard: by which name, and trusting whom.

use std::collections::HashSet;

use hyper::Uri;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingWebhook, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use rustls::pki_types::ServerName;
use serde_json::json;
use zeroize::Zeroizing;

use crate::certificates::kept::Authority;
use crate::certificates::trust::{self, VerifyError};
use crate::tls::serving_certificate::Pair;

/// A webhook configuration as it is stored.
#[derive(Debug)]
pub struct Registration {
    version: String,
    webhooks: Vec<ValidatingWebhook>,
}

impl Registration {
    /// Reads a webhook configuration; nothing when it is none.
    pub(super) fn parse(json: &[u8]) -> Option<Registration> {
        let configuration: ValidatingWebhookConfiguration = serde_json::from_slice(json).ok()?;
        Some(Registration {
            version: configuration.metadata.resource_version?,
            webhooks: configuration.webhooks.unwrap_or_default(),
        })
    }

    /// The names that a certificate must be for, each once.
    pub fn names(&self) -> Vec<ServerName<'static>> {
        let names = self.webhooks.iter();
        let names = names.filter_map(|webhook| called_by(&webhook.client_config));
        names.collect::<HashSet<_>>().into_iter().collect()
    }

    /// The CA certificates that each webhook's calls are verified with.
    pub fn bundles(&self) -> Vec<Vec<Authority>> {
        self.webhooks.iter().map(bundle).collect()
    }

    /// A strategic merge patch that puts `bundle` into each webhook, which the API server refuses unless the configuration
    /// is still the one that was read.
    pub(super) fn patch(&self, bundle: &[Authority]) -> Zeroizing<Vec<u8>> {
        let pem = bundle.iter().map(|authority| trust::pem(&authority.der));
        let bundle = ByteString(pem.collect::<String>().into_bytes());
        let webhooks = self
            .webhooks
            .iter()
            .map(|webhook| json!({"name": webhook.name, "clientConfig": {"caBundle": bundle}}));
        let patch = json!({
            "metadata": {"resourceVersion": self.version},
            "webhooks": webhooks.collect::<Vec<_>>(),
        });
        patch.to_string().into_bytes().into()
    }
}

/// Whether every webhook of the configuration called `name` verifies what is presented, at `now` in Unix seconds.
///
/// # Errors
/// The first webhook that does not, and why: a line of `/readyz`.
pub(super) fn verify(
    found: Option<&Registration>,
    name: &str,
    presented: Option<&Pair>,
    now: i64,
) -> Result<(), String> {
    let chain = presented.map_or(&[][..], Pair::chain);
    let Some(Registration { webhooks, .. }) = found else {
        return Err(line(&format!(
            "{name:?} does not exist; apply what keyguard webhook-config prints, or mend --webhook-configuration"
        )));
    };
    if webhooks.is_empty() {
        return Err(line(&format!(
            "{name:?} has no webhooks; print it again with keyguard webhook-config, and apply it"
        )));
    }
    for webhook in webhooks {
        let verified = match called_by(&webhook.client_config) {
            Some(name) => trust::verify(chain, &bundle(webhook), &name, now),
            None => Err(VerifyError::OtherName),
        };
        verified.map_err(|error| {
            let subject = match error {
                VerifyError::OtherName => "",
                _ => "the caBundle of ",
            };
            line(&format!("{name:?}: {subject}{:?} {error}", webhook.name))
        })?;
    }
    Ok(())
}

/// A line of `/readyz`.
pub(super) fn line(why: &str) -> String {
    format!("webhook configuration: {why}")
}

fn bundle(webhook: &ValidatingWebhook) -> Vec<Authority> {
    let bundle = webhook.client_config.ca_bundle.as_ref();
    bundle.map_or_else(Vec::new, |bundle| trust::authorities(&bundle.0))
}

/// The name in the handshake: that of the Service, or the host of the URL.
fn called_by(target: &WebhookClientConfig) -> Option<ServerName<'static>> {
    let host = match (&target.service, &target.url) {
        (Some(service), _) => format!("{}.{}.svc", service.name, service.namespace),
        (None, url) => {
            let uri: Uri = url.as_deref()?.parse().ok()?;
            uri.host()?.trim_matches(['[', ']']).to_owned()
        }
    };
    ServerName::try_from(host).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::authority::example::{DAY, NOW, server_names, signer};
    use crate::tls::life::Life;
    use serde_json::Value;

    fn configuration(bundles: [Option<&str>; 2]) -> Value {
        let service = json!({"namespace": "keyguard", "name": "webhook"});
        let webhook = |name: &str, bundle: Option<&str>| {
            json!({
                "name": name,
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "clientConfig": {
                    "service": service,
                    "caBundle": bundle.map(|bundle| ByteString(bundle.as_bytes().to_vec())),
                },
            })
        };
        json!({
            "metadata": {"name": "keyguard", "resourceVersion": "7"},
            "webhooks": [webhook("one", bundles[0]), webhook("two", bundles[1])],
        })
    }

    fn parse(object: &Value) -> Registration {
        Registration::parse(object.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn it_tells_by_which_name_keyguard_is_called() {
        let target = |service: Option<(&str, &str)>, url: Option<&str>| {
            let service =
                service.map(|(namespace, name)| json!({"namespace": namespace, "name": name}));
            serde_json::from_value(json!({"service": service, "url": url})).unwrap()
        };
        let table = [
            (target(Some(("a", "b")), None), Some("b.a.svc")),
            (
                target(None, Some("https://127.0.0.1:8443/validate")),
                Some("127.0.0.1"),
            ),
            (
                target(None, Some("https://[::1]:8443/validate")),
                Some("::1"),
            ),
            (
                target(None, Some("https://keyguard.example/")),
                Some("keyguard.example"),
            ),
            (target(None, None), None),
            (target(None, Some("")), None),
        ];
        for (target, expected) in table {
            let name = called_by(&target);
            let name = name.as_ref().map(ServerName::to_str);
            assert_eq!(name.as_deref(), expected, "{target:?}");
        }
        let registration = parse(&configuration([None, None]));
        assert_eq!(registration.names().len(), 1, "both have the same name");
    }

    #[test]
    fn every_webhook_must_verify_what_is_presented() {
        let (signer, other) = (signer(), signer());
        let (ours, others) = (signer.certificate_pem(), other.certificate_pem());
        let issue = |name: &str| {
            signer
                .issue(&server_names(&[name]), Life::issued(NOW, DAY))
                .unwrap()
        };
        let (good, misnamed) = (
            issue("webhook.keyguard.svc"),
            issue("keyguard.keyguard.svc"),
        );
        let both = format!("{others}{ours}");
        let other_ca = "does not verify the certificate that is presented: another CA signed that";
        let table = [
            (&good, [Some(&*ours), Some(&*both)], Ok(())),
            (
                &good,
                [Some(&*ours), Some(&*others)],
                Err(format!(r#"webhook configuration: "keyguard": the caBundle of "two" {other_ca}"#)),
            ),
            (
                &good,
                [None, Some(&*ours)],
                Err(r#"webhook configuration: "keyguard": the caBundle of "one" holds no CA certificate that is valid now"#.to_owned()),
            ),
            (
                &misnamed,
                [Some(&*ours), Some(&*ours)],
                Err(r#"webhook configuration: "keyguard": "one" is called by a name that the certificate presented is not for"#.to_owned()),
            ),
        ];
        for (issued, bundles, expected) in table {
            let registration = parse(&configuration(bundles));
            let verified = verify(Some(&registration), "keyguard", Some(issued.pair()), NOW);
            assert_eq!(verified, expected);
        }
        let empty = parse(&json!({"metadata": {"name": "keyguard", "resourceVersion": "7"}}));
        for (found, expected) in [(Some(&empty), "has no webhooks"), (None, "does not exist")] {
            let error = verify(found, "keyguard", Some(good.pair()), NOW).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_patch_says_what_it_replaces_and_touches_no_more_than_each_bundle() {
        let signer = signer();
        let registration = parse(&configuration([None, Some("words")]));
        let patch: Value =
            serde_json::from_slice(&registration.patch(&[signer.certificate()])).unwrap();
        let pem = ByteString(signer.certificate_pem().into_bytes());
        assert_eq!(
            patch,
            json!({
                "metadata": {"resourceVersion": "7"},
                "webhooks": [
                    {"name": "one", "clientConfig": {"caBundle": pem}},
                    {"name": "two", "clientConfig": {"caBundle": pem}},
                ],
            })
        );
    }
}
