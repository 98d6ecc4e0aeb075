//! `deploy/manifests`, which the chart renders, and the program say the same.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use keyguard::config::Config;
use serde_json::{Value, json};

#[test]
fn the_configuration_spells_out_every_default() {
    let text = configuration();
    assert_eq!(
        Config::parse("config.yaml", &text).unwrap(),
        Config::default()
    );
}

#[test]
fn keyguard_reads_single_objects_and_writes_its_own_two() {
    let objects = manifests("rbac.yaml");
    let rules_of = |kind: &str, name: &str| {
        let role = objects
            .iter()
            .find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
        role.unwrap_or_else(|| panic!("no {kind} {name}"))["rules"].clone()
    };
    let cluster = json!([
        {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["get"]},
        {
            "apiGroups": ["admissionregistration.k8s.io"],
            "resources": ["validatingwebhookconfigurations"],
            "resourceNames": ["keyguard"],
            "verbs": ["get", "patch"],
        },
    ]);
    assert_eq!(rules_of("ClusterRole", "keyguard"), cluster);
    let own = json!([
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["keyguard-certificates"],
            "verbs": ["patch"],
        },
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
    ]);
    assert_eq!(rules_of("Role", "keyguard-certificates"), own);
    assert_eq!(objects.len(), 4, "two roles and their bindings");
    let account = manifest("service-account.yaml");
    let subject = json!([{
        "kind": "ServiceAccount",
        "name": account["metadata"]["name"],
        "namespace": account["metadata"]["namespace"],
    }]);
    for binding in objects
        .iter()
        .filter(|object| object.get("roleRef").is_some())
    {
        assert_eq!(binding["subjects"], subject);
        assert_eq!(binding["roleRef"]["name"], binding["metadata"]["name"]);
    }
    assert_eq!(
        pod_spec()["serviceAccountName"],
        account["metadata"]["name"]
    );
}

#[test]
fn the_deployment_keeps_to_the_restricted_profile() {
    let pod = pod_spec();
    let context = &pod["securityContext"];
    assert_eq!(context["runAsNonRoot"], true);
    assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
    let context = &container()["securityContext"];
    assert_eq!(context["allowPrivilegeEscalation"], false);
    assert_eq!(context["readOnlyRootFilesystem"], true);
    assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}));
}

#[test]
fn a_pod_has_time_to_drain() {
    let timeouts = Config::parse("config.yaml", &configuration())
        .unwrap()
        .timeouts;
    let grace = pod_spec()["terminationGracePeriodSeconds"]
        .as_u64()
        .unwrap();
    let drained = *timeouts.drain_grace + *timeouts.drain;
    assert!(
        Duration::from_secs(grace) > drained,
        "{grace} s for {drained:?}"
    );
}

#[test]
fn a_pod_has_room_for_all_that_its_limits_let_in_at_once() {
    const BUFFER: usize = 64 * 1024;
    const IDLE: usize = 32 * 1024 * 1024;
    let limits = Config::parse("config.yaml", &configuration())
        .unwrap()
        .limits;
    let most = *limits.max_body_bytes_in_flight
        + *limits.max_concurrent_secret_reads * *limits.max_secret_bytes * 2
        + *limits.max_connections * BUFFER
        + IDLE;
    let limit = &pod_spec()["containers"][0]["resources"]["limits"]["memory"];
    let limit = limit.as_str().unwrap().strip_suffix("Mi").unwrap();
    let limit = limit.parse::<usize>().unwrap() * 1024 * 1024;
    assert!(limit >= most, "{limit} bytes for {most}");
}

#[test]
fn the_service_leads_to_the_port_that_serves_reviews() {
    let service = manifest("service.yaml");
    let webhook = &manifest("webhook.yaml")["webhooks"][0];
    let called = &webhook["clientConfig"]["service"];
    for part in ["name", "namespace"] {
        assert_eq!(service["metadata"][part], called[part]);
    }
    // The API server calls 443 unless told otherwise.
    assert_eq!(called.get("port"), None);
    let port = &service["spec"]["ports"][0];
    assert_eq!(port["port"], 443);
    assert_eq!(ports()[port["targetPort"].as_str().unwrap()], 8443);
    let labels = &manifest("deployment.yaml")["spec"]["template"]["metadata"]["labels"];
    for (label, value) in service["spec"]["selector"].as_object().unwrap() {
        assert_eq!(&labels[label], value);
    }
}

fn configuration() -> String {
    let config_map = manifest("config.yaml");
    config_map["data"]["config.yaml"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn pod_spec() -> Value {
    manifest("deployment.yaml")["spec"]["template"]["spec"].clone()
}

fn container() -> Value {
    pod_spec()["containers"][0].clone()
}

/// The container's ports by name.
fn ports() -> BTreeMap<String, u64> {
    let container = container();
    let ports = container["ports"].as_array().unwrap().iter();
    let named = |port: &Value| {
        Some((
            port["name"].as_str()?.to_owned(),
            port["containerPort"].as_u64()?,
        ))
    };
    ports.map(|port| named(port).unwrap()).collect()
}

/// The only object of a file.
fn manifest(name: &str) -> Value {
    let mut objects = manifests(name);
    assert_eq!(objects.len(), 1, "{name}");
    objects.remove(0)
}

fn manifests(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy/manifests")
        .join(name);
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let objects: Vec<Value> =
        serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    objects
        .into_iter()
        .filter(|object| !object.is_null())
        .collect()
}
