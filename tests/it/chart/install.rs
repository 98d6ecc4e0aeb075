//! From nothing to a cluster that refuses, and back.

use serde_json::{Value, json};

use super::release::Release;
use crate::control_plane::ControlPlane;
use crate::control_plane::kubectl::Finished;
use crate::control_plane::users::{ADMIN, ALICE};
use crate::scenarios::load::under_load;

/// `argocd-cm` in a namespace of a fresh Argo CD.
pub(super) fn argocd(plane: &ControlPlane, namespace: &str) {
    let config_map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "labels": {"app.kubernetes.io/part-of": "argocd"}},
        "data": {"accounts.admin": "apiKey, login"},
    });
    let create = plane
        .kubectl()
        .namespace(namespace)
        .stdin(config_map.to_string());
    create.run(["create", "-f", "-"]).expect_ok();
}

/// Takes the API key from `admin`.
fn bad_patch(plane: &ControlPlane, namespace: &str) -> Finished {
    let patch = ["patch", "configmap", "argocd-cm", "--type=merge"];
    let data = r#"--patch={"data":{"accounts.admin":"login"}}"#;
    plane
        .kubectl()
        .as_user(ALICE)
        .namespace(namespace)
        .run(patch.into_iter().chain([data]))
}

/// Through the API server, as dry runs: a change that must be refused by its
/// rule, and one that must go through.
///
/// # Errors
/// What came instead.
pub(super) fn asked(plane: &ControlPlane, namespace: &str) -> Result<(), String> {
    let (bad, good) = dry_runs(plane, namespace);
    if bad.0 != 403 || !bad.1.contains("[accounts/api-key-removed]") {
        return Err(format!("bad change: {bad:?}"));
    }
    if good.0 != 200 {
        return Err(format!("good change: {good:?}"));
    }
    Ok(())
}

/// Status and body of a bad and a good change.
fn dry_runs(plane: &ControlPlane, namespace: &str) -> ((u16, String), (u16, String)) {
    let line = format!("PATCH /api/v1/namespaces/{namespace}/configmaps/argocd-cm?dryRun=All");
    let patch = |data: Value| {
        let body = json!({"data": data}).to_string();
        let answer = plane.ask(ALICE, &line, "application/merge-patch+json", &body);
        (answer.status, answer.body)
    };
    (
        patch(json!({"accounts.admin": "login"})),
        patch(json!({"url": "https://argocd.example"})),
    )
}

#[test]
fn one_command_installs_a_guard_and_one_removes_it() {
    let plane = ControlPlane::bare();
    let namespace = plane.fresh_namespace("argocd");
    argocd(&plane, &namespace);
    let mut release = Release::install(&plane, &[]);
    assert_eq!(release.bundles(), [""; 0], "the chart brings no caBundle");
    release.start_pods();
    assert_eq!(release.pods.len(), 2);

    let refused = bad_patch(&plane, &namespace).expect_refused();
    assert!(refused.contains("[accounts/api-key-removed]"), "{refused}");

    let (tested, printed) = release.test();
    println!("{printed}");
    tested.expect_ok();
    assert!(printed.contains("warned of, as it should be"), "{printed}");
    assert!(printed.contains("admitted, as it should be"), "{printed}");
    for (kind, place) in [
        ("role", "default"),
        ("rolebinding", "default"),
        ("serviceaccount", "keyguard"),
        ("pod", "keyguard"),
    ] {
        let left = plane.kubectl().namespace(place);
        let left = left.run([
            "get",
            kind,
            "keyguard-self-test",
            "--ignore-not-found",
            "--output=name",
        ]);
        assert_eq!(left.expect_ok().stdout, "", "the test leaves no {kind}");
    }

    // Those who ask meanwhile are refused or not, and never stuck.
    let stuck = || {
        let (bad, good) = dry_runs(&plane, &namespace);
        let refused = bad.0 == 403 && bad.1.contains("[accounts/api-key-removed]");
        ((refused || bad.0 == 200) && good.0 == 200)
            .then_some(())
            .ok_or(format!("{bad:?} {good:?}"))
    };
    let (finished, tally) = under_load(&[&stuck, &stuck], || {
        release.with_pods_following(|release| release.helm(["uninstall", "keyguard"]))
    });
    finished.expect_ok();
    println!(
        "uninstall: {} pairs asked, {} stuck",
        tally.right,
        tally.wrong.len()
    );
    assert_eq!(tally.wrong, [""; 0]);
    assert!(tally.right > 5, "{}", tally.right);
    bad_patch(&plane, &namespace).expect_ok();

    webhooks_went_first(&plane);
    nothing_is_left(&plane);
}

/// As the API server's audit log has it.
fn webhooks_went_first(plane: &ControlPlane) {
    let is_deletion_of = |event: &Value, resource: &str| {
        event["verb"] == "delete"
            && event["objectRef"]["resource"] == resource
            && event["objectRef"]["name"] == "keyguard"
            && event["responseStatus"]["code"] == 200
            && event["user"]["username"] == ADMIN
    };
    let when = |resource: &str| {
        let event = plane.audit_event(resource, |event| is_deletion_of(event, resource));
        event["stageTimestamp"].as_str().unwrap().to_owned()
    };
    let webhooks = when("validatingwebhookconfigurations");
    for resource in [
        "services",
        "deployments",
        "clusterrolebindings",
        "serviceaccounts",
    ] {
        assert!(
            webhooks < when(resource),
            "{resource} went before the webhooks"
        );
    }
}

fn nothing_is_left(plane: &ControlPlane) {
    let cluster = "validatingwebhookconfigurations,clusterroles,clusterrolebindings";
    let all = plane
        .kubectl()
        .run(["get", cluster, "--output=name"])
        .expect_ok()
        .stdout;
    assert!(!all.contains("keyguard"), "{all}");
    let namespaced = "deployments,services,serviceaccounts,secrets,configmaps,roles,rolebindings,pods,poddisruptionbudgets,networkpolicies,resourcequotas";
    let all = plane
        .kubectl()
        .namespace("keyguard")
        .run(["get", namespaced, "--output=name"])
        .expect_ok()
        .stdout;
    assert_eq!(all, "", "{all}");
}

#[test]
fn the_self_test_fails_with_the_reason_when_nothing_is_refused() {
    let plane = ControlPlane::bare();
    let mut release = Release::install(
        &plane,
        &[
            "selfTest.namespace=kube-public",
            "webhook.failurePolicy=Ignore",
        ],
    );
    // Nobody answers, and the API server lets everything through.
    let (tested, printed) = release.test_within("1s");
    let told = tested.expect_error();
    assert!(told.contains("keyguard-self-test"), "{told}");
    assert!(
        printed.contains("went through as if nobody had been asked"),
        "{printed}"
    );
    release.start_pods();
    let (tested, printed) = release.test();
    tested.expect_ok();
    println!("{printed}");
}
