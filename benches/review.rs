//! Decode, decide, encode: what a review costs without TLS and HTTP.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use keyguard::policy::decide::Policy;
use keyguard::review::reply;
use keyguard::review::request::Request;

fn pipeline(body: &[u8], policy: &Policy) -> Vec<u8> {
    let request = Request::decode(body, 128).unwrap();
    let verdict = policy.decide(&request.case, None);
    reply::encode(&request, &verdict)
}

fn reviews(criterion: &mut Criterion) {
    let policy = Policy::default();
    let bodies = [
        ("argocd-cm", common::argocd_cm_update()),
        (
            "deployment",
            common::deployment_create("gitops", "argocd-token"),
        ),
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

criterion_group!(benches, reviews);
criterion_main!(benches);
