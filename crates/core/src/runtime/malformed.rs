//! A workload whose pod template is not one: what a schema that does not check it lets through.

use std::fmt;

use serde_json::Value;

use super::credential::VARIABLES;
use super::workload::{WorkloadKind, same_json};

/// A spec that has not the shape of its kind. Its text may hold a secret, and `Debug` does not show it.
pub struct Malformed<'a> {
    text: &'a str,
    /// Where it is wrong, such as `spec.template.spec.containers[0].env[1].value`.
    pub field: String,
}

impl<'a> Malformed<'a> {
    pub(super) fn pod(spec: &'a str) -> Malformed<'a> {
        Malformed::within(spec, "spec", &POD_SPEC)
    }

    pub(super) fn template(kind: WorkloadKind, template: &'a str) -> Malformed<'a> {
        let path = kind.pod_spec_path();
        let path = path.strip_suffix(".spec").unwrap_or(path);
        Malformed::within(template, path, &POD_TEMPLATE)
    }

    /// The way down to the template is wrong.
    pub(super) fn spec(kind: WorkloadKind, spec: &'a str) -> Malformed<'a> {
        let shape = match kind {
            WorkloadKind::CronJob => &CRON_JOB,
            _ => &Shape::Map(&[]),
        };
        Malformed::within(spec, "spec", shape)
    }

    fn within(text: &'a str, path: &str, shape: &Shape) -> Malformed<'a> {
        let value = serde_json::from_str(text).unwrap_or_default();
        Malformed {
            text,
            field: misfit(&value, path, shape).unwrap_or_else(|| path.to_owned()),
        }
    }

    /// Whether it is as malformed as the other.
    pub fn same_as(&self, other: &Malformed<'_>) -> bool {
        same_json(self.text, other.text)
    }

    /// Whether a credential may be mentioned: the text has the name of its variable, as it is or
    /// with escapes.
    pub fn may_mention_a_credential(&self) -> bool {
        let mentioned = |name: &&str| self.text.contains(name);
        VARIABLES.iter().any(mentioned) || self.text.contains("\\u")
    }
}

impl fmt::Debug for Malformed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Malformed({})", self.field)
    }
}

/// What is read of a pod template, as JSON has it.
enum Shape {
    Map(&'static [(&'static str, Shape)]),
    List(&'static Shape),
    Text,
    Flag,
}

const CRON_JOB: Shape = Shape::Map(&[("jobTemplate", Shape::Map(&[("spec", Shape::Map(&[]))]))]);
const POD_TEMPLATE: Shape = Shape::Map(&[("spec", POD_SPEC)]);
const POD_SPEC: Shape = Shape::Map(&[("initContainers", CONTAINERS), ("containers", CONTAINERS)]);
const CONTAINERS: Shape = Shape::List(&Shape::Map(&[("env", Shape::List(&VARIABLE))]));
const VARIABLE: Shape = Shape::Map(&[
    ("name", Shape::Text),
    ("value", Shape::Text),
    ("valueFrom", Shape::Map(&[("secretKeyRef", SECRET_KEY_REF)])),
]);
const SECRET_KEY_REF: Shape = Shape::Map(&[
    ("name", Shape::Text),
    ("key", Shape::Text),
    ("optional", Shape::Flag),
]);

/// The first place at which `value` has not the shape; null has any.
fn misfit(value: &Value, path: &str, shape: &Shape) -> Option<String> {
    match (shape, value) {
        (_, Value::Null) | (Shape::Text, Value::String(_)) | (Shape::Flag, Value::Bool(_)) => None,
        (Shape::Map(fields), Value::Object(map)) => fields
            .iter()
            .find_map(|(name, shape)| misfit(map.get(*name)?, &format!("{path}.{name}"), shape)),
        (Shape::List(shape), Value::Array(list)) => list
            .iter()
            .enumerate()
            .find_map(|(index, value)| misfit(value, &format!("{path}[{index}]"), shape)),
        _ => Some(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
        assert!(!one.may_mention_a_credential());
        for text in ["ARGO_CD_TOKEN", r"ARGO\u005fCD_TOKEN"] {
            let spec = format!(r#"{{"template":{{"spec":{{"containers":"{text}"}}}}}}"#);
            assert!(read(&spec).may_mention_a_credential());
        }
    }
}
