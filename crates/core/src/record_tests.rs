use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::policy::rules::Modes;
use crate::policy::verdict::{Finding, Severity};

fn request(changes: &Value) -> Request {
    let mut request = json!({
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": "UPDATE", "name": "argocd-cm", "namespace": "argocd",
        "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
        "userInfo": {"username": "alice", "groups": ["dev", "ops,admins"]},
        "object": {"metadata": {"name": "argocd-cm"}}, "oldObject": {"metadata": {"name": "argocd-cm"}},
    });
    let members = changes.as_object().unwrap().clone();
    request.as_object_mut().unwrap().extend(members);
    let review =
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
    Request::decode(review.to_string().as_bytes(), 64).unwrap()
}

fn circumstances() -> Circumstances {
    Circumstances {
        id: "0199-1".to_owned(),
        time: "2026-11-26T12:00:00.000Z".to_owned(),
        duration_seconds: 0.25,
        kept: None,
    }
}

fn finding(what: &str, fields: usize) -> Finding {
    Finding {
        rule: Rule::SecretMissing,
        severity: Severity::Refusal,
        fields: (0..fields)
            .map(|number| format!("spec[{number}]"))
            .collect(),
        what: what.to_owned(),
        mend: "Mend it.".to_owned(),
    }
}

fn recorded(request: &Request, verdict: &Verdict) -> Value {
    serde_json::to_value(Record::of(request, verdict, &[], circumstances())).unwrap()
}

#[test]
fn what_is_empty_is_left_out() {
    let record = recorded(
        &request(&json!({})),
        &Verdict::of(Vec::new(), &Modes::default()),
    );
    let expected = json!({
        "id": "0199-1", "time": "2026-11-26T12:00:00.000Z", "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "decision": "allow", "webhook": "argocd-cm", "operation": "UPDATE", "dryRun": false,
        "object": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "argocd", "name": "argocd-cm"},
        "user": {"name": "alice", "groups": ["dev", "ops,admins"]}, "durationSeconds": 0.25,
    });
    assert_eq!(record, expected);
}

#[test]
fn it_tells_by_whom_and_by_what_the_change_came() {
    let metadata = json!({
        "name": "argocd-cm",
        "annotations": {
            "argocd.argoproj.io/tracking-id": "platform:/ConfigMap:argocd/argocd-cm",
            "meta.helm.sh/release-name": "argo",
        },
        "labels": {"kustomize.toolkit.fluxcd.io/name": "apps", "helm.toolkit.fluxcd.io/name": "argo-cd"},
    });
    let request = request(&json!({
        "object": {"metadata": metadata},
        "options": {"kind": "UpdateOptions", "fieldManager": "argocd-controller"},
        "userInfo": {"username": "system:serviceaccount:argocd:controller", "extra": {
            "authentication.kubernetes.io/credential-id": ["JTI=7ee52be0"],
            "authentication.kubernetes.io/pod-name": ["controller-0"],
            "other": ["more"],
        }},
    }));
    let record = recorded(&request, &Verdict::of(Vec::new(), &Modes::default()));
    let tool = json!({
        "fieldManager": "argocd-controller", "argocdApplication": "platform", "helmRelease": "argo",
        "fluxKustomization": "apps", "fluxHelmRelease": "argo-cd",
    });
    assert_eq!(record["tool"], tool);
    let user = json!({
        "name": "system:serviceaccount:argocd:controller", "credentialId": "JTI=7ee52be0", "pod": "controller-0",
    });
    assert_eq!(record["user"], user);
}

#[test]
fn findings_are_listed_as_far_as_there_is_room_and_the_rest_is_counted() {
    let findings = (0..100).map(|_| finding(&"x".repeat(900), 40)).collect();
    let record = recorded(
        &request(&json!({})),
        &Verdict::of(findings, &Modes::default()),
    );
    let listed = record["findings"].as_array().unwrap();
    assert!((5..30).contains(&listed.len()), "{}", listed.len());
    assert_eq!(record["findingsLeftOut"], 100 - listed.len());
    assert_eq!(listed[0]["fields"].as_array().unwrap().len(), 32);
    assert_eq!(listed[0]["effect"], "deny");
    assert_eq!(record["rules"], json!(["credentials/secret-missing"]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_record_is_longer_than_an_entry_of_a_transparency_log(
        texts in prop::collection::vec("[\\x00-\\x1fa-zü\"]{0,2000}", 8),
        groups in prop::collection::vec("[\\x00-\\x1f]{0,400}", 0..60),
        many in 0_usize..200,
    ) {
        let text = |index: usize| texts[index].clone();
        let request = request(&json!({
            "uid": format!("u{}", text(0)), "namespace": text(1),
            "options": {"fieldManager": text(2)},
            "userInfo": {"username": text(3), "groups": groups},
            "object": {"metadata": {"name": "argocd-cm", "annotations": {
                "argocd.argoproj.io/tracking-id": format!("{}:", text(4)), "meta.helm.sh/release-name": text(5)}}},
        }));
        let findings = (0..many).map(|_| finding(&format!("{:?}", text(6)), 40)).collect();
        let verdict = Verdict::of(findings, &Modes::default()).because(&text(7));
        let secrets: Vec<Name> = (0..many).map(|_| Name::from("s".repeat(253).as_str())).collect();
        let record = Record::of(&request, &verdict, &secrets, circumstances());
        let bytes = serde_json::to_vec(&record).unwrap();
        prop_assert!(bytes.len() <= 65_535, "{}", bytes.len());
        prop_assert_eq!(serde_json::from_slice::<Record>(&bytes).unwrap(), record);
    }
}
