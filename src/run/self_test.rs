//! `keyguard self-test`: whether the API server refuses a bad change and not a good one.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout};

use crate::cli;
use crate::config::{Config, ConfigError};
use crate::edge::cluster::{Cluster, ClusterError};
use crate::edge::dry_run::Answer;
use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::policy::facts::Unread;
use keyguard_core::policy::plan::is_object_name;
use keyguard_core::policy::rules::{Mode, Rule};

/// The name of what is tried, and of the Secret that does not exist.
const NAME: &str = "keyguard-self-test";
/// Between two attempts: rights and webhooks reach the API server's caches within a moment.
const PAUSE: Duration = Duration::from_millis(250);
/// More than the API server waits for a webhook.
const MOST_FOR_ONE: Duration = Duration::from_secs(15);
/// What the bad change is refused under.
const RULE: Rule = Rule::SecretMissing;

/// Why the proof failed.
#[derive(Debug, Error)]
pub enum SelfTestError {
    /// Bad settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No API server.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The system gives no thread or timer.
    #[error("the system gives no thread or timer")]
    System(#[from] std::io::Error),
    /// Nothing is refused there.
    #[error(
        "--namespace {0:?} cannot be a guarded namespace; name one that is there and not exempt"
    )]
    Namespace(String),
    /// The API server answered otherwise.
    #[error("{0}")]
    Failed(String),
}

/// Tries both changes until they are answered as they should be; a line for each.
///
/// # Errors
/// When they are not before the time is over: the last reason.
pub fn run(arguments: &cli::SelfTest) -> Result<String, SelfTestError> {
    let config = Config::load(arguments.config.as_deref())?;
    let namespace = &arguments.namespace;
    if !is_object_name(namespace) || config.policy.exempt_namespaces.contains(namespace) {
        return Err(SelfTestError::Namespace(namespace.clone()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let most = config.limits.max_secret_bytes;
        let kubeconfig: Option<&Path> = arguments.kubeconfig.as_deref();
        let cluster = match kubeconfig {
            Some(path) => Cluster::from_kubeconfig(path, most).await?,
            None => Cluster::in_cluster(most)?,
        };
        let deadline = Instant::now() + arguments.timeout;
        loop {
            match attempt(&cluster, namespace, &config).await {
                Ok(report) => return Ok(report),
                Err(reason) if Instant::now() >= deadline => {
                    return Err(SelfTestError::Failed(reason));
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    })
}

async fn attempt(cluster: &Cluster, namespace: &str, config: &Config) -> Result<String, String> {
    let policy = &config.policy;
    let tried = [
        (
            format!("/apis/apps/v1/namespaces/{namespace}/deployments"),
            bad_change(),
            Expected::of(policy.modes.of(RULE)),
        ),
        (
            format!("/api/v1/namespaces/{namespace}/configmaps"),
            good_change(&policy.protected_accounts),
            Expected::Admitted,
        ),
    ];
    let mut report = String::new();
    for (path, object, expected) in tried {
        let asked = timeout(MOST_FOR_ONE, cluster.dry_run_create(&path, &object)).await;
        let answer = asked.unwrap_or(Err(Unread::Timeout));
        let answer = answer.map_err(|unread| format!("POST {path}: {}", unread.what()))?;
        report.push_str(&expected.judge(&answer)?);
        report.push('\n');
    }
    Ok(report)
}

/// A workload whose token is in a Secret that does not exist.
fn bad_change() -> Value {
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

/// An `argocd-cm` in which every protected account may use its API key and log in.
fn good_change(protected_accounts: &[String]) -> Value {
    let capabilities = |name| (format!("accounts.{name}"), json!("apiKey, login"));
    let data: Map<String, Value> = protected_accounts.iter().map(capabilities).collect();
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP_NAME, "labels": {"app.kubernetes.io/part-of": "argocd"}},
        "data": data,
    })
}

/// What must come of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// The bad one is refused.
    Refused,
    /// The bad one is warned of, for its rule is not enforced.
    Warned,
    /// The bad one goes through in silence, for its rule is not enforced: it proves nothing.
    Unseen,
    /// The good one goes through.
    Admitted,
}

impl Expected {
    fn of(mode: Mode) -> Expected {
        match mode {
            Mode::Enforce => Expected::Refused,
            Mode::Warn => Expected::Warned,
            Mode::Audit => Expected::Unseen,
        }
    }

    /// What to report.
    ///
    /// # Errors
    /// When the answer is another: what it is, and what may be the cause.
    fn judge(self, answer: &Answer) -> Result<String, String> {
        let rule = RULE.id();
        let tag = format!("[{rule}]");
        let refused = answer.message.contains("denied the request");
        // An object of that name may be there: it is admitted before that is looked at.
        let admitted = matches!(answer.status, 200 | 201 | 409) && !refused;
        let warned = answer.warnings.iter().any(|warning| warning.contains(&tag));
        let bad = "a workload whose token Secret does not exist";
        let good = "an argocd-cm with an API key for every protected account";
        match self {
            Expected::Refused if refused && answer.message.contains(&tag) => {
                Ok(format!("refused, as it should be: {bad} {tag}"))
            }
            Expected::Warned if admitted && warned => Ok(format!(
                "warned of, as it should be while {rule} is not enforced: {bad}"
            )),
            Expected::Unseen if admitted => Ok(format!(
                "not proved: while {rule} is in mode audit, {bad} goes through and nothing shows that keyguard saw it"
            )),
            Expected::Admitted if admitted => Ok(format!("admitted, as it should be: {good}")),
            Expected::Refused | Expected::Warned if admitted => Err(format!(
                "{bad} went through as if nobody had been asked: see whether the webhook configuration is there, \
                 its failurePolicy, and whether this account or namespace is exempt"
            )),
            expected => {
                let tried = if expected == Expected::Admitted {
                    good
                } else {
                    bad
                };
                Err(format!(
                    "{tried} was answered with HTTP {}: {}",
                    answer.status, answer.message
                ))
            }
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

    #[test]
    fn an_answer_passes_only_when_it_is_the_one_that_keyguard_gives() {
        use Expected::{Admitted, Refused, Unseen, Warned};
        let refusal = "admission webhook \"workloads.keyguard.dev\" denied the request: missing. [credentials/secret-missing]";
        let other = "admission webhook \"other\" denied the request: no. [other]";
        let down = "Internal error occurred: failed calling webhook \"workloads.keyguard.dev\"";
        let rights = "deployments.apps is forbidden: User cannot create resource";
        let warning = "missing. [credentials/secret-missing]";
        let table = [
            (Refused, answer(403, refusal, ""), true),
            (Refused, answer(403, other, ""), false),
            (Refused, answer(500, down, ""), false),
            (Refused, answer(403, rights, ""), false),
            (Refused, answer(201, "", warning), false),
            (Refused, answer(409, "exists", ""), false),
            (Warned, answer(201, "", warning), true),
            (Warned, answer(201, "", "another"), false),
            (Warned, answer(403, refusal, ""), false),
            (Unseen, answer(201, "", ""), true),
            (Unseen, answer(500, down, ""), false),
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
            let judged = expected.judge(&answer);
            assert_eq!(
                judged.is_ok(),
                passes,
                "{expected:?} {answer:?}: {judged:?}"
            );
        }
    }

    #[test]
    fn a_change_that_went_through_says_what_may_be_the_cause() {
        let reason = Expected::Refused.judge(&answer(201, "", "")).unwrap_err();
        assert!(reason.contains("failurePolicy"), "{reason}");
    }
}
