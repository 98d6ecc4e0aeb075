//! `keyguard webhook-config`: the registration that the API server is given.

pub mod match_conditions;
mod namespaces;

use hyper::Uri;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, RuleWithOperations, ServiceReference, ValidatingWebhook,
    ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use thiserror::Error;

use crate::certificates::ca_bundle::{self, CaBundleError};
use crate::cli;
use crate::commands::webhook_config::namespaces::Namespaces;
use crate::config::{Config, ConfigError};
use crate::http::reviews::{EXEMPT_SUFFIX, VALIDATE_PATH};
use keyguard_core::policy::guard::Guard;
use keyguard_core::policy::plan::is_object_name;
use keyguard_core::runtime::workload::WorkloadKind;

/// The name of the ValidatingWebhookConfiguration.
pub const NAME: &str = "keyguard";
/// The namespace that keyguard is installed in, unless a Service says otherwise.
const OWN_NAMESPACE: &str = "keyguard";
/// Seconds that the API server waits for an answer.
const TIMEOUT_SECONDS: i32 = 5;
/// The same for what is not judged.
const RECORD_TIMEOUT_SECONDS: i32 = 1;

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
    let policy = Config::load(arguments.config.as_deref())?.policy();
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
        namespaces: Namespaces {
            guarded: arguments.namespace.clone(),
            own: own_namespace,
            exempt: policy.exempt_namespaces,
            exempt_labels: policy.exempt_namespace_labels,
        },
        guard: policy.guard,
    };
    if let Some(bad) = registered.namespaces.fault() {
        return Err(WebhookConfigError::Namespace(bad.to_owned()));
    }
    let configuration = configuration(&registered);
    let yaml = serde_saphyr::to_string(&configuration)
        .map_err(|error| WebhookConfigError::Yaml(error.to_string()))?;
    Ok(yaml)
}

/// The names of Rollouts.
const ROLLOUT: (&str, &str, &str, &str) = WorkloadKind::Rollout.names();

/// What the webhooks have in common.
struct Registered {
    client_config: WebhookClientConfig,
    failure_policy: &'static str,
    namespaces: Namespaces,
    guard: Guard,
}

impl Registered {
    /// The webhooks that judge.
    fn judging(&self) -> Vec<ValidatingWebhook> {
        let judged = |webhook, namespace_selector| ValidatingWebhook {
            client_config: self.client_config.clone(),
            failure_policy: Some(self.failure_policy.to_owned()),
            timeout_seconds: Some(TIMEOUT_SECONDS),
            namespace_selector: Some(namespace_selector),
            ..webhook
        };
        let webhooks = webhooks().into_iter();
        let mut judging: Vec<ValidatingWebhook> = webhooks
            .map(|webhook| judged(webhook, self.namespaces.judged()))
            .collect();
        if self.guard.secrets {
            let runtimes = &self.guard.runtime_namespaces;
            judging.push(judged(secrets(), self.namespaces.judged_among(runtimes)));
        }
        if self.guard.argocd_secret {
            judging.push(judged(argocd_secret(), self.namespaces.judged()));
        }
        judging
    }

    /// The same where nothing is judged: keyguard is told, and nothing waits for it. Not of Secrets, which are not
    /// sent anywhere for the record.
    fn recording(&self) -> Vec<ValidatingWebhook> {
        let client_config = for_the_record(self.client_config.clone());
        let recorded = self.namespaces.recorded().into_iter();
        let webhooks = recorded.flat_map(|(name, namespaces)| {
            let client_config = client_config.clone();
            webhooks()
                .into_iter()
                .map(move |webhook| ValidatingWebhook {
                    name: format!("{name}-{}", webhook.name),
                    client_config: client_config.clone(),
                    failure_policy: Some("Ignore".to_owned()),
                    timeout_seconds: Some(RECORD_TIMEOUT_SECONDS),
                    namespace_selector: Some(namespaces.clone()),
                    ..webhook
                })
        });
        webhooks.collect()
    }
}

fn for_the_record(mut client_config: WebhookClientConfig) -> WebhookClientConfig {
    if let Some(url) = &mut client_config.url {
        url.push_str(EXEMPT_SUFFIX);
    }
    if let Some(path) = client_config
        .service
        .as_mut()
        .and_then(|service| service.path.as_mut())
    {
        path.push_str(EXEMPT_SUFFIX);
    }
    client_config
}

fn configuration(registered: &Registered) -> ValidatingWebhookConfiguration {
    let mut webhooks = registered.judging();
    webhooks.extend(registered.recording());
    ValidatingWebhookConfiguration {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            labels: Some([("app.kubernetes.io/name".to_owned(), NAME.to_owned())].into()),
            ..ObjectMeta::default()
        },
        webhooks: Some(webhooks),
    }
}

/// The webhooks that there always are: what they are called for, not where and how.
fn webhooks() -> [ValidatingWebhook; 3] {
    [
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
        webhook(
            "rollouts",
            vec![rule(
                (ROLLOUT.0, ROLLOUT.1),
                &[ROLLOUT.3],
                &["CREATE", "UPDATE"],
            )],
            &[
                (
                    "mentions-a-credential",
                    match_conditions::rollout_mentions_a_credential(),
                ),
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
    ]
}

/// The webhook of Secrets that a workload may refer to.
fn secrets() -> ValidatingWebhook {
    webhook(
        "secrets",
        vec![rule(("", "v1"), &["secrets"], &["UPDATE", "DELETE"])],
        &[
            (
                "may-hold-a-credential",
                match_conditions::may_hold_a_credential(),
            ),
            (
                "is-not-argocd-secret",
                match_conditions::is_not_argocd_secret(),
            ),
            ("is-changed", match_conditions::is_changed()),
            (
                "is-not-being-deleted",
                match_conditions::is_not_being_deleted(),
            ),
            ("is-not-cleaned-up", match_conditions::is_not_cleaned_up()),
        ],
    )
}

/// The webhook of Argo CD's own Secret.
fn argocd_secret() -> ValidatingWebhook {
    webhook(
        "argocd-secret",
        vec![rule(("", "v1"), &["secrets"], &["UPDATE", "DELETE"])],
        &[
            ("is-argocd-secret", match_conditions::is_argocd_secret()),
            ("is-changed", match_conditions::is_changed_for_argocd()),
            (
                "is-not-being-deleted",
                match_conditions::is_not_being_deleted(),
            ),
            ("is-not-cleaned-up", match_conditions::is_not_cleaned_up()),
        ],
    )
}

fn webhook(
    name: &str,
    rules: Vec<RuleWithOperations>,
    conditions: &[(&str, String)],
) -> ValidatingWebhook {
    ValidatingWebhook {
        name: format!("{name}.keyguard.dev"),
        admission_review_versions: vec!["v1".to_owned()],
        match_policy: Some("Equivalent".to_owned()),
        side_effects: "None".to_owned(),
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
    }
}

/// A rule for each group and version of the built-in workloads, with all of its resources.
fn workload_rules() -> Vec<RuleWithOperations> {
    let mut groups: Vec<((&str, &str), Vec<&str>)> = Vec::new();
    let built_in = WorkloadKind::ALL.into_iter();
    for kind in built_in.filter(|kind| *kind != WorkloadKind::Rollout) {
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
mod tests;
