//! Workloads that log in with a password: who they log in as, and to which Argo CD, decides what may change.

use serde_json::{Value, json};

use super::guard::{Guard, Scene};
use super::in_use;
use super::objects::{argocd_cm, deployment, password_from, secret};
use super::said::{refused_by, warned_of};
use crate::control_plane::ControlPlane;
use crate::control_plane::kubectl::Finished;
use crate::control_plane::users::ADMIN;

const PASSWORD: &str = "KX7-QQ2 ZWV9 PJ40";
/// Of the password, at the lowest cost.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuAngRcXn5iAtPuYmfvz74.UKQ61G1byu";
/// Of another.
const OTHER_HASH: &str = "$2a$04$.F6n2gQU/6XtWklSCGY9COQ14WyEC6q2rw9Dcb2rLOcQsDMvOWqgq";

const LOGIN: &[&str] = &["accounts/login-removed"];
const CHANGED: &[&str] = &["argocd-secret/password-changed"];
const BROKEN: &[&str] = &["secrets/in-use-broken"];

/// Of an Argo CD of the Runtime's own.
fn app_proxy_config(account: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cap-app-proxy-cm"},
        "data": {"isExternalArgoCD": "false", "argoCdUsername": account},
    })
}

fn app_proxy() -> Value {
    let user = json!({"configMapKeyRef": {"name": "cap-app-proxy-cm", "key": "argoCdUsername"}});
    let user = json!({"name": "ARGO_CD_USERNAME", "valueFrom": user});
    deployment(
        "cap-app-proxy",
        vec![password_from("login", "password"), user],
    )
}

fn argocd_secret(account: &str, hash: &str) -> Value {
    let mut object = secret("argocd-secret", "server.secretkey", "a key");
    object["stringData"] = json!({
        format!("accounts.{account}.password"): hash,
        "admin.password": OTHER_HASH,
        "admin.passwordMtime": "2020-01-01T00:00:00Z",
    });
    object
}

/// A Runtime and its own Argo CD in one namespace, before App Proxy has made itself an API key.
fn runtime(guard: &Guard, prefix: &str, account: &str) -> Scene {
    let scene = guard.scene(prefix);
    let list = "apiKey, login";
    let objects = [
        argocd_cm(&json!({format!("accounts.{account}"): list})),
        argocd_secret(account, HASH),
        app_proxy_config(account),
        secret("login", "password", PASSWORD),
        app_proxy(),
    ];
    scene.create(&objects).expect_no_refusal();
    scene
}

fn patch(scene: &Scene, object: &str, patch: &Value) -> Finished {
    let patch = format!("--patch={patch}");
    scene.alice().run(["patch", object, "--type=merge", &patch])
}

#[test]
fn login_stays_with_the_account_that_a_workload_of_this_argo_cd_logs_in_as() {
    let guard = in_use::guard(
        "{guard: {accountsInUse: true, argocdSecret: true}, protectedAccounts: [listed], \
         limits: {maxSecretReads: 1024, maxWorkloads: 100000, maxWorkloadBytes: 268435456}}",
    );
    let ours = runtime(&guard, "login-runtime", "proxy");
    let removed = json!({"data": {"accounts.proxy": "apiKey"}});
    let text = refused_by(patch(&ours, "configmap/argocd-cm", &removed), LOGIN);
    assert!(text.contains("Deployment \"cap-app-proxy\""), "{text}");
    // An Argo CD of somebody else, with an account of the same name.
    let theirs = guard.scene("login-tenant");
    let accounts = argocd_cm(&json!({"accounts.proxy": "apiKey, login"}));
    theirs.create(&[accounts]).expect_no_refusal();
    let finished = patch(&theirs, "configmap/argocd-cm", &removed);
    let finished = warned_of(finished, &[]);
    assert!(
        !finished.stderr.contains("cap-app-proxy"),
        "{}",
        finished.stderr
    );
    let nothing = json!({"data": {"accounts.proxy": null}});
    warned_of(patch(&theirs, "configmap/argocd-cm", &nothing), &[]);

    // The password can only change here first.
    let changed = json!({"stringData": {"accounts.proxy.password": OTHER_HASH}});
    let finished = warned_of(patch(&ours, "secret/argocd-secret", &changed), CHANGED);
    for part in ["cap-app-proxy", "Secret \"login\"", "key \"password\""] {
        assert!(
            finished.stderr.contains(part),
            "{part}: {}",
            finished.stderr
        );
    }
    // Nobody logs in any more.
    warned_of(
        ours.alice().run(["delete", "deployment/cap-app-proxy"]),
        &[],
    );
    warned_of(patch(&ours, "configmap/argocd-cm", &removed), &[]);
}

#[test]
fn a_password_in_use_is_exchanged_for_the_one_that_argo_cd_has() {
    let namespace = ControlPlane::shared().fresh_namespace("login-argocd");
    let objects = [
        argocd_cm(&json!({"accounts.exchanged": "apiKey, login"})),
        argocd_secret("exchanged", HASH),
    ];
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let kubectl = ControlPlane::shared().kubectl().as_user(ADMIN);
    let kubectl = kubectl.namespace(&namespace).stdin(list.to_string());
    kubectl.run(["create", "-f", "-"]).expect_ok();
    let guard = in_use::guard(&format!(
        "{{guard: {{secrets: true}}, verify: {{argocdNamespace: {namespace}}}}}"
    ));
    let scene = guard.scene("login-exchanged");
    let mut external = app_proxy_config("exchanged");
    external["data"]["isExternalArgoCD"] = "true".into();
    let mine = secret("login", "password", PASSWORD);
    scene
        .create(&[external, mine, app_proxy()])
        .expect_silence();

    let put = |value: &str| {
        patch(
            &scene,
            "secret/login",
            &json!({"stringData": {"password": value}}),
        )
    };
    let text = refused_by(put("correct horse"), BROKEN);
    assert!(
        text.contains("is not the one of account \"exchanged\""),
        "{text}"
    );
    assert!(!text.contains("correct horse"), "{text}");
    // The account gets it first, and the Secret follows.
    let hash = json!({"stringData": {"accounts.exchanged.password": OTHER_HASH}});
    let hash = format!("--patch={hash}");
    let hash = ["patch", "secret/argocd-secret", "--type=merge", &hash];
    let kubectl = ControlPlane::shared().kubectl().as_user(ADMIN);
    kubectl.namespace(&namespace).run(hash).expect_ok();
    warned_of(put("correct horse"), &[]);
    refused_by(put(PASSWORD), BROKEN);
}

#[test]
fn a_secret_that_its_controller_makes_again_may_be_deleted() {
    let guard = in_use::guard("guard: {secrets: true}");
    let scene = guard.scene("login-owned");
    let mut mine = secret("login", "password", PASSWORD);
    mine["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": "login",
        "uid": "0f5f3c5e-4a53-4f2e-9f43-0e3bbd3a6f65", "controller": true,
    }]);
    let config = app_proxy_config("exchanged");
    scene
        .create(&[config, mine, app_proxy()])
        .expect_no_refusal();
    let delete = ["delete", "secret/login", "--dry-run=server"];
    let finished = warned_of(scene.alice().run(delete), &["secrets/in-use-deleted"]);
    assert!(
        finished.stderr.contains("ExternalSecret"),
        "{}",
        finished.stderr
    );
    assert!(
        !finished.stderr.contains("makes it again: delete"),
        "{}",
        finished.stderr
    );
}
