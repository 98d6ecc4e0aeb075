//! What OpenTelemetry gets: each record, the traces of reviews as parts of the API server's own, and the metrics.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::metrics::v1::{Metric, metric, number_data_point};
use serde_json::{Value, json};

use super::audit_trail::losing_review;
use super::objects::{argocd_cm, deployment, token_from};
use super::otlp_receiver::{Receiver, string, text};
use super::said::refused_by;
use crate::control_plane::ControlPlane;
use crate::control_plane::certificates::Authority;
use crate::control_plane::keyguard::{Keyguard, Options, Reads};
use crate::control_plane::users::ALICE;
use crate::control_plane::wait::wait_for;
use crate::control_plane::workspace::Workspace;

const LOSS: [&str; 4] = [
    "patch",
    "configmap/argocd-cm",
    "--type=merge",
    r#"--patch={"data":{"accounts.admin":"login"}}"#,
];

/// For how many seconds the other end is away.
const AWAY: &str = "KEYGUARD_AWAY";

fn sending_to(receiver: &Receiver) -> Options {
    let arguments = [
        format!(
            "--otlp-endpoint=https://localhost:{}",
            receiver.over_tls.port()
        ),
        format!("--otlp-ca={}", receiver.authority.certificate.display()),
    ];
    Options {
        arguments: arguments.to_vec(),
        ..Options::default()
    }
}

/// The records that came, as what keyguard logged.
fn records(receiver: &Receiver) -> Vec<Value> {
    let logs = receiver.got().logs.into_iter();
    let bodies = logs.map(|(_, log)| string(log.body.as_ref()));
    bodies
        .map(|body| serde_json::from_str(&body).unwrap())
        .collect()
}

#[test]
fn what_is_refused_is_a_log_record_in_the_trace_of_the_api_server() {
    let receiver = Receiver::new();
    let plane = ControlPlane::private();
    let workspace = Workspace::new();
    let tracing = json!({
        "apiVersion": "apiserver.config.k8s.io/v1beta1",
        "kind": "TracingConfiguration",
        "endpoint": receiver.plain.to_string(),
        "samplingRatePerMillion": 1_000_000,
    });
    let tracing = workspace.write("tracing.yaml", tracing.to_string());
    plane.restart_api_server(&[format!("--tracing-config-file={}", tracing.display())]);
    let keyguard = Keyguard::start(&plane, &sending_to(&receiver));
    let namespace = plane.fresh_namespace("otlp");
    let _installed = keyguard.install(&plane, &[&namespace]);
    let alice = || plane.kubectl().as_user(ALICE).namespace(&namespace);
    let object = deployment("runtime", vec![token_from("missing", "token")]);
    let create = alice().stdin(object.to_string());
    let refused = create.run(["create", "-f", "-"]);
    refused_by(refused, &["credentials/secret-missing"]);

    let is_refusal = |record: &Value| {
        record["decision"] == "deny" && record["object"]["namespace"] == *namespace
    };
    let logged = keyguard.log_line("the refusal", is_refusal);
    let (resource, log) = wait_for("the record", || {
        let logs = receiver.got().logs;
        let mut bodies = logs.iter().filter(|(_, log)| {
            serde_json::from_str::<Value>(&string(log.body.as_ref())).unwrap() == logged
        });
        let found = bodies.next().cloned();
        found.ok_or_else(|| format!("{} others; {}", logs.len(), keyguard.output()))
    });
    assert_eq!(text(&resource.attributes, "service.name"), "keyguard");
    assert_eq!(log.event_name, "keyguard.decision");
    assert_eq!(log.severity_text, "WARN");
    for (attribute, value) in [
        ("keyguard.record", logged["id"].as_str().unwrap()),
        ("keyguard.decision", "deny"),
        ("keyguard.operation", "CREATE"),
        ("keyguard.object.kind", "Deployment"),
        ("k8s.deployment.name", "runtime"),
        ("k8s.namespace.name", &namespace),
        ("user.name", ALICE),
    ] {
        assert_eq!(text(&log.attributes, attribute), value, "{attribute}");
    }

    // The API server sends its spans after some seconds.
    let spans = wait_for("the trace", || {
        let spans = receiver.got().spans.into_iter();
        let spans: Vec<_> = spans
            .filter(|(_, it)| it.trace_id == log.trace_id)
            .collect();
        let has = |service| spans.iter().any(|(of, _)| of == service);
        (has("apiserver") && has("keyguard"))
            .then_some(spans.clone())
            .ok_or_else(|| format!("{spans:?}"))
    });
    let named = |name: &str| {
        let of_ours = spans.iter().filter(|(service, _)| service == "keyguard");
        let mut named = of_ours.filter(|(_, span)| span.name == name);
        let (_, span) = named
            .next()
            .unwrap_or_else(|| panic!("no {name}: {spans:#?}"));
        assert_eq!(named.next(), None, "{name}");
        span
    };
    let (request, review, call) = (named("POST /validate"), named("review"), named("GET"));
    let parent = spans
        .iter()
        .find(|(_, span)| span.span_id == request.parent_span_id);
    assert_eq!(
        parent.map(|(service, _)| &**service),
        Some("apiserver"),
        "{spans:#?}"
    );
    assert_eq!(review.parent_span_id, request.span_id);
    assert_eq!(call.parent_span_id, review.span_id);
    assert_eq!(log.span_id, review.span_id);
    let path = format!("/api/v1/namespaces/{namespace}/secrets/missing");
    assert_eq!(text(&call.attributes, "url.path"), path);
    assert_eq!(text(&review.attributes, "keyguard.decision"), "deny");
    assert_eq!(
        text(&review.attributes, "keyguard.record"),
        logged["id"].as_str().unwrap()
    );
}

#[test]
fn what_was_decided_while_the_other_end_was_away_comes_once_it_is_back_and_metrics_at_the_end() {
    let mut receiver = Receiver::new();
    let plane = ControlPlane::private();
    let keyguard = Keyguard::start(&plane, &sending_to(&receiver));
    let namespace = plane.fresh_namespace("otlp");
    let _installed = keyguard.install(&plane, &[&namespace]);
    let alice = || plane.kubectl().as_user(ALICE).namespace(&namespace);
    let create = alice().stdin(argocd_cm(&json!({"accounts.admin": "apiKey"})).to_string());
    create.run(["create", "-f", "-"]).expect_ok();
    wait_for("the first records", || {
        let some = !records(&receiver).is_empty();
        some.then_some(()).ok_or_else(|| keyguard.output())
    });

    receiver.go_away();
    let seconds = std::env::var(AWAY).map_or(0, |seconds| seconds.parse().unwrap());
    let (start, away) = (Instant::now(), Duration::from_secs(seconds));
    let refused = (0..)
        .take_while(|&refused| refused < 20 || start.elapsed() < away)
        .inspect(|_| drop(refused_by(alice().run(LOSS), &["accounts/api-key-removed"])))
        .count();
    wait_for("it to be said that the other end is away", || {
        let output = keyguard.output();
        let said = output.contains("what OpenTelemetry is to get cannot be sent");
        said.then_some(()).ok_or(output)
    });
    receiver.come_back();
    let refusals = || {
        let records = records(&receiver).into_iter();
        let refusals = records.filter(|record| {
            record["decision"] == "deny" && record["object"]["namespace"] == *namespace
        });
        let ids = refusals.map(|record| record["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    let came = wait_for("all refusals", || {
        let came = refusals();
        let others: BTreeSet<_> = came.iter().collect();
        (others.len() >= refused)
            .then_some(came.clone())
            .ok_or_else(|| format!("{} of {refused}", came.len()))
    });
    println!(
        "{seconds} s away: {} of {refused} refusals came",
        came.len()
    );
    assert_eq!(came.len(), refused, "each once");
    assert_eq!(
        keyguard.metric("keyguard_otlp_records_total", &[("outcome", "queue-full")]),
        0.0
    );
    assert_eq!(
        keyguard.metric("keyguard_otlp_records_total", &[("outcome", "not-taken")]),
        0.0
    );
    assert!(keyguard.metric("keyguard_otlp_records_total", &[("outcome", "sent")]) >= 21.0);
    let counted = keyguard.metric("keyguard_decisions_total", &[("decision", "deny")]);
    keyguard.terminate();

    let metrics = wait_for("the metrics", || {
        let metrics = receiver.got().metrics;
        let found = metrics
            .iter()
            .any(|metric| metric.name == "keyguard_decisions");
        found.then_some(metrics).ok_or_else(|| keyguard.output())
    });
    let denied = |metric: &&Metric| metric.name == "keyguard_decisions";
    let Some(metric::Data::Sum(sum)) = metrics.iter().rfind(denied).unwrap().data.clone() else {
        panic!("no sum: {metrics:#?}");
    };
    let of_denied = sum.data_points.iter();
    let of_denied = of_denied.filter(|point| text(&point.attributes, "decision") == "deny");
    let denied: f64 = of_denied
        .map(|point| match point.value {
            Some(number_data_point::Value::AsInt(count)) => {
                f64::from(i32::try_from(count).unwrap())
            }
            _ => panic!("{point:?}"),
        })
        .sum();
    assert_eq!(denied, counted);
    let durations = metrics
        .iter()
        .rfind(|it| it.name == "keyguard_review_duration");
    let Some(metric::Data::Histogram(durations)) = durations.unwrap().data.clone() else {
        panic!("no histogram: {metrics:#?}");
    };
    let reviews: u64 = durations.data_points.iter().map(|point| point.count).sum();
    assert!(reviews > u64::try_from(refused).unwrap());
}

/// What lies between, and forgets its connections without a word.
struct Network {
    address: SocketAddr,
    /// Connections of an earlier age lead nowhere.
    age: Arc<AtomicUsize>,
}

impl Network {
    fn to(server: SocketAddr) -> Network {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let age = Arc::<AtomicUsize>::default();
        let now = Arc::clone(&age);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(server).unwrap());
                let began = now.load(Ordering::Relaxed);
                for (mut from, mut to) in [
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server, client),
                ] {
                    let now = Arc::clone(&now);
                    thread::spawn(move || {
                        let mut some = [0; 4096];
                        while let Ok(count @ 1..) = from.read(&mut some) {
                            let is_there = now.load(Ordering::Relaxed) == began;
                            if is_there && to.write_all(&some[..count]).is_err() {
                                return;
                            }
                        }
                    });
                }
            }
        });
        Network { address, age }
    }
}

/// A keyguard over an empty folder, which sends to this address what the receiver's certificate verifies.
fn alone(receiver: &Receiver, address: SocketAddr) -> Keyguard {
    let endpoint = format!("--otlp-endpoint=https://localhost:{}", address.port());
    let options = sending_to(receiver);
    let arguments = [endpoint]
        .into_iter()
        .chain(options.arguments.into_iter().skip(1));
    let options = Options {
        reads: Reads::State("certs".into()),
        arguments: arguments.collect(),
        ..Options::default()
    };
    Keyguard::start(ControlPlane::shared(), &options)
}

#[test]
fn one_that_takes_connections_and_never_says_a_word_is_told_of() {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let keyguard = alone(&Receiver::new(), mute.local_addr().unwrap());
    let answer = keyguard.post("application/json", &losing_review());
    assert_eq!(answer.status, 200, "{}", answer.body);
    wait_for("it to be said", || {
        let output = keyguard.output();
        let said = output.contains("what OpenTelemetry is to get cannot be sent");
        said.then_some(()).ok_or(output)
    });
}

#[test]
fn a_connection_that_is_gone_without_a_word_is_given_up_for_another() {
    let receiver = Receiver::new();
    let network = Network::to(receiver.over_tls);
    let keyguard = alone(&receiver, network.address);
    let sent = |count: usize| {
        let answer = keyguard.post("application/json", &losing_review());
        assert_eq!(answer.status, 200, "{}", answer.body);
        wait_for("the record", || {
            let came = records(&receiver).len();
            (came == count)
                .then_some(())
                .ok_or_else(|| keyguard.output())
        });
    };
    sent(1);
    network.age.fetch_add(1, Ordering::Relaxed);
    sent(2);
}

#[test]
fn what_cannot_be_sent_to_is_refused_at_the_start() {
    let workspace = Workspace::new();
    let tls = Authority::new(&workspace).issue(&["localhost"], &workspace);
    let https = "--otlp-endpoint=https://collector:4317";
    for (arguments, said) in [
        (
            vec!["--otlp-endpoint=collector:4317"],
            "write it as http://HOST:4317",
        ),
        (
            vec!["--otlp-endpoint=ftp://collector:4317"],
            "write it as http://HOST:4317",
        ),
        (
            vec!["--otlp-endpoint=http://collector:4318/v1/logs"],
            "without a path",
        ),
        (
            vec!["--otlp-endpoint=http://user:word@collector:4317"],
            "or a user name",
        ),
        (
            vec![https, "--otlp-ca=absent.crt"],
            "--otlp-ca absent.crt cannot be read",
        ),
        (
            vec![https, "--otlp-ca=Cargo.toml"],
            "--otlp-ca Cargo.toml: no X.509 certificate in PEM in it",
        ),
    ] {
        let arguments = arguments.into_iter().map(str::to_owned).chain([
            format!("--tls-cert={}", tls.certificate.display()),
            format!("--tls-key={}", tls.key.display()),
            "--state=certs".to_owned(),
        ]);
        let attempt = Keyguard::attempt(&arguments.collect::<Vec<_>>());
        assert!(!attempt.status.success());
        assert!(attempt.stderr.contains(said), "{}", attempt.stderr);
        assert!(!attempt.stderr.contains("word@"), "{}", attempt.stderr);
    }
}
