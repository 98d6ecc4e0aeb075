//! The program itself: how it starts, what it answers to what is no review,
//! and how it ends.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::guard::Guard;
use super::objects::{deployment, merged, token_from};
use super::reviews::creation;
use crate::control_plane::ControlPlane;
use crate::control_plane::certificates::{Authority, ServerCertificate};
use crate::control_plane::keyguard::{Keyguard, Options, Reads};
use crate::control_plane::plain_http;
use crate::control_plane::slow_proxy::{Pace, SlowProxy};
use crate::control_plane::wait::wait_for;
use crate::control_plane::workspace::Workspace;

const JSON: &str = "application/json";

fn review(namespace: &str) -> Value {
    creation(
        namespace,
        &deployment("runtime", vec![token_from("token", "key")]),
    )
}

#[test]
fn what_is_no_review_gets_a_4xx_with_one_line_and_never_a_verdict() {
    let keyguard = &Guard::shared().keyguard;
    let review = review("default");
    let with = |patch: Value| merged(&review, &patch).to_string();
    let whole = review.to_string();
    let (cut, _) = whole.split_at(whole.len() / 2);
    let table = [
        (
            "text/plain",
            whole.clone(),
            415,
            "Content-Type is not application/json",
        ),
        (
            "application/yaml",
            whole.clone(),
            415,
            "Content-Type is not application/json",
        ),
        (
            JSON,
            String::new(),
            400,
            "the body is not an AdmissionReview",
        ),
        (JSON, "null".to_owned(), 400, "not a JSON object"),
        (JSON, format!("[{whole}]"), 400, "not a JSON object"),
        (JSON, cut.to_owned(), 400, "it ends too early"),
        (JSON, whole.replace(":", "="), 400, "a syntax error"),
        (JSON, "[".repeat(100_000), 400, "levels deep"),
        (
            JSON,
            with(json!({"request": null})),
            400,
            "request is missing",
        ),
        (
            JSON,
            with(json!({"request": {"uid": null}})),
            400,
            "request.uid is missing",
        ),
        (
            JSON,
            with(json!({"request": {"uid": ""}})),
            400,
            "request.uid is missing",
        ),
        (
            JSON,
            with(json!({"request": {"object": null}})),
            400,
            "request.object is missing",
        ),
        (
            JSON,
            with(json!({"request": {"operation": "PATCH"}})),
            400,
            "request.operation is missing or unknown",
        ),
        (
            JSON,
            with(json!({"apiVersion": "admission.k8s.io/v1beta1"})),
            400,
            "not an admission.k8s.io/v1 AdmissionReview",
        ),
        (
            JSON,
            with(json!({"kind": "Review"})),
            400,
            "not an admission.k8s.io/v1 AdmissionReview",
        ),
    ];
    for (media_type, body, status, reason) in table {
        let answer = keyguard.post(media_type, &body);
        assert_eq!(answer.status, status, "{reason}: {}", answer.body);
        assert!(answer.body.contains(reason), "{reason}: {}", answer.body);
        assert_eq!(answer.body.lines().count(), 1, "{}", answer.body);
        assert!(!answer.body.contains("allowed"), "{}", answer.body);
    }
    let answer = keyguard.post(JSON, &whole);
    assert_eq!(answer.status, 200);
    let answer: Value = serde_json::from_str(&answer.body).expect("a review");
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
    assert_eq!(answer["response"]["allowed"], false);
}

#[test]
fn it_ends_also_while_it_waits_for_a_file() {
    let mut keyguard = Keyguard::start(ControlPlane::shared(), &Options::default());
    let _pipe = keyguard.configure_by_a_pipe();
    keyguard.terminate();
    assert_eq!(keyguard.wait().code(), Some(0));
}

#[test]
fn asked_to_end_it_is_not_ready_first_goes_on_answering_and_ends_with_0() {
    let options = Options {
        config: Some("timeouts: {drainGrace: 10m}".to_owned()),
        ..Options::default()
    };
    let mut keyguard = Keyguard::start(ControlPlane::shared(), &options);
    keyguard.terminate();
    wait_for("it to say that it is not ready", || {
        let status = keyguard.ask("/readyz").status;
        (status == 503).then_some(()).ok_or(status.to_string())
    });
    assert_eq!(keyguard.ask("/healthz").status, 200);
    assert_eq!(
        keyguard.post(JSON, &review("default").to_string()).status,
        200
    );
    // Asked again, it does not wait for load balancers any longer.
    keyguard.terminate();
    assert_eq!(keyguard.wait().code(), Some(0));
}

#[test]
fn a_review_in_progress_is_answered_before_it_ends() {
    let plane = ControlPlane::shared();
    let namespace = plane.fresh_namespace("in-progress");
    let proxy = SlowProxy::in_front_of(plane);
    let account = plane.kubeconfig_for_service_account("keyguard", "keyguard");
    let options = Options {
        config: Some("timeouts: {drainGrace: 0s}".to_owned()),
        reads: Reads::Kubeconfig(proxy.kubeconfig(&account)),
        ..Options::default()
    };
    let mut keyguard = Keyguard::start(plane, &options);
    proxy.set_pace(Pace::Stall);
    let answer = thread::scope(|scope| {
        let asked = scope.spawn(|| keyguard.post(JSON, &review(&namespace).to_string()));
        wait_for("the lookup", || {
            (proxy.held() > 0).then_some(()).ok_or("none".to_owned())
        });
        keyguard.terminate();
        wait_for("it to take nobody new", || {
            let taken = plain_http::get(keyguard.address, "/");
            taken.map_or(Ok(()), |answer| Err(answer.status.to_string()))
        });
        proxy.set_pace(Pace::Pass);
        asked.join().expect("it does not panic")
    });
    assert_eq!(answer.status, 200);
    assert!(
        answer.body.contains("credentials/secret-missing"),
        "{}",
        answer.body
    );
    assert_eq!(keyguard.wait().code(), Some(0));
}

/// What a valid command line has, with one thing changed.
fn arguments(tls: &ServerCertificate, state: &Workspace, change: &[String]) -> Vec<String> {
    let changed = |flag: &str| change.iter().any(|argument| argument.starts_with(flag));
    let valid = [
        "--listen=127.0.0.1:0".to_owned(),
        "--health-listen=127.0.0.1:0".to_owned(),
        format!("--tls-cert={}", tls.certificate.display()),
        format!("--tls-key={}", tls.key.display()),
        format!("--state={}", state.path("").display()),
    ];
    let flag = |argument: &String| argument.split('=').next().unwrap_or_default().to_owned();
    let kept = valid
        .into_iter()
        .filter(|argument| !changed(&flag(argument)));
    kept.chain(change.iter().cloned()).collect()
}

#[test]
fn what_it_cannot_serve_with_ends_it_at_once_with_one_line() {
    let (files, other, state) = (Workspace::new(), Workspace::new(), Workspace::new());
    let tls = Authority::new(&files).issue(&["localhost"], &files);
    let stranger = Authority::new(&other).issue(&["localhost"], &other);
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind a port");
    let taken = taken.local_addr().map(|address| (taken, address));
    let (_listener, taken) = taken.expect("an address");
    let file = |name, text: &str| files.write(name, text).display().to_string();
    let faults = file(
        "faults.yaml",
        "protectedAccounts: admin\nrules: {credentials/nothing: warn}\nlimits: {maxBodyBytes: 1}\nunknown: 1\n",
    );
    let (syntax, empty) = (file("syntax.yaml", "a: [b"), file("empty.crt", ""));
    let key = stranger.key.display();
    let table = [
        (
            format!("--config={faults}"),
            vec![
                "4 fault(s)",
                "protectedAccounts",
                "credentials/nothing",
                "limits.maxBodyBytes",
                "unknown",
            ],
        ),
        (
            format!("--config={syntax}"),
            vec!["--config", "neither YAML nor JSON"],
        ),
        (
            "--config=absent.yaml".to_owned(),
            vec!["--config", "absent.yaml"],
        ),
        (
            "--tls-cert=absent.crt".to_owned(),
            vec!["--tls-cert", "absent.crt"],
        ),
        (
            format!("--tls-cert={empty}"),
            vec!["--tls-cert", "empty.crt"],
        ),
        (
            "--tls-key=absent.key".to_owned(),
            vec!["--tls-key", "absent.key"],
        ),
        (
            format!("--tls-key={key}"),
            vec!["--tls-key", "does not belong to", "--tls-cert"],
        ),
        (format!("--listen={taken}"), vec!["--listen", "in use"]),
        (
            format!("--health-listen={taken}"),
            vec!["--health-listen", "in use"],
        ),
        ("--state=absent".to_owned(), vec!["--state", "absent"]),
    ];
    for (change, told) in table {
        let started = Instant::now();
        let ended = Keyguard::attempt(&arguments(&tls, &state, std::slice::from_ref(&change)));
        assert!(started.elapsed() < Duration::from_secs(10), "{change}");
        assert_eq!(ended.status.code(), Some(1), "{change}");
        let line = &ended.stderr;
        assert_eq!(line.lines().count(), 1, "{change}: {line}");
        assert!(line.starts_with("keyguard: "), "{change}: {line}");
        assert!(!ended.stdout.contains("\"serving\""), "{change}: {line}");
        for part in told {
            assert!(line.contains(part), "{change}: {part}: {line}");
        }
    }
}

#[test]
fn without_a_cluster_to_read_it_does_not_start() {
    let files = Workspace::new();
    let tls = Authority::new(&files).issue(&["localhost"], &files);
    let valid = arguments(&tls, &files, &["--kubeconfig=absent".to_owned()]);
    let stateless: Vec<_> = valid
        .into_iter()
        .filter(|argument| !argument.starts_with("--state"))
        .collect();
    let ended = Keyguard::attempt(&stateless);
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("--kubeconfig absent cannot be used"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    let (_, in_cluster) = stateless.split_last().expect("some are left");
    let ended = Keyguard::attempt(in_cluster);
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("--kubeconfig FILE or --state DIR"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

#[test]
fn a_certificate_of_its_own_that_cannot_be_kept_ends_it_at_once_with_one_line() {
    let table = [
        (
            "--tls-secret=keyguard",
            "--tls-secret \"keyguard\" is not NAMESPACE/NAME",
        ),
        (
            "--tls-secret=a/B",
            "--tls-secret \"a/B\" is not NAMESPACE/NAME",
        ),
        (
            "--tls-dns-name=a b",
            "--tls-dns-name \"a b\" is neither a DNS name nor an IP address",
        ),
        (
            "--webhook-configuration=A/b",
            "--webhook-configuration \"A/b\" cannot be the name",
        ),
    ];
    for (change, told) in table {
        let mut arguments = vec![
            "--listen=127.0.0.1:0".to_owned(),
            "--health-listen=127.0.0.1:0".to_owned(),
        ];
        if !change.starts_with("--tls-secret") {
            arguments.push("--tls-secret=keyguard/certificates".to_owned());
        }
        arguments.push(change.to_owned());
        let ended = Keyguard::attempt(&arguments);
        assert_eq!(ended.status.code(), Some(1), "{change}: {}", ended.stderr);
        assert_eq!(
            ended.stderr.lines().count(),
            1,
            "{change}: {}",
            ended.stderr
        );
        assert!(ended.stderr.contains(told), "{change}: {}", ended.stderr);
    }
}
