//! What a scan costs: `KEYGUARD_SCAN_WORKLOADS=10000 cargo test --test it scan_figures -- --nocapture`.

use std::thread;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::objects::{argocd_cm, deployment, secret, token_from};
use super::tokens::Token;
use crate::control_plane::ControlPlane;
use crate::control_plane::scanner::Scanner;
use crate::control_plane::users::ADMIN;

/// Few by default, so that the test shows no more than that it works.
const WORKLOADS: usize = 100;
/// Of them in a namespace, which has a Secret for every two.
const IN_NAMESPACE: usize = 50;
const KEY: &[u8] = b"a key that this Argo CD signs with";

/// The figures of `docs/performance.md` are those of a release build: `KEYGUARD_PROGRAM` names it.
#[test]
fn a_scan_judges_every_workload_and_says_what_it_took() {
    let asked = std::env::var("KEYGUARD_SCAN_WORKLOADS").ok();
    let wanted = asked.map_or(WORKLOADS, |count| count.parse().expect("a number"));
    let count = wanted.div_ceil(IN_NAMESPACE);
    let (workloads, secrets) = (count * IN_NAMESPACE, count * IN_NAMESPACE / 2);
    let plane = ControlPlane::private();
    let namespaces: Vec<String> = (0..count).map(|_| plane.fresh_namespace("large")).collect();
    let argocd = plane.fresh_namespace("argocd");
    let token = Token::api_key("ci").signed(KEY);
    let tokens = json!([{"id": token.id(), "iat": 1_700_000_000}]).to_string();
    let data = json!({
        "server.secretkey": STANDARD.encode(KEY),
        "accounts.ci.tokens": STANDARD.encode(tokens),
    });
    let own = [
        argocd_cm(&json!({"accounts.ci": "apiKey", "accounts.admin": "apiKey, login"})),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "argocd-secret"}, "data": data}),
    ];
    create(&plane, &argocd, &own);
    let begun = Instant::now();
    thread::scope(|scope| {
        for part in namespaces.chunks(count.div_ceil(5)) {
            let (plane, token) = (&plane, &token);
            scope.spawn(move || {
                for namespace in part {
                    let secrets = (0..IN_NAMESPACE / 2)
                        .map(|index| secret(&format!("s{index}"), "token", token.text()));
                    let workloads = (0..IN_NAMESPACE).map(|index| {
                        let name = format!("s{}", index % (IN_NAMESPACE / 2));
                        deployment(&format!("w{index}"), vec![token_from(&name, "token")])
                    });
                    let objects: Vec<Value> = secrets.chain(workloads).collect();
                    create(plane, namespace, &objects);
                }
            });
        }
    });
    println!(
        "{workloads} workloads and {secrets} Secrets made in {:.0?}",
        begun.elapsed()
    );
    for verify in [false, true] {
        let config = match verify {
            true => format!("verify: {{argocdNamespace: {argocd}}}"),
            false => String::new(),
        };
        let arguments = ["--every=1h".to_owned()];
        let begun = Instant::now();
        let kubeconfig = plane.kubeconfig_for(ADMIN);
        let scanner = Scanner::start(&kubeconfig, &config, &arguments);
        let sample = |name: &str| {
            scanner
                .sample(&format!("keyguard_scan_{name}"))
                .unwrap_or(0.0)
        };
        println!(
            "verify {verify}: {:.1} s ({:.1?} with the start), {:.1?} of CPU, at most {} KiB, {} requests, {} objects, complete {}",
            sample("duration_seconds"),
            begun.elapsed(),
            scanner.cpu(),
            scanner.peak_kib(),
            sample("requests"),
            sample("objects"),
            sample("complete"),
        );
        assert!(sample("complete") > 0.0 && sample("objects") >= workloads as f64);
        assert!(
            !scanner.metrics().contains("keyguard_findings{"),
            "{}",
            scanner.log()
        );
        scanner.end();
    }
}

fn create(plane: &ControlPlane, namespace: &str, objects: &[Value]) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let kubectl = plane.kubectl().namespace(namespace).stdin(list.to_string());
    kubectl
        .run(["create", "--validate=false", "-f", "-"])
        .expect_ok();
}
