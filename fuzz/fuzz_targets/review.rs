//! The body of a review: whatever comes is answered or refused, and nothing that is no JSON is ever answered.
#![no_main]

use std::borrow::Cow;
use std::sync::LazyLock;

use keyguard_core::policy::decide::Policy;
use keyguard_core::policy::guard::Guard;
use keyguard_core::review::reply;
use keyguard_core::review::request::Request;
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde_json::Value;

/// Everything guarded that can be.
static POLICY: LazyLock<Policy> = LazyLock::new(|| Policy {
    guard: Guard {
        secrets: true,
        accounts_in_use: true,
        argocd_secret: true,
        runtime_namespaces: Vec::new(),
    },
    argocd_namespace: Some("argocd".to_owned()),
    break_glass_groups: vec!["on-call".to_owned()],
    ..Policy::default()
});

/// Read by types: serde_json takes a certain key of a [`Value`] for one of its own.
#[derive(Deserialize)]
struct Review<'a> {
    #[serde(borrow)]
    request: Asked<'a>,
}

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    uid: Cow<'a, str>,
}

fuzz_target!(|body: &[u8]| {
    let Ok(request) = Request::decode(body, 128) else {
        return;
    };
    // What is not needed is passed over as strictly.
    let review: Review<'_> = serde_json::from_slice(body).expect("what is answered is JSON");
    let _ = POLICY.plan(&request.case);
    let _ = POLICY.plan_use(&request.case);
    // Nothing was looked up, which is never taken for good.
    let verdict = POLICY.decide(&request.case, None);
    let answer = reply::encode(&request, &verdict, "record");
    let answer: Value = serde_json::from_slice(&answer).expect("the answer is JSON");
    let response = &answer["response"];
    assert_eq!(response["uid"], *review.request.uid);
    assert_eq!(response["allowed"], verdict.allowed());
    let warnings = response["warnings"].as_array();
    for warning in warnings.into_iter().flatten() {
        assert!(warning.as_str().expect("a text").chars().count() < 256);
    }
});
