//! How many series the metrics have does not depend on what is reviewed.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::tests::{Forced, admission};
use super::*;
use keyguard_core::policy::namespace_label::NamespaceLabel;

/// Reviews with namespaces, names and users that none but them has.
const REVIEWS: usize = 10_000;

/// A review of each kind in turn, in which everything that a client chooses has the number `index` in its name.
fn review(index: usize) -> Value {
    let (namespace, name) = (format!("namespace-{index}"), format!("name-{index}"));
    let labels = json!({"app.kubernetes.io/part-of": "argocd"});
    let config = |capabilities: &str| {
        let data =
            json!({"accounts.admin": capabilities, format!("accounts.user-{index}"): capabilities});
        json!({"metadata": {"name": "argocd-cm", "namespace": namespace, "labels": labels}, "data": data})
    };
    let secret =
        json!({"secretKeyRef": {"name": format!("secret-{index}"), "key": format!("key-{index}")}});
    let container = json!({"name": "c", "env": [{"name": "ARGO_CD_TOKEN", "valueFrom": secret}]});
    let pod = json!({"containers": [container]});
    let workload = json!({"metadata": {"name": name}, "spec": {"template": {"spec": pod}}});
    let value =
        |text: &str| json!({"metadata": {"name": name}, "data": {format!("key-{index}"): text}});
    let (group, version, kind, name, operation, object, old) = match index % 6 {
        0 => (
            "",
            "v1",
            "ConfigMap",
            "argocd-cm",
            "UPDATE",
            config("login"),
            config("apiKey, login"),
        ),
        1 => (
            "",
            "v1",
            "ConfigMap",
            "argocd-cm",
            "CREATE",
            config("apiKey"),
            Value::Null,
        ),
        2 => (
            "apps",
            "v1",
            "Deployment",
            &*name,
            "CREATE",
            workload,
            Value::Null,
        ),
        3 => (
            "argoproj.io",
            "v1alpha1",
            "Rollout",
            &*name,
            "CREATE",
            workload,
            Value::Null,
        ),
        4 => (
            "",
            "v1",
            "Secret",
            &*name,
            "UPDATE",
            value("Yg=="),
            value("YQ=="),
        ),
        _ => (
            &*namespace,
            &*name,
            &*name,
            &*name,
            &*name,
            workload,
            Value::Null,
        ),
    };
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": format!("uid-{index}"), "operation": operation, "namespace": namespace, "name": name,
        "kind": {"group": group, "version": version, "kind": kind},
        "userInfo": {"username": format!("user-{index}"), "groups": [format!("group-{index}")]},
        "object": object, "oldObject": old}})
}

/// What the metrics tell apart.
fn series(exposition: &str) -> BTreeSet<&str> {
    let samples = exposition.lines().filter(|line| !line.starts_with('#'));
    samples.filter_map(|line| line.rsplit(' ').nth(1)).collect()
}

#[tokio::test]
async fn ten_thousand_namespaces_and_names_make_no_more_series_than_a_few() {
    let mut admission = admission(Forced::secret(|| Some(SecretRead::Missing)));
    admission.policy.guard.secrets = true;
    let label = NamespaceLabel::parse("team=a").unwrap();
    admission.policy.exempt_namespace_labels = vec![label];
    let (mut few, mut answered) = (None, 0);
    for index in 0..REVIEWS {
        let body = Bytes::from(review(index).to_string());
        let mode = match index % 7 {
            0 => ReviewMode::Exempt,
            _ => ReviewMode::Guarded,
        };
        match admission.review(body, mode, None).await {
            Answer::Review(_) => answered += 1,
            // Operations are a closed set.
            Answer::Undecodable(why) => assert_eq!(index % 6, 5, "{why}"),
        }
        if index == 199 {
            few = Some(admission.metrics.encode());
        }
    }
    let (few, all) = (few.unwrap(), admission.metrics.encode());
    assert_eq!(series(&few), series(&all));
    println!("{} series after {REVIEWS} reviews", series(&all).len());
    let counted = |metric: &str| -> usize {
        let samples = all.lines().filter(|line| line.starts_with(metric));
        let values = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
        values.sum()
    };
    assert_eq!(counted("keyguard_review_duration_seconds_count"), answered);
    for counted in [
        r#"webhook="argocd-cm",operation="UPDATE",decision="deny",rule="accounts/api-key-removed""#,
        r#"webhook="argocd-cm",operation="UPDATE",decision="exempt",rule="none""#,
        r#"webhook="workloads",operation="CREATE",decision="deny",rule="credentials/secret-missing""#,
        r#"webhook="rollouts",operation="CREATE",decision="deny",rule="credentials/secret-missing""#,
        r#"webhook="secrets",operation="UPDATE",decision="allow",rule="none""#,
    ] {
        assert!(all.contains(counted), "{counted}\n{all}");
    }
    assert!(
        counted("keyguard_secret_reads_total") > REVIEWS / 10,
        "{all}"
    );
}
