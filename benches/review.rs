//! Decode, decide, encode: what a review costs without TLS and HTTP.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

mod common;

use common::review;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use keyguard_core::policy::decide::Policy;
use keyguard_core::review::reply;
use keyguard_core::review::request::Request;
use serde_json::{Value, json};

fn pipeline(body: &[u8], policy: &Policy) -> Vec<u8> {
    let request = Request::decode(body, 128).unwrap();
    let verdict = policy.decide(&request.case, None);
    reply::encode(&request, &verdict, "record")
}

fn reviews(criterion: &mut Criterion) {
    let policy = Policy::default();
    let bodies = [
        ("argocd-cm", common::argocd_cm_update()),
        ("deployment", deployment_create("gitops", "argocd-token")),
    ];
    for (name, body) in bodies {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function("decode", |bencher| {
            bencher.iter(|| Request::decode(&body, 128))
        });
        group.bench_function("decode, decide, encode", |bencher| {
            bencher.iter(|| pipeline(&body, &policy));
        });
        group.bench_function("serde_json::Value, for comparison", |bencher| {
            bencher.iter(|| serde_json::from_slice::<serde_json::Value>(&body));
        });
        group.finish();
    }
}

/// A CREATE of a Deployment that refers to its token by name.
fn deployment_create(namespace: &str, secret: &str) -> Vec<u8> {
    let env: Vec<Value> = (0..20)
        .map(
            |index| json!({"name": format!("SETTING_{index}"), "value": "some value of a setting"}),
        )
        .chain([
            json!({"name": "ARGO_CD_TOKEN_SECRET_NAME", "value": secret}),
            json!({"name": "ARGO_CD_TOKEN_SECRET_KEY", "value": "token"}),
        ])
        .collect();
    review(&json!({
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
        "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "name": "gitops-operator", "namespace": namespace, "operation": "CREATE",
        "userInfo": {"username": "system:serviceaccount:argocd:argocd-application-controller",
                     "groups": ["system:serviceaccounts", "system:authenticated"]},
        "object": {"kind": "Deployment", "apiVersion": "apps/v1",
                   "metadata": {"name": "gitops-operator", "namespace": namespace},
                   "spec": {"replicas": 1, "template": {"spec": {"containers": [
                        {"name": "manager", "image": "example/gitops-operator:1", "env": env}]}}}},
        "oldObject": null, "dryRun": false,
    }))
}

criterion_group!(benches, reviews);
criterion_main!(benches);
