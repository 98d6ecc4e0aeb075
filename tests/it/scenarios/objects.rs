//! Objects that start valid; each argument is what a test is about.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Each kind of workload: its version, its kind, and the path of its pod spec.
pub(crate) const KINDS: [(&str, &str, &str); 8] = [
    ("apps/v1", "Deployment", "spec.template.spec"),
    ("apps/v1", "StatefulSet", "spec.template.spec"),
    ("apps/v1", "DaemonSet", "spec.template.spec"),
    ("apps/v1", "ReplicaSet", "spec.template.spec"),
    ("batch/v1", "Job", "spec.template.spec"),
    ("batch/v1", "CronJob", "spec.jobTemplate.spec.template.spec"),
    ("argoproj.io/v1alpha1", "Rollout", "spec.template.spec"),
    ("v1", "Pod", "spec"),
];

/// `argocd-cm` as Argo CD finds it.
pub(crate) fn argocd_cm(data: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "argocd-cm",
            "labels": {"app.kubernetes.io/part-of": "argocd"},
        },
        "data": data,
    })
}

/// A Secret with one key.
pub(crate) fn secret(name: &str, key: &str, value: impl AsRef<[u8]>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "data": {key: STANDARD.encode(value)},
    })
}

/// `ARGO_CD_TOKEN` from a Secret.
pub(crate) fn token_from(secret: &str, key: &str) -> Value {
    variable_from("ARGO_CD_TOKEN", secret, key)
}

/// `ARGO_CD_PASSWORD` from a Secret.
pub(crate) fn password_from(secret: &str, key: &str) -> Value {
    variable_from("ARGO_CD_PASSWORD", secret, key)
}

/// The two variables by which a component finds its token itself.
pub(crate) fn token_by_name(secret: &str, key: &str) -> Vec<Value> {
    vec![
        json!({"name": "ARGO_CD_TOKEN_SECRET_NAME", "value": secret}),
        json!({"name": "ARGO_CD_TOKEN_SECRET_KEY", "value": key}),
    ]
}

fn variable_from(variable: &str, secret: &str, key: &str) -> Value {
    json!({"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
}

/// A variable whose Secret need not be there.
pub(crate) fn optional(mut variable: Value) -> Value {
    variable["valueFrom"]["secretKeyRef"]["optional"] = true.into();
    variable
}

/// A Deployment of one container with this environment.
pub(crate) fn deployment(name: &str, env: Vec<Value>) -> Value {
    workload(
        "Deployment",
        name,
        &json!({"containers": [container("runtime", env)]}),
    )
}

pub(crate) fn container(name: &str, env: Vec<Value>) -> Value {
    json!({"name": name, "image": "example.invalid/runtime", "env": env})
}

/// A workload of one of the [`KINDS`] with this pod spec.
pub(crate) fn workload(kind: &str, name: &str, pod: &Value) -> Value {
    let (version, ..) = KINDS
        .into_iter()
        .find(|(_, known, _)| *known == kind)
        .expect("one of the kinds");
    let mut pod = pod.clone();
    if ["Job", "CronJob", "Pod"].contains(&kind) {
        pod["restartPolicy"] = "Never".into();
    }
    let labels = json!({"app": "runtime"});
    let template = json!({"metadata": {"labels": labels}, "spec": pod});
    let spec = match kind {
        "Pod" => pod,
        "Job" => json!({"template": template}),
        "CronJob" => json!({
            "schedule": "0 0 1 1 *",
            "jobTemplate": {"spec": {"template": template}},
        }),
        _ => json!({
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": template,
        }),
    };
    let mut object = json!({
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    });
    if kind == "StatefulSet" {
        // The oldest Kubernetes demands it.
        object["spec"]["serviceName"] = name.into();
    }
    if kind == "DaemonSet" {
        object["spec"]
            .as_object_mut()
            .expect("a map")
            .remove("replicas");
    }
    object
}

/// What an object becomes by a merge patch.
///
/// Source: RFC 7386.
pub(crate) fn merged(object: &Value, patch: &Value) -> Value {
    let Value::Object(changes) = patch else {
        return patch.clone();
    };
    let mut result = object.as_object().cloned().unwrap_or_default();
    for (key, change) in changes {
        let known = result.remove(key).unwrap_or_default();
        if !change.is_null() {
            result.insert(key.clone(), merged(&known, change));
        }
    }
    Value::Object(result)
}
