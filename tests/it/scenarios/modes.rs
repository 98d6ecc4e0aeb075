//! What the operator decides: the mode of each rule, and who is exempt.

use serde_json::{Value, json};

use super::guard::{Guard, Scene};
use super::objects::{argocd_cm, deployment, secret, token_from};
use super::said::{refused_by, warned_of};
use crate::control_plane::ControlPlane;
use crate::control_plane::keyguard::{Keyguard, Options};

fn good() -> Value {
    argocd_cm(&json!({"accounts.admin": "apiKey", "admin.enabled": "true"}))
}

const LOSS: [&str; 4] = [
    "patch",
    "configmap/argocd-cm",
    "--type=merge",
    r#"--patch={"data":{"accounts.admin":"login"}}"#,
];

/// What each decision in a namespace was, and under which rules.
fn decided(decisions: &[Value]) -> Vec<[&str; 2]> {
    decisions
        .iter()
        .map(|line| {
            [&line["decision"], &line["rules"][0]].map(|text| text.as_str().unwrap_or_default())
        })
        .collect()
}

#[test]
fn a_rule_warns_or_is_only_recorded_as_configured_and_the_others_are_enforced() {
    let guard = Guard::configured(
        r#"{"rules": {
            "accounts/api-key-removed": "warn",
            "accounts/account-disabled": "audit",
            "accounts/api-key-missing": "audit",
            "credentials/secret-missing": "audit",
            "credentials/value-malformed": "warn"
        }}"#,
    );
    let scene = guard.scene("modes");
    scene
        .create(&[good(), secret("empty", "key", "")])
        .expect_silence();
    let removed = &["accounts/api-key-removed"];
    warned_of(scene.alice().run(LOSS), removed);
    warned_of(scene.send(["replace"], &good()), &[]);
    let patch = |data: &str| {
        let patch = format!("--patch={{\"data\":{data}}}");
        let [verb, object, kind, _] = LOSS;
        scene.alice().run([verb, object, kind, &patch])
    };
    warned_of(patch(r#"{"admin.enabled":"false"}"#), &[]);
    warned_of(patch(r#"{"url":"x"}"#), &[]);
    warned_of(scene.send(["replace"], &good()), &[]);
    let unreadable = &["accounts/unreadable"];
    refused_by(patch(r#"{"accounts.bob.enabled":"?"}"#), unreadable);

    let missing = deployment("missing", vec![token_from("gone", "key")]);
    warned_of(scene.send(["create"], &missing), &[]);
    let both = vec![token_from("empty", "key")];
    let empty = deployment("empty", both);
    warned_of(
        scene.send(["create"], &empty),
        &["credentials/value-malformed"],
    );
    let key = deployment("key", vec![token_from("empty", "other")]);
    refused_by(scene.send(["create"], &key), &["credentials/key-missing"]);

    assert_eq!(
        decided(&guard.decisions(&scene)),
        [
            ["allow", ""],
            ["warn", removed[0]],
            ["allow", ""],
            ["audit", "accounts/account-disabled"],
            ["allow", ""],
            ["allow", ""],
            ["deny", unreadable[0]],
            ["audit", "credentials/secret-missing"],
            ["warn", "credentials/value-malformed"],
            ["deny", "credentials/key-missing"],
        ]
    );
    // What is only recorded is in the cluster's own records too.
    let audited = scene.plane.audit_event("the Deployment", |event| {
        event["objectRef"]["namespace"] == scene.namespace
            && event["objectRef"]["name"] == "missing"
    });
    let annotations = &audited["annotations"];
    assert_eq!(annotations["workloads.keyguard.dev/decision"], "audit");
    assert_eq!(
        annotations["workloads.keyguard.dev/rules"],
        "credentials/secret-missing"
    );
}

#[test]
fn an_exempt_user_is_let_through_on_record_and_nobody_else() {
    let guard = Guard::configured("exemptUsers: [alice]");
    let scene = guard.scene("exempt");
    scene.create(&[good()]).expect_silence();
    refused_by(scene.admin().run(LOSS), &["accounts/api-key-removed"]);
    warned_of(scene.alice().run(LOSS), &[]);
    let runtime = deployment("runtime", vec![token_from("gone", "key")]);
    warned_of(scene.send(["create"], &runtime), &[]);
    let decisions = guard.decisions(&scene);
    assert_eq!(
        decided(&decisions),
        [
            ["exempt", ""],
            ["deny", "accounts/api-key-removed"],
            ["exempt", ""],
            ["exempt", ""],
        ]
    );
    assert_eq!(decisions[0]["passage"], "exempt-user");
    assert_eq!(decisions[0]["reason"], "exemptUsers: alice");
}

#[test]
fn members_of_an_exempt_group_are_let_through_on_record_with_the_entry() {
    let guard = Guard::configured("exemptGroups: [nobody, developers]");
    let scene = guard.scene("exempt-group");
    scene.create(&[good()]).expect_silence();
    refused_by(scene.admin().run(LOSS), &["accounts/api-key-removed"]);
    warned_of(scene.alice().run(LOSS), &[]);
    let decisions = guard.decisions(&scene);
    let exempt = decisions.last().expect("a decision");
    assert_eq!(exempt["decision"], "exempt");
    assert_eq!(exempt["passage"], "exempt-group");
    assert_eq!(exempt["reason"], "exemptGroups: developers");
    let counted = guard
        .keyguard
        .metric("keyguard_decisions_total", &[("decision", "exempt")]);
    // The marker at the end of the log is one more.
    assert_eq!(counted, 3.0);
    let audited = scene.plane.audit_event("the exempt patch", |event| {
        event["objectRef"]["namespace"] == scene.namespace
            && event["annotations"]["argocd-cm.keyguard.dev/decision"] == "exempt"
            && event["verb"] == "patch"
    });
    let reason = &audited["annotations"]["argocd-cm.keyguard.dev/reason"];
    assert_eq!(reason, "exemptGroups: developers");
}

/// The passages of a namespace that is exempt by these settings, for the ConfigMap that goes bad and the
/// workload without its Secret, and why.
fn exempt(namespace: String, config: String) -> Vec<[Value; 3]> {
    let plane = ControlPlane::shared();
    let options = Options {
        config: Some(config),
        ..Options::default()
    };
    let keyguard = Keyguard::start(plane, &options);
    let installed = keyguard.install(plane, &[&namespace]);
    let scene = Scene { plane, namespace };
    let runtime = deployment("runtime", vec![token_from("gone", "key")]);
    scene.create(&[good(), runtime]).expect_silence();
    warned_of(scene.alice().run(LOSS), &[]);
    let in_scene = |line: &Value| line["object"]["namespace"] == scene.namespace;
    let is_loss = |line: &Value| in_scene(line) && line["operation"] == "UPDATE";
    keyguard.log_line("the loss", is_loss);
    let lines = keyguard.log().into_iter().filter(in_scene);
    let told = lines.map(|line| ["decision", "passage", "reason"].map(|field| line[field].clone()));
    let told = told.collect();

    // Nothing waits for a keyguard that is gone.
    drop(keyguard);
    let delete = ["delete", "configmap/argocd-cm"];
    scene.alice().run(delete).expect_ok();
    drop(installed);
    told
}

#[test]
fn an_exempt_namespace_is_asked_about_for_the_record_only() {
    let plane = ControlPlane::shared();
    let namespace = plane.fresh_namespace("sandbox");
    let reason = format!("exemptNamespaces: {namespace}");
    let told = exempt(
        namespace.clone(),
        format!("exemptNamespaces: [{namespace}]"),
    );
    let expected = ["exempt", "exempt-namespace", &reason].map(Value::from);
    assert_eq!(told, [expected.clone(), expected.clone(), expected]);
    let audited = plane.audit_event("the exempt patch", |event| {
        event["objectRef"]["namespace"] == namespace && event["verb"] == "patch"
    });
    let annotations = &audited["annotations"];
    let annotation = |name: &str| &annotations[format!("exempt-argocd-cm.keyguard.dev/{name}")];
    assert_eq!(annotation("decision"), "exempt");
    assert_eq!(annotation("reason"), &reason);
    assert!(annotations["argocd-cm.keyguard.dev/decision"].is_null());
}

#[test]
fn a_namespace_with_an_exempt_label_is_asked_about_for_the_record_only() {
    let plane = ControlPlane::shared();
    let namespace = plane.fresh_namespace("sandbox");
    let label = ["label", "namespace", &namespace, "example.com/tier=sandbox"];
    plane.kubectl().run(label).expect_ok();
    let reason = "exemptNamespaceLabels: example.com/tier=sandbox";
    let told = exempt(
        namespace,
        "exemptNamespaceLabels: [example.com/tier=sandbox]".to_owned(),
    );
    let expected = ["exempt", "exempt-namespace-label", reason].map(Value::from);
    assert_eq!(told, [expected.clone(), expected.clone(), expected]);
}
