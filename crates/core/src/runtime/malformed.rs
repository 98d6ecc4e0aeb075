//! A workload whose pod template is not one: what a schema that does not check it lets through.

use std::fmt;

use serde::Deserialize;

use super::json_object::same_json;

/// A spec that has not the shape of its kind. Its text may hold a secret, and `Debug` does not show it.
pub struct Malformed<'a> {
    text: &'a str,
    /// Where it is wrong, such as `spec.template.spec.containers[0].env[1].value`.
    pub field: String,
}

impl<'a> Malformed<'a> {
    /// What cannot be read as a `T`, and stands at `path`.
    pub(super) fn of<T: Deserialize<'a>>(text: &'a str, path: &str) -> Malformed<'a> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = serde_path_to_error::deserialize::<_, T>(&mut deserializer);
        let inside = read.err().map(|error| error.path().to_string());
        let field = match inside.as_deref() {
            None | Some(".") => path.to_owned(),
            Some(inside) => format!("{path}.{inside}"),
        };
        Malformed { text, field }
    }

    /// Whether it is as malformed as the other.
    pub fn same_as(&self, other: &Malformed<'_>) -> bool {
        same_json(self.text, other.text)
    }

    /// The text, which is not to be shown.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }
}

impl fmt::Debug for Malformed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Malformed({})", self.field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::workload::WorkloadKind;
    use serde_json::{Value, json};

    fn field(kind: WorkloadKind, spec: &Value) -> String {
        match kind.template(&spec.to_string()) {
            Ok(_) => panic!("{spec} is well-formed"),
            Err(malformed) => malformed.field,
        }
    }

    fn read(spec: &str) -> Malformed<'_> {
        match WorkloadKind::Rollout.template(spec) {
            Ok(_) => panic!("{spec} is well-formed"),
            Err(malformed) => malformed,
        }
    }

    #[test]
    fn the_place_of_what_is_wrong_is_told() {
        let pod = |env: Value| json!({"containers": [{}, {"env": [{"name": "A"}, env]}]});
        let variable = "containers[1].env[1]";
        let table = [
            (json!({"name": "A", "value": 5}), ".value"),
            (json!({"name": true}), ".name"),
            (json!({"value": "x", "valueFrom": []}), ".valueFrom"),
            (
                json!({"valueFrom": {"secretKeyRef": "x"}}),
                ".valueFrom.secretKeyRef",
            ),
            (
                json!({"valueFrom": {"secretKeyRef": {"key": 1}}}),
                ".valueFrom.secretKeyRef.key",
            ),
            (
                json!({"valueFrom": {"secretKeyRef": {"optional": "yes"}}}),
                ".valueFrom.secretKeyRef.optional",
            ),
            (json!(["A", "x"]), ""),
            (json!("A"), ""),
        ];
        for (env, rest) in table {
            for kind in WorkloadKind::ALL {
                let path = kind.pod_spec_path();
                let spec = match kind {
                    WorkloadKind::Pod => pod(env.clone()),
                    WorkloadKind::CronJob => {
                        json!({"jobTemplate": {"spec": {"template": {"spec": pod(env.clone())}}}})
                    }
                    _ => json!({"template": {"spec": pod(env.clone())}}),
                };
                assert_eq!(
                    field(kind, &spec),
                    format!("{path}.{variable}{rest}"),
                    "{env}"
                );
            }
        }
        let shapes = [
            (WorkloadKind::Rollout, json!([]), "spec"),
            (
                WorkloadKind::Rollout,
                json!({"template": [1]}),
                "spec.template",
            ),
            (
                WorkloadKind::Rollout,
                json!({"template": {"spec": 1}}),
                "spec.template.spec",
            ),
            (
                WorkloadKind::Rollout,
                json!({"template": {"spec": {"containers": {}}}}),
                "spec.template.spec.containers",
            ),
            (
                WorkloadKind::CronJob,
                json!({"jobTemplate": 1}),
                "spec.jobTemplate",
            ),
            (
                WorkloadKind::CronJob,
                json!({"jobTemplate": {"spec": 1}}),
                "spec.jobTemplate.spec",
            ),
        ];
        for (kind, spec, expected) in shapes {
            assert_eq!(field(kind, &spec), expected);
        }
    }

    #[test]
    fn a_malformed_template_is_the_same_however_it_is_spelled_and_whatever_is_beside_it() {
        let one = read(r#"{"template":{"spec":{"containers":{"a":1,"b":2}}}}"#);
        let same = read(r#"{"replicas":3,"template":{"spec":{"containers":{"b":2,"a":1}}}}"#);
        let other = read(r#"{"template":{"spec":{"containers":{"a":2}}}}"#);
        assert!(one.same_as(&same) && !one.same_as(&other));
    }
}
