//! What the demonstration asks, and what must come of it.

use serde_json::{Value, json};

use crate::commands::demo::state::{EXTERNAL, FRESH};
use keyguard_core::policy::decide::CLUSTER_CONTROLLERS;
use keyguard_core::policy::rules::Rule;
use keyguard_core::review::request::{API_VERSION, KIND};

/// A review with its expected verdict.
pub(crate) struct Example {
    /// What is asked, in a few words.
    pub(crate) asked: &'static str,
    /// What must come of it.
    pub(crate) expected: Expected,
    /// The AdmissionReview.
    pub(crate) review: Value,
}

/// What must come of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Goes through in silence.
    Allowed,
    /// Goes through with a warning under this rule.
    Warned(Rule),
    /// Is refused under this rule.
    Refused(Rule),
}

/// Every example, in the order of the table.
pub(crate) fn examples() -> Vec<Example> {
    use Expected::{Allowed, Refused, Warned};
    let good = json!({"accounts.admin": "apiKey, login", "url": "https://argocd.example.com"});
    let update = |new: Value| argocd_cm("UPDATE", "alice", &good, &new);
    let null = Value::Null;
    let mut examples = vec![
        Example {
            asked: "patch argocd-cm: drop apiKey from admin",
            expected: Refused(Rule::ApiKeyRemoved),
            review: update(json!({"accounts.admin": "login"})),
        },
        Example {
            asked: "patch argocd-cm: switch admin off",
            expected: Refused(Rule::AccountDisabled),
            review: update(json!({"accounts.admin": "apiKey, login", "admin.enabled": "false"})),
        },
        Example {
            asked: "patch argocd-cm: a switch of bob that Argo CD cannot parse",
            expected: Refused(Rule::Unreadable),
            review: update(
                json!({"accounts.admin": "apiKey, login", "accounts.bob.enabled": "maybe"}),
            ),
        },
        Example {
            asked: "patch argocd-cm: change the URL only",
            expected: Allowed,
            review: update(
                json!({"accounts.admin": "login,apiKey", "url": "https://cd.example.com"}),
            ),
        },
        Example {
            asked: "delete argocd-cm",
            expected: Refused(Rule::ConfigMapDeleted),
            review: argocd_cm("DELETE", "alice", &good, &null),
        },
        Example {
            asked: "delete argocd-cm with its namespace",
            expected: Allowed,
            review: argocd_cm("DELETE", CLUSTER_CONTROLLERS[0], &good, &null),
        },
        Example {
            asked: "create argocd-cm without apiKey",
            expected: Warned(Rule::ApiKeyMissing),
            review: argocd_cm(
                "CREATE",
                "alice",
                &null,
                &json!({"accounts.admin": "login"}),
            ),
        },
    ];
    let deployments = [
        (
            "create a Deployment whose token is good",
            "good",
            EXTERNAL,
            Allowed,
        ),
        (
            "create a Deployment whose Secret is missing",
            "forgotten",
            EXTERNAL,
            Refused(Rule::SecretMissing),
        ),
        (
            "… whose token ends in a newline",
            "newline",
            EXTERNAL,
            Refused(Rule::ValueMalformed),
        ),
        (
            "… whose token begins with Bearer",
            "bearer",
            EXTERNAL,
            Refused(Rule::ValueMalformed),
        ),
        (
            "… whose token was base64-encoded twice",
            "encoded-twice",
            EXTERNAL,
            Refused(Rule::ValueMalformed),
        ),
        (
            "… whose token expires",
            "expiring",
            EXTERNAL,
            Refused(Rule::TokenExpires),
        ),
        (
            "… whose token is a login session",
            "session",
            EXTERNAL,
            Refused(Rule::NotAnApiKey),
        ),
        (
            "… whose token is empty",
            "empty",
            EXTERNAL,
            Refused(Rule::ValueMalformed),
        ),
        (
            "install a fresh Runtime with its own Argo CD",
            "argocd-token",
            FRESH,
            Warned(Rule::SecretNotYetMade),
        ),
    ];
    examples.extend(
        deployments.map(|(asked, secret, namespace, expected)| Example {
            asked,
            expected,
            review: deployment("CREATE", namespace, &null, &spec(secret, 1)),
        }),
    );
    examples.push(Example {
        asked: "scale a Deployment whose Secret is gone to zero",
        expected: Warned(Rule::SecretMissing),
        review: deployment(
            "UPDATE",
            EXTERNAL,
            &spec("forgotten", 1),
            &spec("forgotten", 0),
        ),
    });
    examples
}

fn review(mut request: Value) -> Value {
    if let Some(request) = request.as_object_mut() {
        let uid = request
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        request.insert("uid".to_owned(), json!(format!("demo-{uid}")));
    }
    json!({"apiVersion": API_VERSION, "kind": KIND, "request": request})
}

fn argocd_cm(operation: &str, user: &str, old: &Value, new: &Value) -> Value {
    let object = |data: &Value| match data {
        Value::Null => Value::Null,
        data => json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data, "metadata": {
            "name": "argocd-cm", "namespace": "argocd", "labels": {"app.kubernetes.io/part-of": "argocd"}}}),
    };
    review(json!({
        "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
        "resource": {"group": "", "version": "v1", "resource": "configmaps"},
        "name": "argocd-cm", "namespace": "argocd", "operation": operation,
        "userInfo": {"username": user, "groups": ["system:authenticated"]},
        "object": object(new), "oldObject": object(old),
    }))
}

fn spec(secret: &str, replicas: u32) -> Value {
    json!({"replicas": replicas, "template": {"spec": {"containers": [{"name": "manager", "env": [
        {"name": "ARGO_CD_URL", "value": "argocd-server:80"},
        {"name": "ARGO_CD_TOKEN_SECRET_NAME", "value": secret},
        {"name": "ARGO_CD_TOKEN_SECRET_KEY", "value": "token"},
    ]}]}}})
}

fn deployment(operation: &str, namespace: &str, old: &Value, new: &Value) -> Value {
    let object = |spec: &Value| match spec {
        Value::Null => Value::Null,
        spec => json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec,
                       "metadata": {"name": "gitops-operator", "namespace": namespace}}),
    };
    review(json!({
        "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
        "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "name": "gitops-operator", "namespace": namespace, "operation": operation,
        "userInfo": {"username": "alice", "groups": ["system:authenticated"]},
        "object": object(new), "oldObject": object(old),
    }))
}
