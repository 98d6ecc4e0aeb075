//! Accounts that the token of a workload names keep their API key without being listed.

use serde_json::{Value, json};

use super::guard::{Guard, Scene};
use super::in_use;
use super::objects::{argocd_cm, deployment, secret, token_by_name};
use super::said::{refused_by, warned_of};
use super::tokens::Token;
use crate::control_plane::kubectl::Finished;

const KEY: &str = "the key of these tests";

const REMOVED: &[&str] = &["accounts/api-key-removed"];
const DISABLED: &[&str] = &["accounts/account-disabled"];
const DELETED: &[&str] = &["accounts/config-map-deleted"];
const UNKNOWN: &[&str] = &["guard/in-use-unknown"];

/// An Argo CD with two accounts that nobody listed. Other tests have workloads in the same cluster, so that the one in use
/// has a name of its own.
fn argocd(guard: &Guard, prefix: &str, used: &str) -> Scene {
    let scene = guard.scene(prefix);
    let accounts = json!({
        "accounts.admin": "apiKey",
        format!("accounts.{used}"): "apiKey, login",
        "accounts.idle": "apiKey",
    });
    let mut own = secret("argocd-secret", "server.secretkey", KEY);
    let id = token(used).id().to_owned();
    own["stringData"] = json!({format!("accounts.{used}.tokens"): json!([{"id": id}]).to_string()});
    scene.create(&[argocd_cm(&accounts), own]).expect_silence();
    scene
}

/// The one API key of this account.
fn token(account: &str) -> Token {
    let token = Token::api_key(account).claim("jti", format!("of-{account}"));
    token.signed(KEY.as_bytes())
}

/// A workload in a namespace of its own, whose token is of one of them.
fn runtime(guard: &Guard, prefix: &str, used: &str) -> Scene {
    let scene = guard.scene(prefix);
    let operator = deployment("gitops-operator", token_by_name("mine", "token"));
    scene
        .create(&[secret("mine", "token", token(used).text()), operator])
        .expect_silence();
    scene
}

fn patch(scene: &Scene, data: &Value) -> Finished {
    let patch = format!("--patch={}", json!({"data": data}));
    let arguments = [
        "patch",
        "configmap/argocd-cm",
        "--type=merge",
        "--dry-run=server",
    ];
    scene.alice().run(arguments.into_iter().chain([&*patch]))
}

#[test]
fn an_account_in_use_is_protected_and_its_workloads_are_named() {
    // Other tests have workloads in the same cluster, all of which are looked through.
    let guard = in_use::guard(
        "{guard: {accountsInUse: true}, limits: {maxSecretReads: 1024, maxWorkloads: 100000, maxWorkloadBytes: 268435456}}",
    );
    let argocd = argocd(&guard, "accounts-used", "used");
    let removed = json!({"accounts.used": "login"});
    let runtime = runtime(&guard, "accounts-runtime", "used");
    let text = refused_by(patch(&argocd, &removed), REMOVED);
    let user = format!(
        "Deployment \"gitops-operator\" in namespace {:?}",
        runtime.namespace
    );
    assert!(text.contains(&user), "{text}");
    let disabled = json!({"accounts.used.enabled": "false"});
    refused_by(patch(&argocd, &disabled), DISABLED);
    let delete = ["delete", "configmap/argocd-cm", "--dry-run=server"];
    let text = refused_by(argocd.alice().run(delete), DELETED);
    assert!(text.contains(&user), "{text}");
    // A token needs no login, and nobody uses the other account.
    warned_of(patch(&argocd, &json!({"accounts.used": "apiKey"})), &[]);
    warned_of(patch(&argocd, &json!({"accounts.idle": ""})), &[]);

    let gone = ["delete", "deployment/gitops-operator"];
    warned_of(runtime.alice().run(gone), &[]);
    warned_of(patch(&argocd, &removed), &[]);
    let text = refused_by(argocd.alice().run(delete), DELETED);
    assert!(!text.contains("in use by"), "{text}");
}

#[test]
fn only_the_namespaces_of_the_runtimes_are_looked_through_when_they_are_named() {
    let guard = in_use::guard("guard: {accountsInUse: true, runtimeNamespaces: [elsewhere]}");
    let argocd = argocd(&guard, "accounts-elsewhere", "elsewhere");
    runtime(&guard, "accounts-not-looked-at", "elsewhere");
    warned_of(patch(&argocd, &json!({"accounts.elsewhere": "login"})), &[]);
}

#[test]
fn over_the_bound_the_list_decides_and_without_the_right_on_error_does() {
    let removed = json!({"accounts.bound": "login"});
    let guard = in_use::guard("{guard: {accountsInUse: true}, limits: {maxWorkloads: 1}}");
    let scene = argocd(&guard, "accounts-bound", "bound");
    runtime(&guard, "accounts-bound-one", "bound");
    runtime(&guard, "accounts-bound-two", "bound");
    let finished = warned_of(patch(&scene, &removed), UNKNOWN);
    assert!(
        finished.stderr.contains("limits.maxWorkloads"),
        "{}",
        finished.stderr
    );

    let blind = Guard::configured("guard: {accountsInUse: true}");
    let scene = argocd(&blind, "accounts-blind", "bound");
    let text = refused_by(patch(&scene, &removed), UNKNOWN);
    assert!(text.contains("may not list"), "{text}");
    let blind = Guard::configured("{guard: {accountsInUse: true}, onError: allow}");
    let scene = argocd(&blind, "accounts-blind-allow", "bound");
    warned_of(patch(&scene, &removed), UNKNOWN);
}
