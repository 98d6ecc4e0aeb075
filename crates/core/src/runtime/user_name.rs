//! Whose password a workload has: where the name of the account comes from.
//!
//! Source: the `gitops-runtime` chart: a key of `cap-app-proxy-cm`, a plain value, or, in charts of March to October
//! 2025, a key of a Secret.

use super::environment::{last, plain};
use super::name::Name;
use super::workload::EnvVar;

/// The variable with the name of the account.
pub const USERNAME: &str = "ARGO_CD_USERNAME";

/// Where the name of an account comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UserName {
    /// It stands in the pod template. Never shown as it is: people paste credentials into the wrong field.
    Plain(Name),
    /// A key of an object in the workload's namespace.
    From(Holder, Name, Name),
    /// The pod template alone does not tell, or has no such variable.
    Untold,
}

/// What kind of object holds the name of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

impl UserName {
    /// Reads it from the environment of a container.
    pub fn of(env: &[EnvVar<'_>]) -> UserName {
        let Some((_, variable)) = last(env, USERNAME) else {
            return UserName::Untold;
        };
        if let Ok(name) = plain(variable) {
            return UserName::Plain(name.into());
        }
        let Some(from) = variable.value_from.as_ref() else {
            return UserName::Untold;
        };
        let sources = [
            (Holder::ConfigMap, &from.0.config_map_key_ref),
            (Holder::Secret, &from.0.secret_key_ref),
        ];
        let source = sources
            .into_iter()
            .find_map(|(holder, source)| Some((holder, &source.as_ref()?.0)));
        match source {
            Some((holder, source)) => {
                UserName::From(holder, Name::from(&*source.name), Name::from(&*source.key))
            }
            None => UserName::Untold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::credential::references;
    use crate::runtime::workload::WorkloadKind;
    use serde_json::{Value, json};

    fn read(variables: &[Value]) -> Option<UserName> {
        let password = json!({"name": "ARGO_CD_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}});
        let env: Vec<&Value> = variables.iter().chain([&password]).collect();
        let spec = json!({"template": {"spec": {"containers": [{"env": env}]}}}).to_string();
        let kind = WorkloadKind::Deployment;
        let template = kind.template(&spec).unwrap();
        let mut found = references(&template.containers, kind.pod_spec_path()).found;
        found.swap_remove(0).user_name
    }

    #[test]
    fn each_form_of_the_chart_is_told_and_the_last_counts() {
        let plain = json!({"name": USERNAME, "value": "admin"});
        let from =
            |kind: &str| json!({"name": USERNAME, "valueFrom": {kind: {"name": "o", "key": "u"}}});
        let held = |holder| UserName::From(holder, "o".into(), "u".into());
        let table = [
            (vec![], UserName::Untold),
            (vec![plain.clone()], UserName::Plain("admin".into())),
            (vec![from("configMapKeyRef")], held(Holder::ConfigMap)),
            (vec![from("secretKeyRef")], held(Holder::Secret)),
            (
                vec![plain.clone(), from("secretKeyRef")],
                held(Holder::Secret),
            ),
            (
                vec![from("secretKeyRef"), plain],
                UserName::Plain("admin".into()),
            ),
            (vec![from("fieldRef")], UserName::Untold),
            (
                vec![json!({"name": USERNAME, "value": "$(USER)"})],
                UserName::Untold,
            ),
            (
                vec![json!({"name": USERNAME, "value": ""})],
                UserName::Untold,
            ),
        ];
        for (variables, expected) in table {
            assert_eq!(read(&variables), Some(expected), "{variables:?}");
        }
    }
}
