//! `keyguard self-test`: whether the API server refuses a bad change and not a good one.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::cli;
use crate::commands::CommandError;
use crate::config::Config;
use crate::sources::cluster::Cluster;
use crate::sources::dry_run::Answer;
use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::policy::accounts_change::{PART_OF_LABEL, PART_OF_VALUE};
use keyguard_core::policy::decide::{DryRun, Policy};
use keyguard_core::policy::facts::Unread;
use keyguard_core::policy::plan::is_object_name;
use keyguard_core::policy::rules::{Mode, Rule};

/// The name of what is tried, and of the Secret that does not exist.
const NAME: &str = "keyguard-self-test";
/// Between two attempts: rights and webhooks reach the API server's caches within a moment.
const PAUSE: Duration = Duration::from_millis(250);
/// More than the API server waits for a webhook.
const MOST_FOR_ONE: Duration = Duration::from_secs(15);

/// Tries both changes until they are answered as they should be; a line for each.
///
/// # Errors
/// When they are not before the time is over: the last reason.
pub fn run(arguments: &cli::SelfTest) -> Result<String, CommandError> {
    let config = Config::load(arguments.config.as_deref())?;
    let namespace = &arguments.namespace;
    let exempt = &config.exempt_namespaces;
    if !is_object_name(namespace) || exempt.iter().any(|exempt| **exempt == **namespace) {
        return Err(CommandError::Said(format!(
            "--namespace {namespace:?} cannot be a guarded namespace; name one that is there and not exempt"
        )));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::no("thread or timer"))?;
    runtime.block_on(async {
        let most = *config.limits.max_secret_bytes;
        let cluster = Cluster::open(arguments.kubeconfig.as_deref(), most, Arc::default()).await?;
        let deadline = Instant::now() + arguments.timeout;
        loop {
            match attempt(&cluster, namespace, &config).await {
                Ok(report) => return Ok(report),
                Err(reason) if Instant::now() >= deadline => {
                    return Err(CommandError::Said(reason));
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    })
}

async fn attempt(cluster: &Cluster, namespace: &str, config: &Config) -> Result<String, String> {
    let mut report = String::new();
    for change in changes(namespace, &config.policy()) {
        let path = &change.path;
        let asked = timeout(MOST_FOR_ONE, cluster.dry_run_create(path, &change.object)).await;
        let answer = asked.unwrap_or(Err(Unread::Timeout));
        let answer = answer.map_err(|unread| format!("POST {path}: {}", unread.what()))?;
        report.push_str(&change.judge(&answer)?);
        report.push('\n');
    }
    Ok(report)
}

/// What is tried, all of it by dry runs. There, what depends on other objects is only warned of unless `dryRun` is
/// `enforce`: the warning's rule id proves as much as a refusal.
fn changes(namespace: &str, policy: &Policy) -> Vec<Change> {
    let config_maps = format!("/api/v1/namespaces/{namespace}/configmaps");
    let warned = |rule| match policy.modes.of(rule) {
        Mode::Audit => Expected::Unseen(rule),
        Mode::Enforce | Mode::Warn => Expected::Warned(rule),
    };
    let enforced = policy.modes.of(Rule::SecretMissing) == Mode::Enforce;
    let mut changes = vec![Change {
        path: format!("/apis/apps/v1/namespaces/{namespace}/deployments"),
        object: bad_workload(),
        what: "a workload whose token Secret does not exist",
        expected: match policy.dry_run {
            DryRun::Enforce if enforced => Expected::Refused(Rule::SecretMissing),
            _ => warned(Rule::SecretMissing),
        },
    }];
    if !policy.protected_accounts.is_empty() {
        changes.push(Change {
            path: config_maps.clone(),
            object: argocd_cm(&[]),
            what: "an argocd-cm without an API key for the protected accounts",
            expected: warned(Rule::ApiKeyMissing),
        });
    }
    changes.push(Change {
        path: config_maps,
        object: argocd_cm(&policy.protected_accounts),
        what: "an argocd-cm with an API key for every protected account",
        expected: Expected::Admitted,
    });
    changes
}

/// One change and what must come of it.
struct Change {
    path: String,
    object: Value,
    what: &'static str,
    expected: Expected,
}

/// A workload whose token is in a Secret that does not exist.
fn bad_workload() -> Value {
    let labels = json!({"app.kubernetes.io/name": NAME});
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "labels": labels},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "automountServiceAccountToken": false,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": NAME,
                    "image": "keyguard",
                    "env": [{
                        "name": "ARGO_CD_TOKEN",
                        "valueFrom": {"secretKeyRef": {"name": NAME, "key": "token"}},
                    }],
                    "securityContext": {
                        "allowPrivilegeEscalation": false,
                        "readOnlyRootFilesystem": true,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }],
            }},
        },
    })
}

/// An `argocd-cm` in which these accounts may use their API key and log in.
fn argocd_cm(accounts: &[String]) -> Value {
    let capabilities = |name| (format!("accounts.{name}"), json!("apiKey, login"));
    let data: Map<String, Value> = accounts.iter().map(capabilities).collect();
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP_NAME, "labels": {PART_OF_LABEL: PART_OF_VALUE}},
        "data": data,
    })
}

/// What must come of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// It is refused under this rule.
    Refused(Rule),
    /// It is warned of under this rule.
    Warned(Rule),
    /// It goes through in silence, for its rule is in mode audit: it proves nothing.
    Unseen(Rule),
    /// It goes through.
    Admitted,
}

impl Change {
    /// What to report.
    ///
    /// # Errors
    /// When the answer is another: what it is, and what may be the cause.
    fn judge(&self, answer: &Answer) -> Result<String, String> {
        let what = self.what;
        let refused = answer.message.contains("denied the request");
        // An object of that name may be there: it is admitted before that is looked at.
        let admitted = matches!(answer.status, 200 | 201 | 409) && !refused;
        let tag = |rule: Rule| format!("[{}]", rule.id());
        let warned = |rule| {
            let tag = tag(rule);
            answer.warnings.iter().any(|warning| warning.contains(&tag))
        };
        match self.expected {
            Expected::Refused(rule) if refused && answer.message.contains(&tag(rule)) => {
                Ok(format!("refused, as it should be: {what} {}", tag(rule)))
            }
            Expected::Warned(rule) if admitted && warned(rule) => {
                Ok(format!("warned of, as it should be: {what} {}", tag(rule)))
            }
            Expected::Unseen(rule) if admitted => Ok(format!(
                "not proved: while {} is in mode audit, {what} goes through and nothing shows that keyguard saw it",
                rule.id()
            )),
            Expected::Admitted if admitted => Ok(format!("admitted, as it should be: {what}")),
            Expected::Refused(_) | Expected::Warned(_) if admitted => Err(format!(
                "{what} went through as if nobody had been asked: see whether the webhook configuration is there, \
                 its failurePolicy, and whether this account or namespace is exempt"
            )),
            _ => Err(format!(
                "{what} was answered with HTTP {}: {}",
                answer.status, answer.message
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, message: &str, warning: &str) -> Answer {
        Answer {
            status,
            message: message.to_owned(),
            warnings: vec![format!("299 - {warning:?}")],
        }
    }

    fn change(expected: Expected) -> Change {
        Change {
            path: String::new(),
            object: Value::Null,
            what: "a change",
            expected,
        }
    }

    #[test]
    fn a_dry_run_is_refused_or_warned_of_as_the_policy_has_it() {
        let expected = |policy: &Policy| changes("ns", policy).first().map(|it| it.expected);
        let mut policy = Policy::default();
        let rule = Rule::SecretMissing;
        assert_eq!(expected(&policy), Some(Expected::Warned(rule)));
        policy.dry_run = DryRun::Enforce;
        assert_eq!(expected(&policy), Some(Expected::Refused(rule)));
        policy.modes.set(rule, Mode::Audit);
        assert_eq!(expected(&policy), Some(Expected::Unseen(rule)));
    }

    #[test]
    fn an_answer_passes_only_when_it_is_the_one_that_keyguard_gives() {
        use Expected::Admitted;
        let rule = Rule::SecretMissing;
        let (refused, warned, unseen) = (
            Expected::Refused(rule),
            Expected::Warned(rule),
            Expected::Unseen(rule),
        );
        let refusal = "admission webhook \"workloads.keyguard.dev\" denied the request: missing. [credentials/secret-missing]";
        let other = "admission webhook \"other\" denied the request: no. [other]";
        let down = "Internal error occurred: failed calling webhook \"workloads.keyguard.dev\"";
        let rights = "deployments.apps is forbidden: User cannot create resource";
        let warning = "missing. [credentials/secret-missing]";
        let table = [
            (refused, answer(403, refusal, ""), true),
            (refused, answer(403, other, ""), false),
            (refused, answer(500, down, ""), false),
            (refused, answer(403, rights, ""), false),
            (refused, answer(201, "", warning), false),
            (refused, answer(409, "exists", ""), false),
            (warned, answer(201, "", warning), true),
            (warned, answer(201, "", "another"), false),
            (warned, answer(403, refusal, ""), false),
            (unseen, answer(201, "", ""), true),
            (unseen, answer(500, down, ""), false),
            (Admitted, answer(201, "", ""), true),
            (
                Admitted,
                answer(409, "configmaps \"argocd-cm\" already exists", ""),
                true,
            ),
            (Admitted, answer(403, refusal, ""), false),
            (Admitted, answer(403, rights, ""), false),
            (Admitted, answer(500, down, ""), false),
        ];
        for (expected, answer, passes) in table {
            let judged = change(expected).judge(&answer);
            assert_eq!(
                judged.is_ok(),
                passes,
                "{expected:?} {answer:?}: {judged:?}"
            );
        }
    }

    #[test]
    fn a_change_that_went_through_says_what_may_be_the_cause() {
        let reason = change(Expected::Refused(Rule::SecretMissing))
            .judge(&answer(201, "", ""))
            .unwrap_err();
        assert!(reason.contains("failurePolicy"), "{reason}");
    }
}
