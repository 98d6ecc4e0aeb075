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

impl Expected {
    /// Whether this verdict with this message is the expected one.
    pub(crate) fn is_met(self, verdict: &str, message: &str) -> bool {
        let names = |rule: Rule| message.contains(&format!("[{}]", rule.id()));
        match self {
            Expected::Allowed => verdict == "allowed",
            Expected::Warned(rule) => verdict == "warned" && names(rule),
            Expected::Refused(rule) => verdict == "refused" && names(rule),
        }
    }
}

/// Every example, in the order of the table.
pub(crate) fn examples() -> Vec<Example> {
    use Expected::{Allowed, Refused, Warned};
    let null = &Value::Null;
    let good = &json!({"accounts.admin": "apiKey, login", "url": "https://argocd.example.com"});
    let login = &json!({"accounts.admin": "login"});
    let off = &json!({"accounts.admin": "apiKey, login", "admin.enabled": "false"});
    let unparsed = &json!({"accounts.admin": "apiKey, login", "accounts.bob.enabled": "maybe"});
    let url = &json!({"accounts.admin": "login,apiKey", "url": "https://cd.example.com"});
    let create = |secret| deployment("CREATE", EXTERNAL, null, &spec(secret, 1));
    let examples = [
        (
            "patch argocd-cm: drop apiKey from admin",
            Refused(Rule::ApiKeyRemoved),
            argocd_cm("UPDATE", "alice", good, login),
        ),
        (
            "patch argocd-cm: switch admin off",
            Refused(Rule::AccountDisabled),
            argocd_cm("UPDATE", "alice", good, off),
        ),
        (
            "patch argocd-cm: a switch of bob that Argo CD cannot parse",
            Refused(Rule::Unreadable),
            argocd_cm("UPDATE", "alice", good, unparsed),
        ),
        (
            "patch argocd-cm: change the URL only",
            Allowed,
            argocd_cm("UPDATE", "alice", good, url),
        ),
        (
            "delete argocd-cm",
            Refused(Rule::ConfigMapDeleted),
            argocd_cm("DELETE", "alice", good, null),
        ),
        (
            "delete argocd-cm with its namespace",
            Allowed,
            argocd_cm("DELETE", CLUSTER_CONTROLLERS[0], good, null),
        ),
        (
            "create argocd-cm without apiKey",
            Warned(Rule::ApiKeyMissing),
            argocd_cm("CREATE", "alice", null, login),
        ),
        (
            "create a Deployment whose token is good",
            Allowed,
            create("good"),
        ),
        (
            "create a Deployment whose Secret is missing",
            Refused(Rule::SecretMissing),
            create("forgotten"),
        ),
        (
            "… whose token ends in a newline",
            Refused(Rule::ValueMalformed),
            create("newline"),
        ),
        (
            "… whose token begins with Bearer",
            Refused(Rule::ValueMalformed),
            create("bearer"),
        ),
        (
            "… whose token was base64-encoded twice",
            Refused(Rule::ValueMalformed),
            create("encoded-twice"),
        ),
        (
            "… whose token expires",
            Refused(Rule::TokenExpires),
            create("expiring"),
        ),
        (
            "… whose token is a login session",
            Refused(Rule::NotAnApiKey),
            create("session"),
        ),
        (
            "… whose token is empty",
            Refused(Rule::ValueMalformed),
            create("empty"),
        ),
        (
            "install a fresh Runtime with its own Argo CD",
            Warned(Rule::SecretNotYetMade),
            deployment("CREATE", FRESH, null, &spec("argocd-token", 1)),
        ),
        (
            "scale a Deployment whose Secret is gone to zero",
            Warned(Rule::SecretMissing),
            deployment(
                "UPDATE",
                EXTERNAL,
                &spec("forgotten", 1),
                &spec("forgotten", 0),
            ),
        ),
    ];
    let example = |(asked, expected, review)| Example {
        asked,
        expected,
        review,
    };
    examples.map(example).into()
}

fn argocd_cm(operation: &str, user: &str, old: &Value, new: &Value) -> Value {
    let metadata = json!({
        "name": "argocd-cm", "namespace": "argocd", "labels": {"app.kubernetes.io/part-of": "argocd"},
    });
    let object = |data: &Value| match data {
        Value::Null => Value::Null,
        data => {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
        }
    };
    review(json!({
        "uid": "demo-argocd-cm",
        "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
        "resource": {"group": "", "version": "v1", "resource": "configmaps"},
        "name": "argocd-cm", "namespace": "argocd", "operation": operation,
        "userInfo": {"username": user, "groups": ["system:authenticated"]},
        "object": object(new), "oldObject": object(old),
    }))
}

fn deployment(operation: &str, namespace: &str, old: &Value, new: &Value) -> Value {
    let object = |spec: &Value| match spec {
        Value::Null => Value::Null,
        spec => json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec,
                       "metadata": {"name": "gitops-operator", "namespace": namespace}}),
    };
    review(json!({
        "uid": "demo-gitops-operator",
        "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
        "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "name": "gitops-operator", "namespace": namespace, "operation": operation,
        "userInfo": {"username": "alice", "groups": ["system:authenticated"]},
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

fn review(request: Value) -> Value {
    json!({"apiVersion": API_VERSION, "kind": KIND, "request": request})
}
