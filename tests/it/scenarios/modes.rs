//! What the operator decides: the mode of each rule, and who is exempt.

use serde_json::{Value, json};

use super::guard::{Guard, Scene};
use super::objects::{argocd_cm, deployment, secret, token_from};
use super::reviews::creation;
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
        .map(|line| ["decision", "rules"].map(|field| line[field].as_str().unwrap_or_default()))
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
            "credentials/value-empty": "warn"
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
    warned_of(scene.send(["create"], &empty), &["credentials/value-empty"]);
    let key = deployment("key", vec![token_from("empty", "other")]);
    refused_by(scene.send(["create"], &key), &["credentials/key-missing"]);

    assert_eq!(
        decided(&guard.decisions(&scene)),
        [
            ["allow", "none"],
            ["warn", removed[0]],
            ["allow", "none"],
            ["audit", "accounts/account-disabled"],
            ["audit", "accounts/api-key-missing"],
            ["allow", "none"],
            ["deny", unreadable[0]],
            ["audit", "credentials/secret-missing"],
            ["warn", "credentials/value-empty"],
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
            ["exempt", "none"],
            ["deny", "accounts/api-key-removed"],
            ["exempt", "none"],
            ["exempt", "none"],
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

#[test]
fn an_exempt_namespace_is_not_asked_about_and_let_through_if_it_is() {
    let plane = ControlPlane::shared();
    let namespace = plane.fresh_namespace("sandbox");
    let options = Options {
        config: Some(format!("exemptNamespaces: [{namespace}]")),
        ..Options::default()
    };
    let keyguard = Keyguard::start(plane, &options);
    let _installed = keyguard.install(plane, &[&namespace]);
    let scene = Scene { plane, namespace };
    let runtime = deployment("runtime", vec![token_from("gone", "key")]);
    scene.create(&[good(), runtime.clone()]).expect_silence();
    warned_of(scene.alice().run(LOSS), &[]);

    let review = creation(&scene.namespace, &runtime).to_string();
    let answer = keyguard.post("application/json", &review);
    let answer: Value = serde_json::from_str(&answer.body).expect("a review");
    assert_eq!(answer["response"]["allowed"], true);
    assert_eq!(answer["response"]["auditAnnotations"]["decision"], "exempt");
    let in_scene = |line: &Value| line["object.namespace"] == scene.namespace;
    keyguard.log_line("the review that was posted", in_scene);
    let lines = keyguard.log().into_iter().filter(in_scene);
    let passages: Vec<_> = lines.map(|line| line["passage"].clone()).collect();
    assert_eq!(passages, ["exempt-namespace"]);
}
