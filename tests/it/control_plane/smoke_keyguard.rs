//! The API server calls a keyguard that the harness has started.

use serde_json::json;

use super::ControlPlane;
use super::keyguard::{Keyguard, Options, Reads};
use super::slow_proxy::{Pace, SlowProxy};
use super::users::ALICE;
use super::workspace::Workspace;

/// A Deployment whose token is in the Secret `token`.
fn deployment() -> String {
    let token = json!({
        "name": "ARGO_CD_TOKEN",
        "valueFrom": {"secretKeyRef": {"name": "token", "key": "token"}},
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "runtime"},
        "spec": {
            "selector": {"matchLabels": {"app": "runtime"}},
            "template": {
                "metadata": {"labels": {"app": "runtime"}},
                "spec": {"containers": [{
                    "name": "runtime",
                    "image": "example.invalid/runtime",
                    "env": [token],
                }]},
            },
        },
    })
    .to_string()
}

fn apply(plane: &ControlPlane, namespace: &str) -> super::kubectl::Finished {
    let alice = plane.kubectl().as_user(ALICE).namespace(namespace);
    alice.stdin(deployment()).run(["apply", "-f", "-"])
}

#[test]
fn a_webhook_concerns_the_namespaces_of_its_test_only() {
    let plane = ControlPlane::shared();
    let [guarded, other] = ["guarded", "other"].map(|prefix| plane.fresh_namespace(prefix));
    let keyguard = Keyguard::start(plane, &Options::default());
    let _installed = keyguard.install(plane, &[&guarded]);

    let refusal = apply(plane, &guarded).expect_refused();
    assert!(
        refusal.contains("[credentials/secret-missing]"),
        "{refusal}"
    );
    apply(plane, &other).expect_ok();

    keyguard.log_line("the refusal", |line| line.to_string().contains(&guarded));
    let event = plane.audit_event("the refusal", |event| {
        event["objectRef"]["namespace"] == guarded && event["objectRef"]["name"] == "runtime"
    });
    assert_eq!(event["responseStatus"]["code"], 403);
    assert!(
        event["annotations"].to_string().contains("keyguard.dev/"),
        "{event}"
    );
}

#[test]
fn a_warning_reaches_the_person() {
    let plane = ControlPlane::shared();
    let namespace = plane.fresh_namespace("warned");
    let keyguard = Keyguard::start(plane, &Options::default());
    let _installed = keyguard.install(plane, &[&namespace]);
    let alice = plane.kubectl().as_user(ALICE).namespace(&namespace);
    let accounts = "--from-literal=accounts.admin=login";
    let created = alice
        .run(["create", "configmap", "argocd-cm", accounts])
        .expect_ok();
    assert_eq!(created.warnings().len(), 1, "{}", created.stderr);
}

#[test]
fn a_webhook_is_called_through_a_service_as_in_production() {
    let plane = ControlPlane::shared();
    let namespace = plane.fresh_namespace("service");
    let keyguard = Keyguard::start(plane, &Options::default());
    let _installed = keyguard.install_as_service(plane, &[&namespace]);
    let refusal = apply(plane, &namespace).expect_refused();
    assert!(
        refusal.contains("[credentials/secret-missing]"),
        "{refusal}"
    );
}

#[test]
fn the_configuration_as_printed_concerns_every_namespace() {
    let plane = ControlPlane::private();
    let namespace = plane.fresh_namespace("any");
    let keyguard = Keyguard::start(&plane, &Options::default());
    let _installed = keyguard.install_everywhere(&plane);
    let refusal = apply(&plane, &namespace).expect_refused();
    assert!(
        refusal.contains("[credentials/secret-missing]"),
        "{refusal}"
    );
}

#[test]
fn a_keyguard_reads_through_a_kubeconfig_of_the_test() {
    let plane = ControlPlane::shared();
    let namespace = plane.fresh_namespace("late");
    let proxy = SlowProxy::in_front_of(plane);
    let account = plane.kubeconfig_for_service_account("keyguard", "keyguard");
    let options = Options {
        reads: Reads::Kubeconfig(proxy.kubeconfig(&account)),
        ..Options::default()
    };
    let keyguard = Keyguard::start(plane, &options);
    let _installed = keyguard.install(plane, &[&namespace]);
    proxy.set_pace(Pace::Stall);
    let refusal = apply(plane, &namespace).expect_refused();
    assert!(
        refusal.contains("[credentials/secret-unreadable]"),
        "{refusal}"
    );
}

#[test]
fn a_keyguard_over_a_folder_of_manifests_is_healthy_and_ends_when_asked() {
    let plane = ControlPlane::shared();
    let state = Workspace::new();
    let options = Options {
        config: Some("protectedAccounts: [admin]\n".to_owned()),
        reads: Reads::State(state.path("")),
        arguments: vec!["--log-format=json".to_owned()],
    };
    let mut keyguard = Keyguard::start(plane, &options);
    assert_eq!(keyguard.ask("/healthz").status, 200);
    assert!(keyguard.metric("keyguard_build_info", &[]) >= 1.0);
    keyguard.terminate();
    assert!(keyguard.wait().success());
}
