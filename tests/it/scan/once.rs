//! One scan.

use serde_json::json;

use super::{State, argocd_cm, secret, workload};
use crate::check::formats;

/// An API key that does not expire, signed with the key of nobody.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhcmdvY2QiLCJzdWIiOiJhZG1pbjphcGlLZXkiLCJpYXQiOjE3OTQ5OTY0MDAsImp0aSI6IjEifQ.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

const KINDS: [&str; 8] = [
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "Job",
    "CronJob",
    "Rollout",
    "Pod",
];

#[test]
fn every_kind_is_judged_as_at_admission_and_what_a_controller_owns_in_its_owner() {
    let mut objects: Vec<_> = KINDS
        .iter()
        .map(|kind| workload(kind, "codefresh", "w", "absent"))
        .collect();
    let mut owned = workload("ReplicaSet", "codefresh", "owned", "absent");
    owned["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "w", "controller": true}]);
    let mut leaving = workload("Deployment", "codefresh", "leaving", "absent");
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let mut other = workload("Deployment", "codefresh", "other", "absent");
    other["spec"]["template"]["spec"]["containers"][0]["env"][0]["name"] = "OTHER".into();
    objects.extend([owned, leaving, other]);
    let state = State::of(&objects);
    let mut expected: Vec<String> = KINDS
        .iter()
        .map(|kind| format!("error credentials/secret-missing {kind} codefresh/w"))
        .collect();
    let mut found = state.findings("", &[]);
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    let report = state.report("", &[]);
    assert_eq!(report["checked"], json!({"files": 0, "objects": 11}));
    let finding = &report["findings"][0];
    assert_eq!(
        (&finding["file"], &finding["line"]),
        (&json!(""), &json!(0))
    );
    let message = finding["message"].as_str().unwrap();
    assert!(message.contains("\"absent\""), "{message}");
    assert!(!message.contains("credentials/secret-missing"), "{message}");
}

#[test]
fn the_exit_code_tells_findings_from_what_could_not_be_seen() {
    let good = State::of(&[
        workload("Deployment", "codefresh", "w", "s"),
        secret("codefresh", "s", &json!({"token": TOKEN})),
    ]);
    let ended = good.run("", &[]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let bad = State::of(&[
        workload("Deployment", "codefresh", "w", "s"),
        secret("codefresh", "s", &json!({"other": TOKEN})),
    ]);
    assert_eq!(bad.run("", &[]).code, Some(1));
    assert_eq!(bad.run("", &["--fail-on=never"]).code, Some(0));
    assert_eq!(
        bad.run("rules: {credentials/key-missing: warn}", &[]).code,
        Some(0)
    );
    assert_eq!(bad.run("", &["--namespace=A"]).code, Some(2));
    assert_eq!(bad.run("", &["--every=1m", "--format=json"]).code, Some(2));
    assert_eq!(bad.run("nonsense: 1", &[]).code, Some(2));
    let unreachable = State::of(&[]);
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {}}],
    });
    std::fs::write(
        unreachable.0.path().join("kubeconfig"),
        kubeconfig.to_string(),
    )
    .unwrap();
    let arguments = ["--kubeconfig=kubeconfig", "--format=json"];
    let ended = super::scan(unreachable.0.path(), &arguments);
    assert_eq!(ended.code, Some(3), "{}{}", ended.stdout, ended.stderr);
    assert!(
        ended.stdout.contains("deployments.apps in all namespaces"),
        "{}",
        ended.stdout
    );
}

#[test]
fn only_the_namespaces_that_are_named_are_looked_at_and_none_that_is_exempt() {
    let namespace = |name: &str, labels| json!({"kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    let state = State::of(&[
        workload("Deployment", "one", "w", "absent"),
        workload("Deployment", "two", "w", "absent"),
        workload("Deployment", "three", "w", "absent"),
        namespace("one", json!({})),
        namespace("three", json!({"team": "sandbox"})),
    ]);
    let found = |config, arguments: &[&str]| {
        let found = state.findings(config, arguments);
        let names = found
            .iter()
            .map(|it| it.rsplit_once(' ').unwrap().1.to_owned());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found("", &[]), "one/w three/w two/w");
    assert_eq!(found("", &["--namespace=one,two"]), "one/w two/w");
    assert_eq!(found("exemptNamespaces: [one]", &[]), "three/w two/w");
    assert_eq!(
        found("exemptNamespaceLabels: [team=sandbox]", &[]),
        "one/w two/w"
    );
}

#[test]
fn the_protected_accounts_of_every_argocd_cm_are_judged() {
    let good = json!({"accounts.admin": "apiKey, login"});
    let state = State::of(&[
        argocd_cm("good", true, &good),
        argocd_cm("bad", true, &json!({"accounts.admin": "login"})),
        argocd_cm("unlabelled", false, &good),
        secret(
            "unlabelled",
            "argocd-secret",
            &json!({"server.secretkey": "k"}),
        ),
    ]);
    let missing = "warning accounts/api-key-missing ConfigMap bad/argocd-cm";
    assert_eq!(state.findings("", &[]), [missing]);
    let verify = "verify: {argocdNamespace: unlabelled}";
    let unlabelled = "warning accounts/label-missing ConfigMap unlabelled/argocd-cm";
    assert_eq!(state.findings(verify, &[]), [missing, unlabelled]);
    assert_eq!(state.findings(verify, &["--namespace=good"]), [""; 0]);
}

#[test]
fn with_verify_argo_cds_own_state_decides() {
    let state = State::of(&[
        workload("Deployment", "codefresh", "w", "s"),
        workload("StatefulSet", "codefresh", "w", "s"),
        secret("codefresh", "s", &json!({"token": TOKEN})),
        argocd_cm("argocd", true, &json!({"accounts.admin": "apiKey, login"})),
        secret("argocd", "argocd-secret", &json!({"server.secretkey": "k"})),
    ]);
    assert_eq!(state.findings("", &[]), [""; 0]);
    let signature = |kind| format!("error credentials/token-signature {kind} codefresh/w");
    assert_eq!(
        state.findings("verify: {argocdNamespace: argocd}", &[]),
        ["Deployment", "StatefulSet"].map(signature)
    );
}

#[test]
fn no_output_has_a_value() {
    let state = State::of(&[
        workload("Deployment", "codefresh", "w", "s"),
        secret(
            "codefresh",
            "s",
            &json!({"token": format!("Bearer {TOKEN}")}),
        ),
    ]);
    for format in formats() {
        let ended = state.run("", &["--format", &format]);
        assert_eq!(ended.code, Some(1), "{format}: {}", ended.stderr);
        let all = ended.stdout + &ended.stderr;
        assert!(all.contains("codefresh"), "{format}: {all}");
        for part in TOKEN.split('.') {
            assert!(!all.contains(part), "{format}: {all}");
        }
    }
}
