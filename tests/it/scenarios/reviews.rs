//! Reviews as the API server sends them, for what no API server would send.

use serde_json::{Value, json};

/// A review of the creation of a Deployment in a namespace.
pub(crate) fn creation(namespace: &str, deployment: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
            "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
            "name": deployment["metadata"]["name"],
            "namespace": namespace,
            "operation": "CREATE",
            "userInfo": {"username": "alice", "groups": ["developers"]},
            "object": deployment,
            "oldObject": null,
            "dryRun": false,
        },
    })
}
