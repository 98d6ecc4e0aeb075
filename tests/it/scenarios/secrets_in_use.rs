//! Secrets that a workload refers to: they go, or are broken, only once nobody needs them.

use serde_json::{Value, json};

use super::guard::{Guard, Scene};
use super::in_use;
use super::objects::{deployment, password_from, secret, token_by_name, token_from};
use super::said::{refused_by, warned_of};
use super::tokens::{Token, random_text};
use crate::control_plane::kubectl::Finished;
use crate::control_plane::users::NAMESPACE_CONTROLLER;

const DELETED: &[&str] = &["secrets/in-use-deleted"];
const BROKEN: &[&str] = &["secrets/in-use-broken"];
const UNKNOWN: &[&str] = &["guard/in-use-unknown"];
const DELETE: [&str; 2] = ["delete", "secret/mine"];

fn guard() -> Guard {
    in_use::guard("guard: {secrets: true}")
}

fn token() -> String {
    Token::api_key("admin").text()
}

/// A Secret with a good token, and a Deployment that refers to it by name.
fn in_use(guard: &Guard, prefix: &str) -> (Scene, String) {
    let scene = guard.scene(prefix);
    let value = token();
    let operator = deployment("gitops-operator", token_by_name("mine", "token"));
    let mine = secret("mine", "token", &value);
    scene.create(&[mine, operator]).expect_silence();
    (scene, value)
}

fn put(scene: &Scene, value: &str) -> Finished {
    scene.send(["replace"], &secret("mine", "token", value))
}

/// No run of eight characters of a value is in a text.
fn assert_secret(value: &str, text: &str) {
    for piece in value.as_bytes().windows(8) {
        let piece = std::str::from_utf8(piece).expect("it is ASCII");
        assert!(!text.contains(piece), "{piece} in {text}");
    }
}

#[test]
fn a_secret_goes_only_once_no_workload_refers_to_it() {
    let guard = guard();
    let (scene, value) = in_use(&guard, "in-use-delete");
    let text = refused_by(scene.alice().run(DELETE), DELETED);
    assert!(text.contains("Deployment \"gitops-operator\""), "{text}");
    assert_secret(&value, &text);
    refused_by(scene.alice().run(["delete", "secrets", "--all"]), DELETED);
    let dry = DELETE.into_iter().chain(["--dry-run=server"]);
    refused_by(scene.alice().run(dry), DELETED);
    // Scaled to nothing it will want the Secret again.
    let scale = ["scale", "--replicas=0", "deployment/gitops-operator"];
    warned_of(scene.alice().run(scale), &[]);
    refused_by(scene.alice().run(DELETE), DELETED);

    let delete = ["delete", "deployment/gitops-operator"];
    warned_of(scene.alice().run(delete), &[]);
    warned_of(scene.alice().run(DELETE), &[]);
    assert_eq!(scene.read("secret/mine", "{.metadata.name}"), "");
    assert_secret(&value, &guard.keyguard.output());
}

#[test]
fn a_secret_is_rotated_to_another_good_token_and_to_nothing_else() {
    let guard = guard();
    let (scene, value) = in_use(&guard, "in-use-rotate");
    let next = token();
    warned_of(put(&scene, &next), &[]);
    let expiring = Token::api_key("admin").claim("exp", 4_000_000_000_u64);
    for broken in [format!("{next}\n"), String::new(), token().repeat(2)] {
        let text = refused_by(put(&scene, &broken), BROKEN);
        assert!(text.contains("Deployment \"gitops-operator\""), "{text}");
        assert_secret(&next, &text);
    }
    // It works until it expires.
    warned_of(put(&scene, &expiring.text()), BROKEN);
    warned_of(put(&scene, &next), &[]);
    let other = secret("mine", "other", &next);
    refused_by(scene.send(["replace"], &other), BROKEN);
    let removed = r#"--patch={"data":{"token":null}}"#;
    let patch = ["patch", "secret/mine", "--type=merge", removed];
    refused_by(scene.alice().run(patch), BROKEN);
    // What changes nothing that is held is not even asked about.
    let decided = guard.decisions(&scene).len();
    warned_of(scene.alice().run(["label", "secret/mine", "a=b"]), &[]);
    assert_eq!(guard.decisions(&scene).len(), decided);
    for value in [value, next] {
        assert_secret(&value, &guard.keyguard.output());
    }
}

#[test]
fn a_secret_as_large_as_can_be_is_asked_about_and_judged() {
    let guard = guard();
    let (scene, value) = in_use(&guard, "in-use-large");
    let large = |token: &str| {
        let mut large = secret("mine", "token", token);
        for number in 0..5_000 {
            large["data"][format!("key-{number}")] = "QUJD".repeat(30).into();
        }
        large
    };
    warned_of(scene.send(["replace"], &large(&value)), &[]);
    warned_of(scene.send(["replace"], &large(&token())), &[]);
    refused_by(scene.send(["replace"], &large("")), BROKEN);
    refused_by(scene.alice().run(DELETE), DELETED);
}

#[test]
fn what_was_broken_before_may_stay_so_and_be_mended() {
    let guard = guard();
    let scene = guard.scene("in-use-mended");
    let value = token();
    scene
        .create(&[secret("mine", "token", format!("{value}\n"))])
        .expect_silence();
    let operator = deployment("operator", token_by_name("mine", "token"));
    let create = scene
        .admin()
        .stdin(operator.to_string())
        .run(["create", "-f", "-"]);
    refused_by(create, &["credentials/value-malformed"]);
    // It was there before keyguard was.
    let unguarded = in_use::unguarded(&scene, &operator);
    unguarded.expect_ok();
    warned_of(put(&scene, "\n"), BROKEN);
    warned_of(put(&scene, &value), &[]);
    refused_by(put(&scene, "\n"), BROKEN);
}

#[test]
fn what_others_end_ends_and_what_keyguard_may_not_see_is_not_let_go_unseen() {
    let guard = guard();
    let (scene, _) = in_use(&guard, "in-use-ends");
    scene.plane.end_namespace(&scene.namespace);

    let (scene, _) = in_use(&guard, "in-use-controller");
    let path = format!("/api/v1/namespaces/{}/secrets/mine", scene.namespace);
    let raw = ["delete", "--raw", &path];
    scene.user(NAMESPACE_CONTROLLER).run(raw).expect_ok();

    // A person, in a namespace that has been asked to go and is still there.
    let (scene, _) = in_use(&guard, "in-use-terminating");
    let namespace = format!("namespace/{}", scene.namespace);
    let end = ["delete", "--wait=false", &namespace];
    scene.admin().run(end).expect_ok();
    warned_of(scene.alice().run(DELETE), &[]);

    // keyguard's account as it ships may not list anything.
    let blind = Guard::configured("guard: {secrets: true}");
    let (scene, value) = in_use(&blind, "in-use-blind");
    let text = refused_by(scene.alice().run(DELETE), UNKNOWN);
    assert!(text.contains("may not list"), "{text}");
    assert_secret(&value, &text);
    let other = secret("other", "password", random_text());
    scene.create(&[other]).expect_silence();
    warned_of(scene.alice().run(["delete", "secret/other"]), UNKNOWN);
    let blind = in_use::failing("{guard: {secrets: true}, onError: allow}");
    let (scene, _) = in_use(&blind, "in-use-blind-allow");
    warned_of(scene.alice().run(DELETE), UNKNOWN);
}

#[test]
fn more_workloads_than_are_looked_through_are_said_to_be_more() {
    let guard = in_use::guard("{guard: {secrets: true}, limits: {maxWorkloads: 1}}");
    let scene = guard.scene("in-use-bound");
    let mine = secret("mine", "token", token());
    let others = ["a", "b"].map(|name| deployment(name, vec![json!({"name": "X", "value": "y"})]));
    scene.create(&others).expect_silence();
    scene.create(&[mine]).expect_silence();
    let text = refused_by(scene.alice().run(DELETE), UNKNOWN);
    assert!(text.contains("limits.maxWorkloads"), "{text}");
    let labels = [("outcome", "too-large")];
    let counted = guard
        .keyguard
        .metric("keyguard_workload_searches_total", &labels);
    assert_eq!(counted, 1.0);
    let delete = ["delete", "deployment/a"];
    warned_of(scene.alice().run(delete), &[]);
    warned_of(scene.alice().run(DELETE), &[]);
}

#[test]
fn app_proxys_own_token_is_never_refused_and_a_persons_is() {
    let guard = guard();
    let scene = guard.scene("in-use-app-proxy");
    let mode = |external: &str, username: Option<&str>| {
        let mut data = json!({"isExternalArgoCD": external});
        if let Some(username) = username {
            data["argoCdUsername"] = username.into();
        }
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cap-app-proxy-cm"}, "data": data})
    };
    let password = secret("argocd-password", "password", random_text());
    let own = secret("argocd-token", "token", token());
    let app_proxy = deployment(
        "cap-app-proxy",
        vec![password_from("argocd-password", "password")],
    );
    let operator = deployment("gitops-operator", token_by_name("argocd-token", "token"));
    let objects = [
        mode("true", Some("admin")),
        password,
        own.clone(),
        app_proxy,
        operator,
    ];
    scene.create(&objects).expect_silence();
    let emptied = secret("argocd-token", "token", "");
    warned_of(scene.send(["replace"], &emptied), &[]);
    warned_of(scene.send(["replace"], &own), &[]);
    let delete = ["delete", "secret/argocd-token"];
    warned_of(scene.alice().run(delete), &[]);
    refused_by(
        scene.alice().run(["delete", "secret/argocd-password"]),
        DELETED,
    );

    scene.create(&[own]).expect_silence();
    warned_of(scene.send(["replace"], &mode("true", None)), &[]);
    refused_by(scene.alice().run(delete), DELETED);
}

#[test]
fn a_workload_of_each_kind_that_makes_pods_is_looked_at() {
    let guard = guard();
    let scene = guard.scene("in-use-kinds");
    scene
        .create(&[secret("mine", "token", token())])
        .expect_silence();
    for kind in [
        "Deployment",
        "StatefulSet",
        "DaemonSet",
        "CronJob",
        "Rollout",
    ] {
        let container = super::objects::container("main", vec![token_from("mine", "token")]);
        let workload = super::objects::workload(kind, "user", &json!({"containers": [container]}));
        scene.create(&[workload]).expect_silence();
        let text = refused_by(scene.alice().run(DELETE), DELETED);
        assert!(text.contains(&format!("{kind} \"user\"")), "{text}");
        let object = format!("{}/user", kind.to_lowercase());
        warned_of(scene.alice().run(["delete", &object]), &[]);
    }
    warned_of(scene.alice().run(DELETE), &[]);
}

#[test]
fn modes_exemptions_and_broken_glass_are_as_for_the_rest() {
    let guard = in_use::guard("{guard: {secrets: true}, rules: {secrets/in-use-deleted: warn}}");
    let (scene, _) = in_use(&guard, "in-use-warn");
    warned_of(scene.alice().run(DELETE), DELETED);

    let guard = in_use::guard("{guard: {secrets: true}, exemptUsers: [alice]}");
    let (scene, _) = in_use(&guard, "in-use-exempt");
    warned_of(scene.alice().run(DELETE), &[]);
    let lines: Vec<Value> = guard.decisions(&scene);
    let decision = lines.last().expect("the delete was decided on");
    assert_eq!(decision["decision"], "exempt");
    assert_eq!(decision["webhook"], "secrets");

    let guard = in_use::guard("{guard: {secrets: true}, breakGlassGroups: ['system:masters']}");
    let (scene, _) = in_use(&guard, "in-use-glass");
    refused_by(scene.admin().run(DELETE), DELETED);
    let allow = "keyguard.dev/allow=secrets/in-use-deleted: moving away";
    warned_of(scene.alice().run(["annotate", "secret/mine", allow]), &[]);
    refused_by(scene.alice().run(DELETE), DELETED);
    warned_of(scene.admin().run(DELETE), DELETED);
}

#[test]
fn without_the_setting_nobody_asks() {
    let guard = Guard::shared();
    let (scene, _) = in_use(guard, "in-use-off");
    warned_of(scene.alice().run(DELETE), &[]);
}

#[test]
fn only_the_namespaces_of_the_runtimes_are_asked_about_when_they_are_named() {
    let guard = in_use::guard("guard: {secrets: true, runtimeNamespaces: [elsewhere]}");
    let (scene, _) = in_use(&guard, "in-use-elsewhere");
    warned_of(scene.alice().run(DELETE), &[]);
    let webhooks = guard.keyguard.webhook_config("--url=https://127.0.0.1:1");
    assert!(webhooks.contains("elsewhere"), "{webhooks}");
}
