use super::tests::{decode, with};
use super::*;
use serde_json::{Value, json};

fn workload_review(kind: WorkloadKind) -> Value {
    let (group, version, name, _) = kind.names();
    let pod = json!({"containers": [{"env": [
        {"name": "ARGO_CD_TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}]});
    let spec = match kind {
        WorkloadKind::Pod => pod,
        WorkloadKind::CronJob => json!({"jobTemplate": {"spec": {"template": {"spec": pod}}}}),
        _ => json!({"replicas": 1, "template": {"spec": pod}}),
    };
    json!({
        "uid": "u-2", "kind": {"group": group, "version": version, "kind": name},
        "name": "w", "namespace": "gitops", "operation": "UPDATE", "userInfo": {},
        "object": {"metadata": {"name": "w"}, "spec": spec}, "oldObject": {"metadata": {"name": "w"}, "spec": spec},
    })
}

#[test]
fn every_kind_of_workload_gives_its_references_with_their_field() {
    for kind in WorkloadKind::ALL {
        let request = decode(workload_review(kind)).unwrap();
        let webhook = match kind {
            WorkloadKind::Rollout => Webhook::Rollouts,
            _ => Webhook::Workloads,
        };
        assert_eq!(request.webhook, webhook);
        let Subject::Workload {
            references,
            unchanged,
            controlled,
        } = request.case.subject
        else {
            panic!("{kind:?}")
        };
        assert!(unchanged && !controlled, "{kind:?}");
        let field = format!("{}.containers[0].env[0]", kind.pod_spec_path());
        assert_eq!(references.found[0].field, field);
    }
}

#[test]
fn only_what_a_controller_with_a_judged_template_makes_is_passed_over() {
    let owner = |api_version: &str, kind: &str, controller: bool| json!([{"apiVersion": api_version, "kind": kind, "name": "o", "controller": controller}]);
    let table = [
        ("apps/v1", "ReplicaSet", vec![WorkloadKind::Pod]),
        ("apps/v1", "StatefulSet", vec![WorkloadKind::Pod]),
        ("apps/v1", "DaemonSet", vec![WorkloadKind::Pod]),
        ("batch/v1", "Job", vec![WorkloadKind::Pod]),
        ("apps/v1", "Deployment", vec![WorkloadKind::ReplicaSet]),
        (
            "argoproj.io/v1alpha1",
            "Rollout",
            vec![WorkloadKind::ReplicaSet],
        ),
        ("batch/v1", "CronJob", vec![WorkloadKind::Job]),
        ("v1", "ReplicationController", vec![]),
        ("apps.kruise.io/v1alpha1", "CloneSet", vec![]),
        ("apps.kruise.io/v1beta1", "StatefulSet", vec![]),
        ("v1", "ReplicaSet", vec![]),
    ];
    for kind in WorkloadKind::ALL {
        for (api_version, owner_kind, kinds) in &table {
            for controller in [true, false] {
                let mut request = workload_review(kind);
                request["object"]["metadata"]["ownerReferences"] =
                    owner(api_version, owner_kind, controller);
                let subject = decode(request).unwrap().case.subject;
                let Subject::Workload { controlled, .. } = subject else {
                    panic!("{kind:?}")
                };
                let expected = controller && kinds.contains(&kind);
                assert_eq!(controlled, expected, "{kind:?} {api_version} {owner_kind}");
            }
        }
    }
}

#[test]
fn a_changed_template_is_told_from_changed_replicas() {
    let unchanged = |request| match decode(request).unwrap().case.subject {
        Subject::Workload { unchanged, .. } => unchanged,
        other => panic!("{other:?}"),
    };
    let scaled = with(
        workload_review(WorkloadKind::Deployment),
        "/object/spec/replicas",
        json!(5),
    );
    assert!(unchanged(scaled));
    let mut changed = workload_review(WorkloadKind::Deployment);
    changed["object"]["spec"]["template"]["metadata"] =
        json!({"annotations": {"restarted": "now"}});
    assert!(!unchanged(changed));
    assert!(!unchanged(with(
        workload_review(WorkloadKind::Deployment),
        "/operation",
        json!("CREATE")
    )));
}

/// A Rollout that mentions a credential and has a number where text belongs.
fn malformed(operation: &str) -> Value {
    let mut review = with(
        workload_review(WorkloadKind::Rollout),
        "/operation",
        json!(operation),
    );
    for which in ["object", "oldObject"] {
        let env = &mut review[which]["spec"]["template"]["spec"]["containers"][0]["env"];
        env.as_array_mut()
            .unwrap()
            .push(json!({"name": "A", "value": 5}));
    }
    review
}

#[test]
fn a_malformed_workload_is_judged_as_such_unless_it_stays_as_it_was() {
    let subject = |review| decode(review).unwrap().case.subject;
    let malformed_at = |unchanged| Subject::Malformed {
        kind: "Rollout",
        field: "spec.template.spec.containers[0].env[1].value".to_owned(),
        controlled: false,
        unchanged,
    };
    assert_eq!(subject(malformed("CREATE")), malformed_at(false));
    assert_eq!(subject(malformed("UPDATE")), malformed_at(true));
    let scaled = with(malformed("UPDATE"), "/object/spec/replicas", json!(0));
    assert_eq!(subject(scaled), malformed_at(true));
    let good = workload_review(WorkloadKind::Rollout);
    let mut broken = malformed("UPDATE");
    broken["oldObject"] = good["object"].clone();
    assert_eq!(subject(broken), malformed_at(false));
    let mut mended = malformed("UPDATE");
    mended["object"] = good["object"].clone();
    let Subject::Workload {
        references,
        unchanged,
        ..
    } = subject(mended)
    else {
        panic!("a mended workload is read")
    };
    assert!(!unchanged && references.found.len() == 1);
}

#[test]
fn a_malformed_workload_that_is_being_deleted_or_mentions_no_credential_is_let_go() {
    let mut leaving = malformed("UPDATE");
    leaving["oldObject"]["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    leaving["object"]["spec"] = json!([1]);
    let request = decode(leaving).unwrap();
    assert!(request.case.being_deleted);
    let policy = crate::policy::decide::Policy::default();
    let verdict = policy.decide(&request.case, None);
    assert_eq!(
        verdict.passage.map(|passage| passage.name()),
        Some("being-deleted")
    );
    let mut other = workload_review(WorkloadKind::Rollout);
    other["object"]["spec"]["template"] = json!([1]);
    let verdict = policy.decide(&decode(other).unwrap().case, None);
    assert!(verdict.allowed() && verdict.judged.is_empty());
}
