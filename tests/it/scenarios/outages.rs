//! keyguard is down, or cannot read what it must.

use std::time::{Duration, Instant};

use serde_json::json;

use super::guard::Guard;
use super::objects::{
    argocd_cm, container, deployment, password_from, secret, token_from, workload,
};
use super::said::{refused_by, warned_of};
use super::tokens::Token;
use crate::control_plane::ControlPlane;
use crate::control_plane::keyguard::{Options, Reads};
use crate::control_plane::slow_proxy::{Pace, SlowProxy};
use crate::control_plane::users::GARBAGE_COLLECTOR;

const UNREADABLE: &[&str] = &["credentials/secret-unreadable"];
/// `timeoutSeconds` of the webhooks.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(5);

#[test]
fn while_it_is_down_what_it_guards_is_refused_and_nothing_else_is_touched() {
    let guard = Guard::configured("{}");
    let scene = guard.scene("down");
    let runtime = |name| deployment(name, vec![token_from("token", "key")]);
    let owned = |kind: &str, name: &str| {
        let pod = json!({"containers": [container("main", vec![token_from("token", "key")])]});
        let mut object = workload(kind, name, &pod);
        let (api_version, owner) = match kind {
            "ReplicaSet" => ("apps/v1", "Deployment"),
            "Job" => ("batch/v1", "CronJob"),
            _ => ("apps/v1", "ReplicaSet"),
        };
        object["metadata"]["ownerReferences"] = json!([{
            "apiVersion": api_version,
            "kind": owner,
            "name": "owner",
            "uid": "5f0c3a62-6a24-4c0b-9f1a-0d6a2f0f6f10",
            "controller": true,
        }]);
        object
    };
    let token = Token::api_key("admin").text();
    let objects = [
        argocd_cm(&json!({"accounts.admin": "apiKey"})),
        secret("token", "key", token),
        runtime("standing"),
    ];
    scene.create(&objects).expect_silence();
    let _still_registered = guard.crash();

    let refuses = |webhook: &str, arguments: &[&str], stdin: String| {
        let error = scene.alice().stdin(stdin).run(arguments).expect_error();
        let called = format!("failed calling webhook \"{webhook}.keyguard.dev\"");
        assert!(error.contains(&called), "{arguments:?}: {error}");
    };
    let label = |object| ["label", object, "team=platform"];
    let none = String::new;
    refuses("argocd-cm", &label("configmap/argocd-cm"), none());
    refuses("argocd-cm", &["delete", "configmap/argocd-cm"], none());
    refuses("workloads", &label("deployment/standing"), none());
    refuses(
        "workloads",
        &["create", "-f", "-"],
        runtime("new").to_string(),
    );
    let pod = json!({"containers": [container("main", vec![token_from("token", "key")])]});
    refuses(
        "rollouts",
        &["create", "-f", "-"],
        workload("Rollout", "new", &pod).to_string(),
    );

    let mut other = argocd_cm(&json!({"accounts.admin": "login"}));
    other["metadata"]["name"] = "argocd-rbac-cm".into();
    let untouched = [
        other,
        deployment("web", vec![json!({"name": "ARGO_CD_URL", "value": "x"})]),
        secret("another", "key", ""),
        owned("Pod", "controlled"),
        owned("ReplicaSet", "controlled"),
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"ports": [{"port": 80}]},
        }),
    ];
    scene.create(&untouched).expect_silence();
    let goes_through: [&[&str]; 8] = [
        &["label", "configmap/argocd-rbac-cm", "team=platform"],
        &["label", "deployment/web", "team=platform"],
        &["label", "secret/token", "team=platform"],
        &["label", "service/web", "team=platform"],
        &["scale", "--replicas=0", "deployment/standing"],
        &["delete", "--wait=false", "deployment/standing"],
        &["delete", "configmap/argocd-rbac-cm"],
        &["delete", "secret/token", "secret/another"],
    ];
    for arguments in goes_through {
        warned_of(scene.alice().run(arguments), &[]);
    }
}

#[test]
fn while_it_is_down_whatever_ends_ends_and_nobody_else_may_delete_what_it_guards() {
    let guard = Guard::configured("{}");
    let [scene, finalized] = guard
        .scenes("down-ending", 2)
        .try_into()
        .unwrap_or_else(|_| unreachable!("two were asked for"));
    let accounts = || argocd_cm(&json!({"accounts.admin": "apiKey"}));
    let pod = |name: &str, held: bool| {
        let spec = json!({"containers": [container("main", vec![token_from("token", "key")])]});
        let mut object = workload("Pod", name, &spec);
        if held {
            object["metadata"]["finalizers"] = json!(["example.com/hold"]);
        }
        object
    };
    let token = || secret("token", "key", Token::api_key("admin").text());
    let mut held = accounts();
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    scene
        .create(&[accounts(), token(), pod("standing", false)])
        .expect_silence();
    finalized
        .create(&[held, token(), pod("held", true)])
        .expect_silence();
    let collector = || finalized.user(GARBAGE_COLLECTOR);
    for object in ["configmap/argocd-cm", "pod/held"] {
        let delete = ["delete", "--wait=false", "--now", object];
        collector().run(delete).expect_ok();
    }
    let _still_registered = guard.crash();

    let collection = format!("/api/v1/namespaces/{}/configmaps", scene.namespace);
    let ways: [&[&str]; 2] = [
        &["delete", "configmap/argocd-cm"],
        &["delete", "--raw", &collection],
    ];
    for arguments in ways {
        let error = scene.alice().run(arguments).expect_error();
        let called = "failed calling webhook \"argocd-cm.keyguard.dev\"";
        assert!(error.contains(called), "{arguments:?}: {error}");
    }
    // What the garbage collector does to an object that loses an owner.
    let owners = ["patch", "pod/standing", "--type=merge"];
    let disown = r#"--patch={"metadata":{"ownerReferences":null,"labels":{"kept":"in-order"}}}"#;
    let patch = owners.into_iter().chain([disown]);
    let collector = scene.user(GARBAGE_COLLECTOR);
    warned_of(collector.run(patch), &[]);
    for object in ["configmap/argocd-cm", "pod/held"] {
        let release = r#"--patch={"metadata":{"finalizers":null}}"#;
        let patch = ["patch", object, "--type=merge", release];
        warned_of(finalized.alice().run(patch), &[]);
        assert_eq!(finalized.read(object, "{.metadata.name}"), "");
    }
    scene.plane.end_namespace(&scene.namespace);
}

/// A keyguard that reads through a proxy, and a namespace with a good Secret
/// and a Deployment that refers to it.
fn behind(proxy: &SlowProxy, config: &str) -> Guard {
    let plane = ControlPlane::shared();
    let account = plane.kubeconfig_for_service_account("keyguard", "keyguard");
    Guard::start(&Options {
        config: Some(config.to_owned()),
        reads: Reads::Kubeconfig(proxy.kubeconfig(&account)),
        ..Options::default()
    })
}

fn secret_reads(guard: &Guard, outcome: &str) -> f64 {
    guard
        .keyguard
        .metric("keyguard_secret_reads_total", &[("outcome", outcome)])
}

#[test]
fn an_api_server_too_slow_is_a_refusal_in_time_that_says_so() {
    let proxy = SlowProxy::in_front_of(ControlPlane::shared());
    let guard = behind(&proxy, "{}");
    let scene = guard.scene("slow");
    let runtime = |name| deployment(name, vec![token_from("token", "key")]);
    let token = Token::api_key("admin").text();
    let accounts = argocd_cm(&json!({"accounts.admin": "apiKey"}));
    scene
        .create(&[secret("token", "key", token), runtime("standing"), accounts])
        .expect_silence();

    proxy.set_pace(Pace::Stall);
    let started = Instant::now();
    let refusal = refused_by(scene.send(["create"], &runtime("new")), UNREADABLE);
    assert!(started.elapsed() < WEBHOOK_TIMEOUT, "{refusal}");
    let told = r#"Secret "token" in namespace"#;
    let cause = "could not be read: the API server did not answer in time";
    assert!(
        refusal.contains(told) && refusal.contains(cause),
        "{refusal}"
    );
    assert!(secret_reads(&guard, "timeout") >= 1.0);
    // What leaves the pods as they are, and what needs no Secret, goes on.
    let label = ["label", "deployment/standing", "team=platform"];
    warned_of(scene.alice().run(label), UNREADABLE);
    let delete = ["delete", "configmap/argocd-cm"];
    refused_by(scene.alice().run(delete), &["accounts/config-map-deleted"]);

    proxy.set_pace(Pace::Delay(Duration::from_millis(100)));
    warned_of(scene.send(["create"], &runtime("late")), &[]);
    proxy.set_pace(Pace::Cut);
    let refusal = refused_by(scene.send(["create"], &runtime("cut")), UNREADABLE);
    assert!(refusal.contains("could not be reached"), "{refusal}");
    proxy.set_pace(Pace::Pass);
    warned_of(scene.send(["create"], &runtime("again")), &[]);
}

#[test]
fn an_api_server_too_slow_is_a_warning_when_errors_are_allowed() {
    let proxy = SlowProxy::in_front_of(ControlPlane::shared());
    let guard = behind(&proxy, "{onError: allow, timeouts: {lookup: 300ms}}");
    let scene = guard.scene("slow-allowed");
    proxy.set_pace(Pace::Stall);
    let first = token_from("first", "key");
    let pod = json!({
        "initContainers": [container("init", vec![first.clone()])],
        "containers": [
            container("one", vec![password_from("second", "key")]),
            container("two", vec![first]),
        ],
    });
    let runtime = workload("Deployment", "runtime", &pod);
    let created = scene.send(["create"], &runtime);
    let warned = warned_of(created, &[UNREADABLE[0], UNREADABLE[0]]);
    for text in warned.warnings() {
        assert!(text.contains("did not answer in time"), "{text}");
    }
    // Each is read once, however many refer to it.
    assert_eq!(secret_reads(&guard, "timeout"), 2.0);
    let audited = scene.plane.audit_event("the Deployment", |event| {
        event["objectRef"]["namespace"] == scene.namespace
            && event["objectRef"]["resource"] == "deployments"
    });
    let rules = &audited["annotations"]["workloads.keyguard.dev/rules"];
    assert_eq!(rules, UNREADABLE[0]);
}

#[test]
fn an_account_without_rights_is_a_refusal_that_says_so() {
    let plane = ControlPlane::shared();
    let powerless = plane.fresh_namespace("powerless");
    let create = ["create", "serviceaccount", "keyguard"];
    plane
        .kubectl()
        .namespace(&powerless)
        .run(create)
        .expect_ok();
    let account = plane.kubeconfig_for_service_account(&powerless, "keyguard");
    let guard = Guard::start(&Options {
        reads: Reads::Kubeconfig(account),
        ..Options::default()
    });
    let scene = guard.scene("forbidden");
    let before = secret_reads(&guard, "forbidden");
    let runtime = deployment("runtime", vec![token_from("token", "key")]);
    let refusal = refused_by(scene.send(["create"], &runtime), UNREADABLE);
    let told = [
        "keyguard's service account may not read it",
        "Give keyguard's service account the right to get secrets in this namespace.",
    ];
    for part in told {
        assert!(refusal.contains(part), "{part}: {refusal}");
    }
    assert_eq!(secret_reads(&guard, "forbidden"), before + 1.0);
}
