//! Reviews as kube-apiserver sends them, with the managed fields that make most of their size.

use serde_json::{Value, json};

/// An UPDATE of `argocd-cm` of some 3.8 KB that changes nothing about accounts: the common case.
pub(crate) fn argocd_cm_update() -> Vec<u8> {
    // The last manager is the one who writes.
    let managed_fields = |written: &str| -> Vec<Value> {
        ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", written]
        .iter()
        .enumerate()
        .map(|(index, time)| {
            json!({"manager": format!("manager-{index}"), "operation": "Update", "apiVersion": "v1",
                   "time": time, "fieldsType": "FieldsV1",
                   "fieldsV1": {"f:data": {".": {}, "f:accounts.admin": {}, "f:admin.enabled": {}, "f:url": {}},
                                "f:metadata": {"f:labels": {".": {}, "f:app.kubernetes.io/part-of": {}}}}})
        })
        .collect()
    };
    let object = |url: &str, written: &str| {
        json!({"kind": "ConfigMap", "apiVersion": "v1",
               "metadata": {"name": "argocd-cm", "namespace": "argocd", "uid": "9f0c6c26-2b8e-4c39-9d5b-0a5f0c3b7c11",
                            "resourceVersion": "123456", "creationTimestamp": "2026-01-01T00:00:00Z",
                            "labels": {"app.kubernetes.io/name": "argocd-cm", "app.kubernetes.io/part-of": "argocd"},
                            "managedFields": managed_fields(written)},
               "data": {"accounts.admin": "apiKey, login", "admin.enabled": "true", "url": url,
                        "timeout.reconciliation": "180s", "application.instanceLabelKey": "argocd.argoproj.io/instance"}})
    };
    review(&json!({
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
        "resource": {"group": "", "version": "v1", "resource": "configmaps"},
        "requestKind": {"group": "", "version": "v1", "kind": "ConfigMap"},
        "requestResource": {"group": "", "version": "v1", "resource": "configmaps"},
        "name": "argocd-cm", "namespace": "argocd", "operation": "UPDATE",
        "userInfo": {"username": "alice@example.com", "uid": "1", "groups": ["developers", "system:authenticated"]},
        "object": object("https://argocd.example.com", "2026-01-05T00:00:00Z"),
        "oldObject": object("https://cd.example.com", "2026-01-04T00:00:00Z"),
        "dryRun": false, "options": {"kind": "UpdateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "kubectl"},
    }))
}

/// Wraps a request.
pub(crate) fn review(request: &Value) -> Vec<u8> {
    let review =
        json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request});
    review.to_string().into_bytes()
}
