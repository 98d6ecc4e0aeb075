//! Workloads that use a credential: what is left of a workload once it was looked through.

use std::fmt;

use super::credential::{Reference, references};
use super::workload::WorkloadKind;

/// The kinds that are looked through: those whose pods come again and again from a template.
///
/// A ReplicaSet or Job is looked at in its owner; one without an owner, and a Pod, is not looked at: what has
/// started has read its credential.
pub const KINDS: [WorkloadKind; 5] = [
    WorkloadKind::Deployment,
    WorkloadKind::StatefulSet,
    WorkloadKind::DaemonSet,
    WorkloadKind::CronJob,
    WorkloadKind::Rollout,
];

/// A workload that refers to a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its namespace, where its Secrets are.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it refers to; at least one.
    pub references: Vec<Reference>,
}

impl User {
    /// A workload with this JSON text as its `spec`, or `None` when nothing in it can be told to refer to a credential.
    pub fn of(kind: WorkloadKind, namespace: &str, name: &str, spec: &str) -> Option<User> {
        let template = kind.template(spec).ok()?;
        let references = references(&template.containers, kind.pod_spec_path()).found;
        (!references.is_empty()).then(|| User {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            references,
        })
    }

    /// What it refers to in the Secret of this name.
    pub fn references_to(&self, secret: &str) -> impl Iterator<Item = &Reference> {
        self.references
            .iter()
            .filter(move |reference| reference.secret == *secret)
    }
}

/// Kind and name, such as `Deployment "gitops-operator"`.
impl fmt::Display for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?}", self.kind.names().2, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(variable: &str) -> serde_json::Value {
        json!({"spec": {"containers": [{"env": [
            {"name": variable, "valueFrom": {"secretKeyRef": {"name": "s", "key": "token"}}},
        ]}]}})
    }

    #[test]
    fn only_a_workload_that_refers_to_a_credential_is_a_user() {
        let template = json!({"template": pod("ARGO_CD_TOKEN")}).to_string();
        let cron_job =
            json!({"jobTemplate": {"spec": {"template": pod("ARGO_CD_TOKEN")}}}).to_string();
        for kind in KINDS {
            let spec = match kind {
                WorkloadKind::CronJob => &cron_job,
                _ => &template,
            };
            let user = User::of(kind, "gitops", "w", spec).unwrap();
            assert_eq!(user.references_to("s").count(), 1, "{kind:?}");
            assert_eq!(user.references_to("other").count(), 0, "{kind:?}");
            assert_eq!(user.to_string(), format!("{kind:?} \"w\""));
        }
        let other = json!({"template": pod("OTHER")}).to_string();
        for spec in [&other, "{}", "[]", "1", r#"{"template":{"spec":1}}"#] {
            let user = User::of(WorkloadKind::Deployment, "gitops", "w", spec);
            assert_eq!(user, None, "{spec}");
        }
    }
}
