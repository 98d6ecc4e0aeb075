//! `argocd-cm` goes: by a person, as one of a collection, or because its
//! namespace ends.

use serde_json::{Value, json};

use super::guard::{Guard, Scene};
use super::objects::{argocd_cm, deployment, secret, token_from};
use super::said::{refused_by, warned_of};
use super::tokens::Token;
use crate::control_plane::users::GARBAGE_COLLECTOR;

const CONFIG_MAP: &str = "configmap/argocd-cm";
const DELETED: &[&str] = &["accounts/config-map-deleted"];

/// A scene with a good one and another ConfigMap.
fn scene(guard: &Guard, prefix: &str, accounts: &Value) -> Scene {
    let scene = guard.scene(prefix);
    let mut other = argocd_cm(accounts);
    other["metadata"]["name"] = "argocd-notifications-cm".into();
    scene
        .create(&[argocd_cm(accounts), other])
        .expect_no_refusal();
    scene
}

fn good() -> Value {
    json!({"accounts.admin": "apiKey, login"})
}

#[test]
fn deleting_it_is_refused_by_name_and_in_every_collection() {
    let guard = Guard::shared();
    let scene = scene(guard, "deleted", &good());
    let collection = format!("/api/v1/namespaces/{}/configmaps", scene.namespace);
    let ways: [&[&str]; 4] = [
        &["delete", CONFIG_MAP],
        &["delete", "--now", "--wait=false", CONFIG_MAP],
        &[
            "delete",
            "configmaps",
            "--selector=app.kubernetes.io/part-of=argocd",
        ],
        &["delete", "--raw", &collection],
    ];
    for arguments in ways {
        let refusal = refused_by(scene.alice().run(arguments), DELETED);
        assert!(refusal.contains("Keep argocd-cm"), "{refusal}");
        assert_eq!(scene.read(CONFIG_MAP, "{.metadata.name}"), "argocd-cm");
    }
    let decisions = guard.decisions(&scene);
    let (created, deleted) = decisions.split_first().expect("it was created");
    assert_eq!(created["operation"], "CREATE");
    assert_eq!(deleted.len(), ways.len(), "{deleted:#?}");
    for line in deleted {
        // The review of a collection carries no name beside the object.
        assert_eq!(line["object"]["name"], "argocd-cm");
        assert_eq!(line["operation"], "DELETE");
        assert_eq!(line["rules"], json!([DELETED[0]]));
    }
    let other = scene.read("configmap/argocd-notifications-cm", "{.metadata.name}");
    assert_eq!(other, "", "the other one of the collection is gone");
}

#[test]
fn one_that_gave_nobody_protected_an_api_key_may_go() {
    let worthless = [
        json!({"accounts.admin": "login"}),
        json!({"accounts.admin": "apiKey", "admin.enabled": "false"}),
        json!({"accounts.admin": "apiKey", "accounts.carol.enabled": "maybe"}),
        json!({"accounts.carol": "apiKey"}),
    ];
    let scene = Guard::shared().scene("worthless");
    for data in worthless {
        scene.create(&[argocd_cm(&data)]).expect_no_refusal();
        warned_of(scene.alice().run(["delete", CONFIG_MAP]), &[]);
    }
}

#[test]
fn one_that_gave_any_protected_account_an_api_key_stays() {
    let guard = Guard::configured("protectedAccounts: [admin, bot]");
    let accounts = json!({"accounts.bot": "apiKey"});
    let scene = guard.scene("bot");
    let created = scene.send(["create"], &argocd_cm(&accounts));
    warned_of(created, &["accounts/api-key-missing"]);
    let refusal = refused_by(scene.alice().run(["delete", CONFIG_MAP]), DELETED);
    assert!(refusal.contains(r#"account "bot""#), "{refusal}");
}

#[test]
fn a_namespace_with_it_and_a_runtime_in_it_ends() {
    let guard = Guard::shared();
    let scene = scene(guard, "ending", &good());
    let token = Token::api_key("admin").text();
    let runtime = deployment("runtime", vec![token_from("token", "token")]);
    scene
        .create(&[secret("token", "token", token), runtime])
        .expect_silence();
    scene.plane.end_namespace(&scene.namespace);
    // The API server does not even ask.
    let about = |line: &Value| line["object"]["namespace"] == scene.namespace;
    let is_last = |line: &Value| about(line) && line["object"]["name"] == "runtime";
    guard.keyguard.log_line("the workload", is_last);
    let asked: Vec<_> = guard.keyguard.log();
    let deletions = asked.iter().filter(|line| about(line));
    let operations: Vec<_> = deletions.map(|line| &line["operation"]).collect();
    assert_eq!(operations, ["CREATE", "CREATE"]);
}

#[test]
fn the_garbage_collector_may_delete_it_and_change_nothing_in_it() {
    let scene = scene(Guard::shared(), "collected", &good());
    let collector = || scene.user(GARBAGE_COLLECTOR);
    let loss = r#"--patch={"data":null}"#;
    let patch = ["patch", CONFIG_MAP, "--type=merge", loss];
    refused_by(collector().run(patch), &["accounts/api-key-removed"]);
    warned_of(collector().run(["delete", CONFIG_MAP]), &[]);
    assert_eq!(scene.read(CONFIG_MAP, "{.metadata.name}"), "");
}

#[test]
fn one_that_is_being_deleted_already_may_be_changed_and_let_go() {
    let scene = Guard::shared().scene("finalized");
    let mut held = argocd_cm(&good());
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    scene.create(&[held]).expect_silence();
    let delete = ["delete", "--wait=false", CONFIG_MAP];
    refused_by(scene.alice().run(delete), DELETED);
    let collector = scene.user(GARBAGE_COLLECTOR);
    collector.run(delete).expect_ok();
    assert_ne!(scene.read(CONFIG_MAP, "{.metadata.deletionTimestamp}"), "");

    let patch = |patch| {
        let arguments = ["patch", CONFIG_MAP, "--type=merge", patch];
        warned_of(scene.alice().run(arguments), &[])
    };
    patch(r#"--patch={"data":{"accounts.admin":"login"}}"#);
    patch(r#"--patch={"metadata":{"finalizers":null}}"#);
    assert_eq!(scene.read(CONFIG_MAP, "{.metadata.name}"), "");
}
