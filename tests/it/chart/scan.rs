//! The Deployment that scans: its own names, its own account, and rights that are enough.

use std::time::Duration;

use clap::Parser;
use keyguard::cli::{Cli, Command};
use serde_json::{Value, json};

use super::release::Release;
use super::rendered::{object, render};
use crate::control_plane::ControlPlane;
use crate::control_plane::scanner::Scanner;

const ENABLED: &str = "{scan: {enabled: true}, serviceMonitor: {enabled: true}}";

fn arguments(objects: &[Value]) -> Vec<String> {
    let deployment = object(objects, "Deployment", "keyguard-scan");
    let arguments = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
    let arguments = arguments.as_array().unwrap().iter();
    arguments
        .map(|argument| argument.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn nothing_of_it_is_there_unless_asked_for() {
    for object in render("{}") {
        let name = object["metadata"]["name"].as_str().unwrap();
        assert!(!name.contains("scan"), "{name}");
    }
}

#[test]
fn the_service_of_the_webhook_does_not_find_its_pods() {
    let objects = render(ENABLED);
    let labels = |name: &str| {
        let deployment = object(&objects, "Deployment", name);
        deployment["spec"]["template"]["metadata"]["labels"].clone()
    };
    for (service, own, other) in [
        ("keyguard", "keyguard", "keyguard-scan"),
        ("keyguard-scan", "keyguard-scan", "keyguard"),
    ] {
        let selector = &object(&objects, "Service", service)["spec"]["selector"];
        let selector = selector.as_object().unwrap();
        let finds = |labels: &Value| selector.iter().all(|(key, value)| labels[key] == *value);
        assert!(finds(&labels(own)), "{service}");
        assert!(!finds(&labels(other)), "{service}");
    }
    object(&objects, "ServiceMonitor", "keyguard-scan");
    object(&objects, "NetworkPolicy", "keyguard-scan");
}

#[test]
fn its_arguments_are_what_the_program_takes() {
    let objects = render(
        "{scan: {enabled: true, every: 5m, reads: 4, policyReports: none}, namespaces: [a, b]}",
    );
    let line = ["keyguard".to_owned()]
        .into_iter()
        .chain(arguments(&objects));
    let Command::Scan(scan) = Cli::try_parse_from(line).unwrap().command else {
        panic!("another command");
    };
    assert_eq!(scan.every, Some(Duration::from_secs(300)));
    assert_eq!(
        (scan.reads, scan.namespace),
        (4, vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(scan.lease.as_deref(), Some("keyguard/keyguard-scan"));
}

#[test]
fn it_may_list_and_the_webhook_may_not() {
    let objects = render(ENABLED);
    let verbs = |kind: &str, name: &str| {
        let rules = object(&objects, kind, name)["rules"].clone();
        let rules = rules.as_array().unwrap().iter();
        let verbs = rules.flat_map(|rule| rule["verbs"].as_array().unwrap().clone());
        verbs.collect::<Vec<_>>()
    };
    assert!(verbs("ClusterRole", "keyguard-scan").contains(&json!("list")));
    assert!(!verbs("ClusterRole", "keyguard").contains(&json!("list")));
    // In its own namespaces only, when there are some.
    let objects = render("{scan: {enabled: true}, namespaces: [a]}");
    let names = objects
        .iter()
        .filter(|object| object["kind"] == "ClusterRole");
    let names: Vec<_> = names
        .map(|object| object["metadata"]["name"].clone())
        .collect();
    assert_eq!(names, ["keyguard"]);
    object(&objects, "RoleBinding", "keyguard-scan-lease");
}

#[test]
fn with_the_rights_of_its_account_it_sees_everything_and_holds_its_lease() {
    let plane = ControlPlane::bare();
    let root = env!("CARGO_MANIFEST_DIR");
    let file = format!("{root}/tests/fixtures/report-schemas/wgpolicyk8s.io_policyreports.yaml");
    plane.kubectl().run(["apply", "-f", &file]).expect_ok();
    let wait = [
        "wait",
        "--for=condition=Established",
        "--timeout=60s",
        "crd/policyreports.wgpolicyk8s.io",
    ];
    plane.kubectl().run(wait).expect_ok();
    let release = Release::install(&plane, &["scan.enabled=true"]);
    let namespace = plane.fresh_namespace("runtime");
    let bad = super::rights::RUNTIME.replace("argocd-token", "absent");
    let create = plane.kubectl().namespace(&namespace).stdin(bad);
    // No pod serves the webhooks yet.
    let delete = ["delete", "validatingwebhookconfiguration", "keyguard"];
    release.kubectl().run(delete).expect_ok();
    create.run(["create", "-f", "-"]).expect_ok();
    let account = plane.kubeconfig_for_service_account("keyguard", "keyguard-scan");
    let arguments = [
        "--every=2s".to_owned(),
        "--lease=keyguard/keyguard-scan".to_owned(),
    ];
    let scanner = Scanner::start(&account, "", &arguments);
    assert_eq!(
        scanner.sample("keyguard_scan_complete"),
        Some(1.0),
        "{}",
        scanner.log()
    );
    assert_eq!(scanner.sample("keyguard_scan_leading"), Some(1.0));
    let written = "keyguard_scan_report_writes_total{outcome=\"written\"}";
    assert!(scanner.sample(written) > Some(0.0), "{}", scanner.log());
    let get = [
        "get",
        "policyreports.wgpolicyk8s.io",
        "keyguard",
        "--output=json",
    ];
    let report = plane.kubectl().namespace(&namespace).run(get).expect_ok();
    assert!(
        report.stdout.contains("credentials/secret-missing"),
        "{}",
        report.stdout
    );
    // Another scanner goes on with what the first one reported, and since when.
    scanner.end();
    let long_ago =
        r#"[{"op": "replace", "path": "/results/0/timestamp/seconds", "value": 1700000000}]"#;
    let patch = [
        "patch",
        "policyreports.wgpolicyk8s.io",
        "keyguard",
        "--type=json",
        "--patch",
        long_ago,
    ];
    plane.kubectl().namespace(&namespace).run(patch).expect_ok();
    let scanner = Scanner::start(&account, "", &arguments);
    assert!(scanner.sample(written) > Some(0.0), "{}", scanner.log());
    let report = plane.kubectl().namespace(&namespace).run(get).expect_ok();
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["results"][0]["timestamp"]["seconds"], 1_700_000_000);
    let delete = ["delete", "deployment", "runtime"];
    plane
        .kubectl()
        .namespace(&namespace)
        .run(delete)
        .expect_ok();
    crate::control_plane::wait::wait_for("the report to go", || {
        let get = ["get", "policyreports.wgpolicyk8s.io", "--output=name"];
        let there = plane
            .kubectl()
            .namespace(&namespace)
            .run(get)
            .expect_ok()
            .stdout;
        there.is_empty().then_some(()).ok_or(there)
    });
    scanner.end();
}
