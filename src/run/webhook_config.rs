//! `keyguard webhook-config`: the registration that the API server is given.

use hyper::Uri;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, RuleWithOperations, ServiceReference, ValidatingWebhook,
    ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, LabelSelectorRequirement, ObjectMeta,
};
use thiserror::Error;

use super::match_conditions;
use crate::cli;
use crate::config::{Config, ConfigError};
use crate::edge::ca_bundle::{self, CaBundleError};
use crate::edge::http::VALIDATE_PATH;
use crate::policy::plan::is_object_name;
use crate::runtime::workload::WorkloadKind;

/// The name of the ValidatingWebhookConfiguration.
pub const NAME: &str = "keyguard";
/// The namespace that keyguard is installed in, unless a Service says otherwise.
const OWN_NAMESPACE: &str = "keyguard";
/// Seconds that the API server waits for an answer.
const TIMEOUT_SECONDS: i32 = 5;

/// Why there is nothing to print.
#[derive(Debug, Error)]
pub enum WebhookConfigError {
    /// Not a URL that the API server would call.
    #[error(
        "--url {0} is not an https URL without query or fragment, such as https://127.0.0.1:8443"
    )]
    Url(String),
    /// Not a Service.
    #[error(
        "--service {0} is not NAMESPACE/NAME or NAMESPACE/NAME:PORT, such as keyguard/keyguard"
    )]
    Service(String),
    /// Not a namespace.
    #[error("--namespace {0:?} cannot be a namespace")]
    Namespace(String),
    /// No CA certificates.
    #[error(transparent)]
    CaBundle(#[from] CaBundleError),
    /// Bad settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It cannot be written as YAML.
    #[error("the webhook configuration cannot be written as YAML: {0}")]
    Yaml(String),
}

/// The YAML to apply.
///
/// # Errors
/// When the target, the CA bundle or the settings make no sense.
pub fn render(arguments: &cli::WebhookConfig) -> Result<String, WebhookConfigError> {
    let config = Config::load(arguments.config.as_deref())?;
    let (target, own_namespace) = target(&arguments.target)?;
    let ca_bundle = arguments.ca_bundle.as_deref().map(ca_bundle::read);
    let client_config = WebhookClientConfig {
        ca_bundle: ca_bundle.transpose()?.map(ByteString),
        ..target
    };
    let registered = Registered {
        client_config,
        failure_policy: match arguments.failure_policy {
            cli::FailurePolicy::Fail => "Fail",
            cli::FailurePolicy::Ignore => "Ignore",
        },
        namespaces: selector(
            &arguments.namespace,
            own_namespace,
            config.policy.exempt_namespaces,
        )?,
    };
    let configuration = configuration(&registered);
    let yaml = serde_saphyr::to_string(&configuration)
        .map_err(|error| WebhookConfigError::Yaml(error.to_string()))?;
    Ok(yaml)
}

/// What the webhooks have in common.
#[derive(Default)]
struct Registered {
    client_config: WebhookClientConfig,
    failure_policy: &'static str,
    namespaces: LabelSelector,
}

fn configuration(registered: &Registered) -> ValidatingWebhookConfiguration {
    let webhook = |name: &str, rules, conditions: &[(&str, String)]| ValidatingWebhook {
        name: format!("{name}.keyguard.dev"),
        admission_review_versions: vec!["v1".to_owned()],
        client_config: registered.client_config.clone(),
        failure_policy: Some(registered.failure_policy.to_owned()),
        match_policy: Some("Equivalent".to_owned()),
        side_effects: "None".to_owned(),
        timeout_seconds: Some(TIMEOUT_SECONDS),
        namespace_selector: Some(registered.namespaces.clone()),
        rules: Some(rules),
        match_conditions: Some(
            conditions
                .iter()
                .map(|(name, expression)| MatchCondition {
                    name: (*name).to_owned(),
                    expression: expression.clone(),
                })
                .collect(),
        ),
        ..ValidatingWebhook::default()
    };
    ValidatingWebhookConfiguration {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            labels: Some([("app.kubernetes.io/name".to_owned(), NAME.to_owned())].into()),
            ..ObjectMeta::default()
        },
        webhooks: Some(vec![
            webhook(
                "argocd-cm",
                vec![rule(
                    ("", "v1"),
                    &["configmaps"],
                    &["CREATE", "UPDATE", "DELETE"],
                )],
                &[
                    ("is-argocd-cm", match_conditions::is_argocd_cm()),
                    (
                        "is-not-being-deleted",
                        match_conditions::is_not_being_deleted(),
                    ),
                    ("is-not-cleaned-up", match_conditions::is_not_cleaned_up()),
                ],
            ),
            webhook(
                "workloads",
                workload_rules(),
                &[
                    (
                        "mentions-a-credential",
                        match_conditions::mentions_a_credential(),
                    ),
                    ("is-not-controlled", match_conditions::is_not_controlled()),
                    (
                        "is-not-being-deleted",
                        match_conditions::is_not_being_deleted(),
                    ),
                    (
                        "is-not-kept-in-order",
                        match_conditions::is_not_kept_in_order(),
                    ),
                ],
            ),
        ]),
    }
}

/// A rule for each group and version, with all of its resources.
fn workload_rules() -> Vec<RuleWithOperations> {
    let mut groups: Vec<((&str, &str), Vec<&str>)> = Vec::new();
    for kind in WorkloadKind::ALL {
        let (group, version, _, resource) = kind.names();
        match groups
            .iter_mut()
            .find(|(known, _)| *known == (group, version))
        {
            Some((_, resources)) => resources.push(resource),
            None => groups.push(((group, version), vec![resource])),
        }
    }
    groups
        .into_iter()
        .map(|(group, resources)| rule(group, &resources, &["CREATE", "UPDATE"]))
        .collect()
}

fn rule(
    (group, version): (&str, &str),
    resources: &[&str],
    operations: &[&str],
) -> RuleWithOperations {
    let owned = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
    RuleWithOperations {
        api_groups: owned(&[group]),
        api_versions: owned(&[version]),
        resources: owned(resources),
        operations: owned(operations),
        scope: Some("Namespaced".to_owned()),
    }
}

/// All namespaces, or those that are `guarded`; never kube-system, the own one and those that are exempt.
fn selector(
    guarded: &[String],
    own: String,
    exempt: Vec<String>,
) -> Result<LabelSelector, WebhookConfigError> {
    if let Some(bad) = guarded.iter().find(|name| !is_namespace(name)) {
        return Err(WebhookConfigError::Namespace(bad.clone()));
    }
    let condition = |operator: &str, mut names: Vec<String>| {
        names.sort_unstable();
        names.dedup();
        LabelSelectorRequirement {
            key: "kubernetes.io/metadata.name".to_owned(),
            operator: operator.to_owned(),
            values: Some(names),
        }
    };
    let mut left_out = vec!["kube-system".to_owned(), own];
    left_out.extend(exempt);
    let mut conditions = vec![condition("NotIn", left_out)];
    if !guarded.is_empty() {
        conditions.push(condition("In", guarded.to_vec()));
    }
    Ok(LabelSelector {
        match_expressions: Some(conditions),
        match_labels: None,
    })
}

fn is_namespace(name: &str) -> bool {
    is_object_name(name) && !name.contains('.')
}

/// The target, and the namespace that keyguard itself is in.
fn target(target: &cli::Target) -> Result<(WebhookClientConfig, String), WebhookConfigError> {
    match (&target.url, &target.service) {
        (Some(url), _) => Ok((
            WebhookClientConfig {
                url: Some(checked_url(url).ok_or_else(|| WebhookConfigError::Url(url.clone()))?),
                ..WebhookClientConfig::default()
            },
            OWN_NAMESPACE.to_owned(),
        )),
        (None, service) => {
            let text = service.as_deref().unwrap_or_default();
            let service = service_reference(text)
                .ok_or_else(|| WebhookConfigError::Service(text.to_owned()))?;
            let namespace = service.namespace.clone();
            let target = WebhookClientConfig {
                service: Some(service),
                ..WebhookClientConfig::default()
            };
            Ok((target, namespace))
        }
    }
}

fn checked_url(text: &str) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let host = uri.host().filter(|host| !host.is_empty())?;
    let plain = !host.contains('@') && !text.contains(['?', '#', '@']);
    if uri.scheme_str() != Some("https") || !plain {
        return None;
    }
    Some(match uri.path() {
        "" | "/" => format!("{}{VALIDATE_PATH}", text.trim_end_matches('/')),
        _ => text.to_owned(),
    })
}

fn service_reference(text: &str) -> Option<ServiceReference> {
    let (namespace, rest) = text.split_once('/')?;
    let (name, port) = match rest.split_once(':') {
        Some((name, port)) => (
            name,
            Some(port.parse::<u16>().ok().filter(|port| *port > 0)?),
        ),
        None => (rest, None),
    };
    (is_object_name(namespace) && is_object_name(name)).then(|| ServiceReference {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        path: Some(VALIDATE_PATH.to_owned()),
        port: port.map(i32::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gets_its_path_and_nothing_else_is_taken_for_one() {
        let table = [
            (
                "https://127.0.0.1:8443",
                Some("https://127.0.0.1:8443/validate"),
            ),
            (
                "https://keyguard.example/",
                Some("https://keyguard.example/validate"),
            ),
            (
                "https://keyguard.example/other",
                Some("https://keyguard.example/other"),
            ),
            ("http://127.0.0.1", None),
            ("https://a?b", None),
            ("https://user@host", None),
            ("127.0.0.1:8443", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(checked_url(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_service_is_namespace_name_and_perhaps_a_port() {
        let read = |text| {
            service_reference(text).map(|service| (service.namespace, service.name, service.port))
        };
        assert_eq!(
            read("keyguard/webhook"),
            Some(("keyguard".into(), "webhook".into(), None))
        );
        assert_eq!(read("a/b:8443"), Some(("a".into(), "b".into(), Some(8443))));
        for bad in ["keyguard", "a/b:0", "a/b:x", "a/b/c", "/b", "a/", "A/b"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn guarded_namespaces_are_named_beside_those_that_never_are() {
        let name = |name: &str| name.to_owned();
        let of = |guarded: &[&str]| {
            let guarded: Vec<String> = guarded.iter().map(|text| name(text)).collect();
            let selector = selector(&guarded, name("keyguard"), vec![name("sandbox")]);
            let conditions = selector.map(|selector| selector.match_expressions.unwrap());
            conditions.map(|conditions| {
                let conditions = conditions.into_iter();
                let parts =
                    conditions.map(|condition| (condition.operator, condition.values.unwrap()));
                parts.collect::<Vec<_>>()
            })
        };
        let left_out = (
            name("NotIn"),
            vec![name("keyguard"), name("kube-system"), name("sandbox")],
        );
        assert_eq!(of(&[]).unwrap(), std::slice::from_ref(&left_out));
        let guarded = (name("In"), vec![name("argocd"), name("runtime")]);
        assert_eq!(
            of(&["runtime", "argocd", "runtime"]).unwrap(),
            [left_out, guarded]
        );
        for bad in ["", "a.b", "A"] {
            assert!(
                matches!(of(&[bad]), Err(WebhookConfigError::Namespace(_))),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn the_webhooks_are_narrow_and_fail_closed() {
        let configuration = configuration(&Registered {
            failure_policy: "Fail",
            ..Registered::default()
        });
        let webhooks = configuration.webhooks.unwrap();
        assert_eq!(webhooks.len(), 2);
        for webhook in &webhooks {
            assert_eq!(webhook.failure_policy.as_deref(), Some("Fail"));
            assert_eq!(webhook.match_policy.as_deref(), Some("Equivalent"));
            assert_eq!(webhook.side_effects, "None");
            assert_eq!(webhook.timeout_seconds, Some(5));
            assert!(!webhook.match_conditions.as_ref().unwrap().is_empty());
            assert!(webhook.namespace_selector.is_some());
            let rules = webhook.rules.as_ref().unwrap();
            assert!(rules.iter().all(|rule| {
                let resources = rule.resources.as_ref().unwrap();
                resources
                    .iter()
                    .all(|resource| !resource.contains(['*', '/']))
            }));
        }
    }
}
