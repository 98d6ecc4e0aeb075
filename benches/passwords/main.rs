//! 200 reviews with a wrong password at once, and what they do to all others: over real TLS, against the real program,
//! which compares with a hash of the cost that Argo CD gives.
//!
//! `cargo bench --bench passwords` prints a table; `-- --rounds N` runs more rounds.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../load/http1.rs"]
mod http1;
#[path = "../load/process.rs"]
mod process;
#[path = "../load/tls.rs"]
mod tls;

use std::cell::Cell;
use std::fs;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http1::Connection;
use process::Process;
use rustls::ClientConfig;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, LocalSet};

const WRONG: usize = 200;
/// Connections of the other reviews, each with one at a time.
const OTHERS: usize = 4;
/// From one of them to the next.
const PAUSE: Duration = Duration::from_millis(1);
const IDLE: Duration = Duration::from_secs(3);
/// Of "correct horse", at the cost that Argo CD gives.
const HASH: &str = "$2a$10$abcdefghijklmnopqrstuu23JPZtHcGhwXSF41f93o/7vBdDut3Xu";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let rounds = arguments
        .iter()
        .position(|argument| argument == "--rounds")
        .map_or(3, |at| {
            arguments[at + 1].parse().expect("--rounds takes a number")
        });
    let folder = tempfile::tempdir().unwrap();
    let tls = Arc::new(tls::made(folder.path()));
    fs::write(
        folder.path().join("config.yaml"),
        "verify: {argocdNamespace: argocd}",
    )
    .unwrap();
    fs::write(folder.path().join("state/all.json"), state().to_string()).unwrap();
    let keyguard = Process::keyguard(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        for _ in 0..rounds {
            let idle = others(&keyguard, &tls, tokio::time::sleep(IDLE)).await;
            let (storm, refused) = {
                let refused = Rc::new(Cell::new(0));
                let all = wrong_passwords(&keyguard, &tls, &refused).await;
                let storm = others(&keyguard, &tls, async {
                    for one in all {
                        one.await.unwrap();
                    }
                })
                .await;
                (storm, refused.get())
            };
            assert_eq!(refused, WRONG, "every wrong password is refused");
            println!("idle:                            {idle}");
            println!("beside {WRONG} wrong passwords:      {storm}");
            println!(
                "p99, of idle:                    {:.2}\n",
                storm.at(0.99).as_secs_f64() / idle.at(0.99).as_secs_f64()
            );
        }
    });
    println!("RSS after: {:.1} MB", keyguard.rss_megabytes());
}

/// How long each review took, the shortest first.
struct Latencies(Vec<Duration>);

impl Latencies {
    fn at(&self, part: f64) -> Duration {
        self.0[((self.0.len() - 1) as f64 * part) as usize]
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "p50 {:>8.1?}, p99 {:>8.1?}, most {:>8.1?}, {} reviews",
            self.at(0.5),
            self.at(0.99),
            self.at(1.0),
            self.0.len()
        )
    }
}

/// Reviews that have nothing to do with passwords, until something has ended.
async fn others(
    keyguard: &Process,
    tls: &Arc<ClientConfig>,
    until: impl Future<Output = ()>,
) -> Latencies {
    let stop = Rc::new(Cell::new(false));
    let body = common::argocd_cm_update();
    let tasks: Vec<JoinHandle<Vec<Duration>>> = (0..OTHERS)
        .map(|_| {
            let (stop, tls, address) = (Rc::clone(&stop), Arc::clone(tls), keyguard.address);
            let request = http1::request(address, &body);
            tokio::task::spawn_local(async move {
                let mut connection = Connection::open(address, tls).await;
                let mut latencies = Vec::new();
                while !stop.get() {
                    tokio::time::sleep(PAUSE).await;
                    let started = Instant::now();
                    let answer = connection.ask(&request).await;
                    latencies.push(started.elapsed());
                    assert!(http1::is_allowed(answer));
                }
                latencies
            })
        })
        .collect();
    until.await;
    stop.set(true);
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    latencies.sort();
    Latencies(latencies)
}

/// All connections first, then all reviews at once.
async fn wrong_passwords(
    keyguard: &Process,
    tls: &Arc<ClientConfig>,
    refused: &Rc<Cell<usize>>,
) -> Vec<JoinHandle<()>> {
    let mut connections = Vec::new();
    for _ in 0..WRONG {
        connections.push(Connection::open(keyguard.address, Arc::clone(tls)).await);
    }
    let connections = connections.into_iter().enumerate();
    let sent = connections.map(|(number, mut connection)| {
        let request = http1::request(keyguard.address, &deployment(number));
        let refused = Rc::clone(refused);
        tokio::task::spawn_local(async move {
            let answer = connection.ask(&request).await;
            refused.set(refused.get() + usize::from(!http1::is_allowed(answer)));
        })
    });
    sent.collect()
}

/// Argo CD with one account, and a Secret for each wrong password, none of which is known from another.
fn state() -> Value {
    let text = |value: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(value)
    };
    let object = |kind: &str, namespace: &str, name: &str, data: Value| {
        json!({"apiVersion": "v1", "kind": kind, "data": data,
               "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/part-of": "argocd"}}})
    };
    let mut items = vec![
        object(
            "ConfigMap",
            "argocd",
            "argocd-cm",
            json!({"accounts.ci": "apiKey, login"}),
        ),
        object(
            "Secret",
            "argocd",
            "argocd-secret",
            json!({"server.secretkey": text("a key"), "accounts.ci.password": text(HASH)}),
        ),
    ];
    items.extend((0..WRONG).map(|number| {
        let password = format!("wrong horse {number}");
        object(
            "Secret",
            "gitops",
            &format!("password-{number}"),
            json!({"password": text(&password)}),
        )
    }));
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

fn deployment(number: usize) -> Vec<u8> {
    let env = json!([
        {"name": "ARGO_CD_USERNAME", "value": "ci"},
        {"name": "ARGO_CD_PASSWORD",
         "valueFrom": {"secretKeyRef": {"name": format!("password-{number}"), "key": "password"}}},
    ]);
    common::review(&json!({
        "uid": format!("wrong-{number}"),
        "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
        "name": "cap-app-proxy", "namespace": "gitops", "operation": "CREATE",
        "userInfo": {"username": "alice"},
        "object": {"metadata": {"name": "cap-app-proxy", "namespace": "gitops"},
                   "spec": {"template": {"spec": {"containers": [{"name": "main", "env": env}]}}}},
        "oldObject": null,
    }))
}
