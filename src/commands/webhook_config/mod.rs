//! `keyguard webhook-config`: the registration that the API server is given.

mod match_conditions;
mod namespaces;

use hyper::Uri;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, RuleWithOperations, ServiceReference, ValidatingWebhook,
    ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use self::match_conditions::{
    is_argocd_cm, is_argocd_secret, is_changed, is_changed_for_argocd, is_not_argocd_secret,
    is_not_being_deleted, is_not_cleaned_up, is_not_controlled, is_not_kept_in_order,
    may_hold_a_credential, mentions_a_credential, rollout_mentions_a_credential,
};
use self::namespaces::Namespaces;
use crate::certificates::ca_bundle;
use crate::cli;
use crate::commands::CommandError;
use crate::config::Config;
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

/// The YAML to apply.
///
/// # Errors
/// When the target, the CA bundle or the settings make no sense.
pub fn render(arguments: &cli::WebhookConfig) -> Result<String, CommandError> {
    let policy = Config::load(arguments.config.as_deref())?.policy();
    let (mut client_config, own_namespace) = target(&arguments.target)?;
    if let Some(path) = &arguments.ca_bundle {
        client_config.ca_bundle = Some(ByteString(ca_bundle::read("--ca-bundle", path)?));
    }
    let registered = Registered {
        client_config,
        failure_policy: arguments.failure_policy.into(),
        namespaces: Namespaces {
            guarded: arguments.namespace.clone(),
            own: own_namespace,
            exempt: policy.exempt_namespaces,
            exempt_labels: policy.exempt_namespace_labels,
        },
        guard: policy.guard,
    };
    if let Some(bad) = registered.namespaces.fault() {
        let fault = format!("--namespace {bad:?} cannot be a namespace");
        return Err(CommandError::Said(fault));
    }
    let configuration = ValidatingWebhookConfiguration {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            labels: Some([("app.kubernetes.io/name".to_owned(), NAME.to_owned())].into()),
            ..ObjectMeta::default()
        },
        webhooks: Some(registered.webhooks()),
    };
    serde_saphyr::to_string(&configuration).map_err(|error| {
        let fault = format!("the webhook configuration cannot be written as YAML: {error}");
        CommandError::Said(fault)
    })
}

/// What the webhooks have in common.
struct Registered {
    client_config: WebhookClientConfig,
    failure_policy: &'static str,
    namespaces: Namespaces,
    guard: Guard,
}

impl Registered {
    /// The webhooks that judge, and those for the record. Secrets are not sent anywhere for the record.
    fn webhooks(&self) -> Vec<ValidatingWebhook> {
        let everywhere = || self.namespaces.judged(&[]);
        let mut webhooks: Vec<ValidatingWebhook> = always()
            .map(|webhook| self.judging(webhook, everywhere()))
            .into();
        if self.guard.secrets {
            let runtimes = self.namespaces.judged(&self.guard.runtime_namespaces);
            webhooks.push(self.judging(secrets(), runtimes));
        }
        if self.guard.argocd_secret {
            webhooks.push(self.judging(argocd_secret(), everywhere()));
        }
        for (name, namespaces) in self.namespaces.recorded() {
            let recording = always().map(|webhook| self.recording(&name, webhook, &namespaces));
            webhooks.extend(recording);
        }
        webhooks
    }

    fn judging(&self, webhook: ValidatingWebhook, namespaces: LabelSelector) -> ValidatingWebhook {
        ValidatingWebhook {
            client_config: self.client_config.clone(),
            failure_policy: Some(self.failure_policy.to_owned()),
            timeout_seconds: Some(TIMEOUT_SECONDS),
            namespace_selector: Some(namespaces),
            ..webhook
        }
    }

    /// The same where nothing is judged: keyguard is told, and nothing waits for it.
    fn recording(
        &self,
        name: &str,
        webhook: ValidatingWebhook,
        namespaces: &LabelSelector,
    ) -> ValidatingWebhook {
        let mut client_config = self.client_config.clone();
        let service = client_config.service.as_mut();
        let path = service.and_then(|service| service.path.as_mut());
        for target in path.into_iter().chain(&mut client_config.url) {
            target.push_str(EXEMPT_SUFFIX);
        }
        ValidatingWebhook {
            name: format!("{name}-{}", webhook.name),
            client_config,
            failure_policy: Some("Ignore".to_owned()),
            timeout_seconds: Some(RECORD_TIMEOUT_SECONDS),
            namespace_selector: Some(namespaces.clone()),
            ..webhook
        }
    }
}

/// The webhooks that there always are: what they are called for, not where and how.
fn always() -> [ValidatingWebhook; 3] {
    [
        webhook(
            "argocd-cm",
            vec![rule(
                "",
                "v1",
                &["configmaps"],
                &["CREATE", "UPDATE", "DELETE"],
            )],
            vec![is_argocd_cm(), is_not_being_deleted(), is_not_cleaned_up()],
        ),
        webhook(
            "workloads",
            workload_rules(|kind| kind != WorkloadKind::Rollout),
            vec![
                mentions_a_credential(),
                is_not_controlled(),
                is_not_being_deleted(),
                is_not_kept_in_order(),
            ],
        ),
        webhook(
            "rollouts",
            workload_rules(|kind| kind == WorkloadKind::Rollout),
            vec![
                rollout_mentions_a_credential(),
                is_not_being_deleted(),
                is_not_kept_in_order(),
            ],
        ),
    ]
}

/// The webhook of Secrets that a workload may refer to.
fn secrets() -> ValidatingWebhook {
    webhook(
        "secrets",
        vec![rule("", "v1", &["secrets"], &["UPDATE", "DELETE"])],
        vec![
            may_hold_a_credential(),
            is_not_argocd_secret(),
            is_changed(),
            is_not_being_deleted(),
            is_not_cleaned_up(),
        ],
    )
}

/// The webhook of Argo CD's own Secret.
fn argocd_secret() -> ValidatingWebhook {
    webhook(
        "argocd-secret",
        vec![rule("", "v1", &["secrets"], &["UPDATE", "DELETE"])],
        vec![
            is_argocd_secret(),
            is_changed_for_argocd(),
            is_not_being_deleted(),
            is_not_cleaned_up(),
        ],
    )
}

fn webhook(
    name: &str,
    rules: Vec<RuleWithOperations>,
    conditions: Vec<MatchCondition>,
) -> ValidatingWebhook {
    ValidatingWebhook {
        name: format!("{name}.keyguard.dev"),
        admission_review_versions: vec!["v1".to_owned()],
        match_policy: Some("Equivalent".to_owned()),
        side_effects: "None".to_owned(),
        rules: Some(rules),
        match_conditions: Some(conditions),
        ..ValidatingWebhook::default()
    }
}

/// A rule for each group and version of the wanted kinds, with all of its resources.
fn workload_rules(wanted: fn(WorkloadKind) -> bool) -> Vec<RuleWithOperations> {
    let group = |kind: &WorkloadKind| (kind.names().0, kind.names().1);
    let kinds = WorkloadKind::ALL.into_iter().filter(|kind| wanted(*kind));
    let kinds: Vec<WorkloadKind> = kinds.collect();
    let groups = kinds.chunk_by(|one, next| group(one) == group(next));
    let rules = groups.filter_map(|kinds| {
        let (group, version) = group(kinds.first()?);
        let resources: Vec<&str> = kinds.iter().map(|kind| kind.names().3).collect();
        Some(rule(group, version, &resources, &["CREATE", "UPDATE"]))
    });
    rules.collect()
}

fn rule(group: &str, version: &str, resources: &[&str], operations: &[&str]) -> RuleWithOperations {
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
fn target(target: &cli::Target) -> Result<(WebhookClientConfig, String), CommandError> {
    let mut client_config = WebhookClientConfig::default();
    if let Some(text) = &target.url {
        let fault = "is not an https URL without query or fragment, such as https://127.0.0.1:8443";
        let url = checked_url(text);
        client_config.url =
            Some(url.ok_or_else(|| CommandError::Said(format!("--url {text} {fault}")))?);
        return Ok((client_config, OWN_NAMESPACE.to_owned()));
    }
    let text = target.service.as_deref().unwrap_or_default();
    let fault = "is not NAMESPACE/NAME or NAMESPACE/NAME:PORT, such as keyguard/keyguard";
    let service = service_reference(text)
        .ok_or_else(|| CommandError::Said(format!("--service {text} {fault}")))?;
    let namespace = service.namespace.clone();
    client_config.service = Some(service);
    Ok((client_config, namespace))
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
