//! `deploy/manifests` and the program say the same.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use keyguard::cli::{Cli, Command};
use keyguard::config::Config;
use keyguard::run::webhook_config;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use crate::control_plane::plain_http;
use crate::control_plane::process::{Process, free_address, start_on_free_ports};
use crate::control_plane::workspace::Workspace;
use crate::settings;

#[test]
fn the_webhooks_are_what_keyguard_prints_but_for_the_ca_certificate() {
    let workspace = Workspace::new();
    let key = KeyPair::generate().unwrap();
    let authority = CertificateParams::default().self_signed(&key).unwrap();
    let bundle = workspace.write("ca.crt", authority.pem());
    let line = ["keyguard", "webhook-config", "--service=keyguard/keyguard"];
    let mut line: Vec<String> = line.map(str::to_owned).into();
    line.push(format!("--ca-bundle={}", bundle.display()));
    let Command::WebhookConfig(arguments) = Cli::parse_from(line).command else {
        panic!("another command");
    };
    let printed = webhook_config::render(&arguments).unwrap();
    let mut printed: Value = serde_saphyr::from_str(&printed).unwrap();
    for webhook in printed["webhooks"].as_array_mut().unwrap() {
        webhook["clientConfig"]["caBundle"] = "".into();
    }
    assert_eq!(
        manifest("webhook.yaml"),
        printed,
        "print it again: keyguard webhook-config --service keyguard/keyguard --ca-bundle FILE, and empty caBundle"
    );
}

#[test]
fn the_configuration_spells_out_every_default() {
    let text = configuration();
    assert_eq!(
        Config::parse("config.yaml", &text).unwrap(),
        Config::default()
    );
    let written: Value = serde_saphyr::from_str(&text).unwrap();
    for setting in settings::all() {
        let pointer = format!("/{}", setting.replace('.', "/"));
        let value = written.pointer(&pointer);
        assert!(value.is_some_and(|value| !value.is_null()), "{setting}");
    }
}

#[test]
fn keyguard_may_get_secrets_and_config_maps_and_nothing_more() {
    let objects = manifests("rbac.yaml");
    let [role, binding] = objects.as_slice() else {
        panic!("a role and its binding: {objects:?}");
    };
    let rules = json!([
        {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["get"]},
    ]);
    assert_eq!(
        (&role["kind"], &role["rules"]),
        (&"ClusterRole".into(), &rules)
    );
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    let account = manifest("service-account.yaml");
    let subject = json!([{
        "kind": "ServiceAccount",
        "name": account["metadata"]["name"],
        "namespace": account["metadata"]["namespace"],
    }]);
    assert_eq!(binding["subjects"], subject);
    let pod = pod_spec();
    assert_eq!(pod["serviceAccountName"], account["metadata"]["name"]);
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
    let drained = timeouts.drain_grace + timeouts.drain;
    assert!(
        Duration::from_secs(grace) > drained,
        "{grace} s for {drained:?}"
    );
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

/// The program with the deployment's own arguments, of which only folders and addresses are the test's.
#[test]
fn the_container_starts_with_its_arguments_and_its_probes_pass() {
    let workspace = Workspace::new();
    let mounts = mount(&workspace);
    let container = container();
    assert_eq!(container["command"], json!(["keyguard"]));
    let (_process, health) = start_on_free_ports(|| {
        let health = free_address();
        let mut arguments: Vec<String> = strings(&container["args"])
            .map(|argument| local(argument, &mounts))
            .collect();
        for (flag, port, address) in [
            ("--listen=", "https", free_address()),
            ("--health-listen=", "health", health),
        ] {
            let given = arguments.iter_mut().find(|given| given.starts_with(flag));
            let given = given.unwrap_or_else(|| panic!("no {flag}"));
            assert_eq!(*given, format!("{flag}0.0.0.0:{}", ports()[port]));
            *given = format!("{flag}{address}");
        }
        arguments.push(format!("--state={}", mounts["state"].display()));
        let program = Path::new(env!("CARGO_BIN_EXE_keyguard"));
        let mut process = Process::start("keyguard", program, arguments, &workspace);
        for probe in ["livenessProbe", "readinessProbe"] {
            let get = &container[probe]["httpGet"];
            assert_eq!(get["port"], "health");
            let path = get["path"].as_str().unwrap();
            process
                .ready(|| plain_http::get(health, path).is_ok_and(|answer| answer.status == 200))?;
        }
        Ok((process, health))
    });
    let absent = plain_http::get(health, "/absent").unwrap();
    assert_eq!(absent.status, 404, "a path that does not exist fails");
}

/// Lays out what the deployment mounts; each mount path, and `state`, with its folder here.
fn mount(workspace: &Workspace) -> BTreeMap<String, PathBuf> {
    let key = KeyPair::generate().unwrap();
    let subjects = vec!["keyguard.keyguard.svc".to_owned()];
    let certificate = CertificateParams::new(subjects)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let pod = pod_spec();
    let mut mounts = BTreeMap::new();
    for mount in container()["volumeMounts"].as_array().unwrap() {
        let volumes = pod["volumes"].as_array().unwrap();
        let named = |volume: &&Value| volume["name"] == mount["name"];
        let volume = volumes.iter().find(named).expect("the volume of a mount");
        let folder = mount["name"].as_str().unwrap();
        if let Some(secret) = volume.get("secret") {
            assert_eq!(secret["secretName"], "keyguard-tls");
            workspace.write(format!("{folder}/tls.crt"), certificate.pem());
            workspace.write(format!("{folder}/tls.key"), key.serialize_pem());
        } else {
            let config_map = manifest("config.yaml");
            assert_eq!(volume["configMap"]["name"], config_map["metadata"]["name"]);
            for (name, content) in config_map["data"].as_object().unwrap() {
                workspace.write(format!("{folder}/{name}"), content.as_str().unwrap());
            }
        }
        let path = mount["mountPath"].as_str().unwrap();
        mounts.insert(path.to_owned(), workspace.path(folder));
    }
    let state = workspace.path("state");
    fs::create_dir(&state).unwrap();
    mounts.insert("state".to_owned(), state);
    mounts
}

/// An argument with its mounted folder replaced by the one here.
fn local(argument: &str, mounts: &BTreeMap<String, PathBuf>) -> String {
    let mounted = mounts
        .iter()
        .find(|(path, _)| argument.contains(path.as_str()));
    mounted.map_or_else(
        || argument.to_owned(),
        |(path, folder)| argument.replace(path.as_str(), &folder.display().to_string()),
    )
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

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|item| item.as_str().unwrap())
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
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}
