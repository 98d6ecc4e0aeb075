//! What went wrong since it was admitted is seen within one interval, and its end too.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::guard::{Guard, Scene};
use super::objects::{argocd_cm, deployment, secret, token_from};
use super::tokens::Token;
use crate::control_plane::ControlPlane;
use crate::control_plane::kubectl::Client;
use crate::control_plane::scanner::Scanner;
use crate::control_plane::users::ADMIN;
use crate::control_plane::wait::wait_for;

const KEY: &[u8] = b"a key that this Argo CD signs with";
const EVERY: Duration = Duration::from_secs(2);

fn admin(namespace: &str) -> Client<'static> {
    let plane = ControlPlane::shared();
    plane.kubectl().as_user(ADMIN).namespace(namespace)
}

/// The API for reports, once for all tests.
fn with_reports() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let root = env!("CARGO_MANIFEST_DIR");
        let file = format!("{root}/tests/fixtures/report-schemas/openreports.io_reports.yaml");
        admin("default").run(["apply", "-f", &file]).expect_ok();
        let wait = [
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "crd/reports.openreports.io",
        ];
        admin("default").run(wait).expect_ok();
    });
}

/// Makes Argo CD's own state one in which these API keys of the account `ci` are valid.
fn put_argocd(namespace: &str, ids: &[&str]) {
    let tokens: Vec<Value> = ids
        .iter()
        .map(|id| json!({"id": id, "iat": 1_700_000_000}))
        .collect();
    let data = json!({
        "server.secretkey": STANDARD.encode(KEY),
        "accounts.ci.tokens": STANDARD.encode(json!(tokens).to_string()),
    });
    let objects = [
        argocd_cm(&json!({"accounts.ci": "apiKey", "accounts.admin": "apiKey, login"})),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "argocd-secret"}, "data": data}),
    ];
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let kubectl = admin(namespace).stdin(list.to_string());
    kubectl.run(["apply", "-f", "-"]).expect_ok();
}

fn report(scene: &Scene) -> Option<Value> {
    let get = [
        "get",
        "reports.openreports.io",
        "keyguard",
        "--ignore-not-found",
        "--output=json",
    ];
    let told = scene.admin().run(get).expect_ok().stdout;
    (!told.trim().is_empty()).then(|| serde_json::from_str(&told).expect("kubectl prints JSON"))
}

fn arguments(scene: &Scene, argocd: &str) -> Vec<String> {
    vec![
        format!("--every={}s", EVERY.as_secs()),
        format!("--namespace={},{argocd}", scene.namespace),
        format!("--lease={argocd}/scan"),
    ]
}

#[test]
fn a_token_that_is_revoked_after_its_workload_was_admitted_is_seen_until_it_is_mended() {
    with_reports();
    let plane = ControlPlane::shared();
    let argocd = plane.fresh_namespace("scan-argocd");
    let token = Token::api_key("ci").signed(KEY);
    let other = Token::api_key("ci").signed(KEY);
    put_argocd(&argocd, &[token.id()]);
    let config = format!("verify: {{argocdNamespace: {argocd}}}");
    let guard = Guard::configured(&config);
    let scene = guard.scene("scan");
    let workload = deployment("runtime", vec![token_from("argocd-token", "key")]);
    let objects = [secret("argocd-token", "key", token.text()), workload];
    scene.create(&objects).expect_silence();

    let kubeconfig = plane.kubeconfig_for(ADMIN);
    let scanner = Scanner::start(&kubeconfig, &config, &arguments(&scene, &argocd));
    assert_eq!(
        scanner.sample("keyguard_scan_complete"),
        Some(1.0),
        "{}",
        scanner.log()
    );
    let series = format!(
        "keyguard_findings{{rule=\"credentials/token-revoked\",namespace=\"{}\"}}",
        scene.namespace
    );
    assert_eq!(scanner.sample(&series), None);
    assert_eq!(report(&scene), None);

    let begun = Instant::now();
    put_argocd(&argocd, &[other.id()]);
    let seen = |wanted: Option<f64>| {
        wait_for("the metric", || {
            let sample = scanner.sample(&series);
            (sample == wanted)
                .then_some(())
                .ok_or_else(|| format!("{sample:?}\n{}", scanner.log()))
        });
    };
    seen(Some(1.0));
    let as_metric = begun.elapsed();
    let result = wait_for("the report", || report(&scene).ok_or_else(|| scanner.log()));
    let as_report = begun.elapsed();
    println!(
        "revoked: as a metric after {as_metric:.1?}, as a report after {as_report:.1?}, every {EVERY:?}"
    );
    assert_eq!(result["summary"]["fail"], 1, "{result}");
    let first = &result["results"][0];
    assert_eq!(first["rule"], "credentials/token-revoked");
    assert_eq!(first["resources"][0]["name"], "runtime");
    let new = scanner.log_line("a finding is new");
    let new: Value = serde_json::from_str(&new).expect("JSON");
    assert_eq!(
        new["object"],
        format!("Deployment {}/runtime", scene.namespace)
    );

    let [_, claims, signature] = token.segments();
    for told in [scanner.metrics(), scanner.log(), result.to_string()] {
        assert!(
            !told.contains(&claims) && !told.contains(&signature),
            "{told}"
        );
    }

    put_argocd(&argocd, &[token.id()]);
    seen(None);
    wait_for("the report to go", || match report(&scene) {
        None => Ok(()),
        Some(report) => Err(report.to_string()),
    });
    let gone = scanner.log_line("a finding is gone");
    let gone: Value = serde_json::from_str(&gone).expect("JSON");
    assert!(gone["since"].is_string(), "{gone}");
    scanner.end();
}

#[test]
fn one_of_two_replicas_scans_and_the_other_takes_over() {
    with_reports();
    let plane = ControlPlane::shared();
    let argocd = plane.fresh_namespace("scan-argocd");
    let scene = Guard::shared().scene("scan-lease");
    let kubeconfig = plane.kubeconfig_for(ADMIN);
    let start = || Scanner::start(&kubeconfig, "", &arguments(&scene, &argocd));
    let (first, second) = (start(), start());
    assert_eq!(first.sample("keyguard_scan_leading"), Some(1.0));
    assert_eq!(second.sample("keyguard_scan_leading"), Some(0.0));
    first.end();
    wait_for("the other to scan", || {
        let leads = second.sample("keyguard_scan_leading") == Some(1.0);
        let scanned = second.sample("keyguard_scan_last_timestamp_seconds") > Some(0.0);
        (leads && scanned).then_some(()).ok_or_else(|| second.log())
    });
    second.end();
}

#[test]
fn what_the_account_may_not_read_is_told_with_the_right_that_it_lacks() {
    let plane = ControlPlane::shared();
    let account = plane.kubeconfig_for_service_account("keyguard", "keyguard");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_keyguard"))
        .args(["scan", "--namespace=default", "--kubeconfig"])
        .arg(account)
        .env_clear()
        .output()
        .expect("keyguard runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{told}");
    for resource in ["deployments.apps", "pods", "cronjobs.batch", "configmaps"] {
        let right = format!("the right to list {resource}");
        assert!(
            told.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .contains(&right),
            "{told}"
        );
    }
}
