//! The control plane itself is what the other tests take it for.

use serde_json::{Value, json};

use super::ControlPlane;
use super::binaries::pinned_kubernetes_versions;
use super::slow_proxy::{Pace, SlowProxy};
use super::users::{ALICE, GARBAGE_COLLECTOR};
use super::wait::wait_for;
use super::workspace::Workspace;

#[test]
fn kubectl_and_the_api_server_are_of_the_pinned_version() {
    let plane = ControlPlane::shared();
    let printed = plane
        .kubectl()
        .run(["version", "--output=json"])
        .expect_ok();
    let versions: Value = serde_json::from_str(&printed.stdout).expect("kubectl prints JSON");
    let server = &versions["serverVersion"]["gitVersion"];
    if let Some([pinned_server, pinned_client]) = pinned_kubernetes_versions() {
        assert_eq!(server, &pinned_server);
        assert_eq!(versions["clientVersion"]["gitVersion"], pinned_client);
    }
    let minor = versions["serverVersion"]["minor"]
        .as_str()
        .and_then(|minor| minor.parse().ok());
    assert!(
        minor >= Some(30),
        "matchConditions need Kubernetes 1.30: {versions}"
    );
}

#[test]
fn alice_works_in_her_namespace_and_reads_no_secret_elsewhere() {
    let plane = ControlPlane::shared();
    let [own, other] = ["own", "other"].map(|prefix| plane.fresh_namespace(prefix));
    let create = [
        "create",
        "secret",
        "generic",
        "password",
        "--from-literal=password=fake",
    ];
    let get = ["get", "secret", "password"];
    let alice = |namespace| plane.kubectl().as_user(ALICE).namespace(namespace);
    alice(&own).run(create).expect_ok();
    alice(&own).run(get).expect_ok();

    let refused = alice("keyguard").run(get).expect_error();
    assert!(
        refused.contains(r#"User "alice" cannot get resource "secrets""#),
        "{refused}"
    );
    alice(&other).run(get).expect_error();
}

#[test]
fn keyguards_account_may_get_secrets_and_configmaps_and_nothing_else() {
    let plane = ControlPlane::shared();
    let namespace = plane.fresh_namespace("account");
    let account = plane.kubeconfig_for_service_account("keyguard", "keyguard");
    let whoami = plane
        .kubectl()
        .with_kubeconfig(&account)
        .run(["auth", "whoami"])
        .expect_ok();
    assert!(
        whoami
            .stdout
            .contains("system:serviceaccount:keyguard:keyguard"),
        "{}",
        whoami.stdout
    );

    let may = |verb, resource| {
        let ask = plane
            .kubectl()
            .with_kubeconfig(&account)
            .namespace(&namespace);
        ask.run(["auth", "can-i", verb, resource, "--quiet"])
            .status
            .success()
    };
    for resource in ["secrets", "configmaps"] {
        assert!(may("get", resource), "get {resource}");
        for verb in [
            "list",
            "watch",
            "create",
            "update",
            "patch",
            "delete",
            "deletecollection",
        ] {
            assert!(!may(verb, resource), "{verb} {resource}");
        }
    }
    for resource in ["pods", "deployments.apps", "namespaces", "events", "leases"] {
        assert!(!may("get", resource), "get {resource}");
    }
}

#[test]
fn a_namespace_with_something_of_every_kind_can_be_ended() {
    let plane = ControlPlane::shared();
    let namespace = plane.fresh_namespace("ended");
    let rollout = json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "rollout"},
        "spec": {"replicas": 1, "template": {"spec": {"containers": []}}},
    });
    let alice = || plane.kubectl().as_user(ALICE).namespace(&namespace);
    alice()
        .stdin(rollout.to_string())
        .run(["create", "-f", "-"])
        .expect_ok();
    alice().run(["create", "configmap", "settings"]).expect_ok();
    alice()
        .run(["create", "deployment", "web", "--image=example.invalid/web"])
        .expect_ok();
    plane.end_namespace(&namespace);
}

#[test]
fn the_garbage_collector_may_delete_what_has_lost_its_owner() {
    let plane = ControlPlane::shared();
    let namespace = plane.fresh_namespace("collected");
    let collector = || {
        plane
            .kubectl()
            .as_user(GARBAGE_COLLECTOR)
            .namespace(&namespace)
    };
    plane
        .kubectl()
        .namespace(&namespace)
        .run(["create", "configmap", "orphan"])
        .expect_ok();
    collector()
        .run(["create", "configmap", "another"])
        .expect_error();
    collector()
        .run(["delete", "configmap", "orphan"])
        .expect_ok();
}

#[test]
fn the_audit_log_records_who_wrote_what() {
    let plane = ControlPlane::shared();
    let namespace = plane.fresh_namespace("audited");
    let alice = plane.kubectl().as_user(ALICE).namespace(&namespace);
    alice.run(["create", "configmap", "settings"]).expect_ok();
    let event = plane.audit_event("alice's ConfigMap", |event| {
        let object = &event["objectRef"];
        object["namespace"] == namespace && object["resource"] == "configmaps"
    });
    assert_eq!(event["user"]["username"], ALICE);
    assert_eq!(event["verb"], "create");
}

#[test]
fn helm_installs_a_chart() {
    let plane = ControlPlane::shared();
    let namespace = plane.fresh_namespace("helm");
    let chart = Workspace::new();
    chart.write(
        "Chart.yaml",
        "apiVersion: v2\nname: settings\nversion: 1.0.0\n",
    );
    chart.write(
        "templates/settings.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}'}\n",
    );
    let folder = chart.path("").display().to_string();
    let helm = plane.helm().as_user(ALICE).namespace(&namespace);
    helm.run(["install", "release", &folder]).expect_ok();
    let installed = plane.kubectl().namespace(&namespace);
    installed.run(["get", "configmap", "release"]).expect_ok();
}

#[test]
fn the_slow_proxy_passes_holds_and_cuts() {
    let plane = ControlPlane::shared();
    let proxy = SlowProxy::in_front_of(plane);
    let kubeconfig = proxy.kubeconfig(&plane.kubeconfig_for(ALICE));
    let ask = |timeout: &str| {
        let timeout = format!("--request-timeout={timeout}");
        plane
            .kubectl()
            .with_kubeconfig(&kubeconfig)
            .run(["get", "--raw", "/version", &timeout])
    };
    ask("60s").expect_ok();

    proxy.set_pace(Pace::Stall);
    let late = ask("300ms").expect_error().to_lowercase();
    assert!(
        late.contains("timeout") || late.contains("deadline"),
        "{late}"
    );
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| ask("60s"));
        wait_for("the held answer", || {
            (proxy.held() > 0).then_some(()).ok_or("none".to_owned())
        });
        proxy.set_pace(Pace::Pass);
        asked.join().expect("it does not panic").expect_ok();
    });

    proxy.set_pace(Pace::Delay(std::time::Duration::from_millis(200)));
    ask("150ms").expect_error();
    ask("60s").expect_ok();

    proxy.set_pace(Pace::Cut);
    ask("60s").expect_error();
}

#[test]
fn a_paused_api_server_says_nothing_until_it_is_resumed() {
    let plane = ControlPlane::private();
    plane.pause_api_server();
    let ask = |timeout| plane.kubectl().run(["get", "--raw", "/version", timeout]);
    ask("--request-timeout=300ms").expect_error();
    plane.resume_api_server();
    ask("--request-timeout=60s").expect_ok();
}
