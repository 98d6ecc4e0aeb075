//! What keyguard writes down: a line and a count for every decision, and never
//! a secret.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::guard::Guard;
use super::objects::{
    argocd_cm, container, deployment, password_from, secret, token_from, workload,
};
use super::said::{refused_by, warned_of};
use super::tokens::{Token, random_text};
use crate::control_plane::keyguard::Options;

#[test]
fn a_decision_is_one_line_with_everything_about_it() {
    let guard = Guard::shared();
    let scene = guard.scene("recorded");
    let token = Token::api_key("admin").text();
    scene
        .create(&[secret("token", "key", format!("{token}\n"))])
        .expect_silence();
    let pod = json!({
        "initContainers": [container("init", vec![token_from("token", "key")])],
        "containers": [container("main", vec![password_from("gone", "key")])],
    });
    let refused = scene.send(
        ["create", "--dry-run=server"],
        &workload("StatefulSet", "runtime", &pod),
    );
    refused_by(
        refused,
        &["credentials/value-malformed", "credentials/secret-missing"],
    );
    let lines = guard.decisions(&scene);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let mut line = lines.into_iter().next().expect("one");
    let mut take = |field: &str| line[field].take();
    for id in ["id", "uid"] {
        let id = take(id);
        assert_eq!(id.as_str().map(str::len), Some(36), "{id}");
    }
    let time = take("time");
    let time = time.as_str().expect("text");
    assert!(time.starts_with("20") && time.ends_with('Z'));
    let duration = take("durationSeconds").as_f64().expect("a number");
    assert!(duration > 0.0 && duration < 5.0, "{duration}");
    let findings = take("findings");
    let message = findings[1]["message"].as_str().expect("text");
    assert!(
        message.contains(r#"Secret "gone" does not exist"#),
        "{message}"
    );
    let found = |index: usize, field: &str| findings[index][field].clone();
    assert_eq!(found(0, "rule"), "credentials/value-malformed");
    assert_eq!(found(1, "effect"), "deny");
    let place = "spec.template.spec.initContainers[0].env[0]";
    assert_eq!(found(0, "fields"), json!([place]));
    let mut user = take("user");
    let groups = user["groups"].take();
    let groups: BTreeSet<&str> = groups
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(
        groups,
        BTreeSet::from(["developers", "system:authenticated"])
    );
    assert_eq!(user["name"], "alice");
    let object = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "namespace": scene.namespace, "name": "runtime",
    });
    let table = [
        ("dryRun", json!(true)),
        ("operation", json!("CREATE")),
        ("object", object),
        ("tool", json!({"fieldManager": "kubectl-create"})),
        ("webhook", json!("workloads")),
        ("decision", json!("deny")),
        (
            "rules",
            json!(["credentials/secret-missing", "credentials/value-malformed"]),
        ),
        ("secrets", json!(["gone", "token"])),
    ];
    for (field, expected) in table {
        assert_eq!(take(field), expected, "{field}");
    }
}

#[test]
fn every_decision_is_counted_and_timed() {
    let guard = Guard::configured("{}");
    let metric = |name: &str, labels: &[(&str, &str)]| guard.keyguard.metric(name, labels);
    let scene = guard.scene("counted");
    let removed = ("rule", "accounts/config-map-deleted");
    scene
        .create(&[
            argocd_cm(&json!({"accounts.admin": "apiKey"})),
            secret("token", "key", Token::api_key("admin").text()),
            deployment("good", vec![token_from("token", "key")]),
        ])
        .expect_silence();
    for _ in 0..2 {
        let delete = ["delete", "configmap/argocd-cm"];
        refused_by(scene.alice().run(delete), &[removed.1]);
    }
    let counted = |labels: &[(&str, &str)]| metric("keyguard_decisions_total", labels);
    let of = |webhook, operation, decision| {
        [
            ("webhook", webhook),
            ("operation", operation),
            ("decision", decision),
        ]
    };
    assert_eq!(counted(&of("argocd-cm", "CREATE", "allow")), 1.0);
    assert_eq!(counted(&of("argocd-cm", "DELETE", "deny")), 2.0);
    assert_eq!(counted(&[removed]), 2.0);
    assert_eq!(counted(&of("workloads", "CREATE", "allow")), 1.0);
    assert_eq!(
        metric("keyguard_secret_reads_total", &[("outcome", "found")]),
        1.0
    );
    let timed = |suffix: &str, labels: &[(&str, &str)]| {
        metric(
            &format!("keyguard_review_duration_seconds_{suffix}"),
            labels,
        )
    };
    let of_argocd_cm = ("webhook", "argocd-cm");
    assert_eq!(timed("count", &[of_argocd_cm]), 3.0);
    assert_eq!(timed("bucket", &[of_argocd_cm, ("le", "+Inf")]), 3.0);
    assert_eq!(timed("bucket", &[of_argocd_cm, ("le", "5.0")]), 3.0);
    assert!(timed("sum", &[of_argocd_cm]) > 0.0);
    assert_eq!(metric("keyguard_requests_in_flight", &[]), 0.0);
    assert_eq!(metric("keyguard_build_info", &[]), 1.0);
    assert!(metric("keyguard_certificate_not_after_seconds", &[]) > 1_700_000_000.0);
}

/// Everything of a token or password that nobody must read, in the forms in
/// which it might slip out.
fn forms(value: &str) -> Vec<String> {
    let parts = value.split(['.', ' ', '"', '\n']);
    let parts = parts.filter(|part| part.len() >= 12);
    let pieces = parts.flat_map(|part| {
        let (half, _) = part.split_at(part.len() / 2);
        [half.to_owned(), part.to_owned()]
    });
    pieces
        .flat_map(|piece| [STANDARD.encode(&piece), piece])
        .collect()
}

#[test]
fn no_log_line_message_or_metric_ever_has_a_part_of_a_secret() {
    let guard = Guard::start(&Options {
        config: Some(
            "rules: {credentials/value-malformed: warn, credentials/token-expires: audit}"
                .to_owned(),
        ),
        ..Options::default()
    });
    let scene = guard.scene("secrecy");
    let token = || Token::api_key("admin");
    let text = || token().text();
    let plain = random_text();
    let values = [
        text(),
        format!("{}\n", text()),
        format!("Bearer {}", text()),
        format!("\"{}\"", text()),
        STANDARD.encode(text()),
        token().claim("exp", 1_800_000_000).text(),
        token().claim("iss", random_text()).text(),
        token()
            .claim("sub", format!("{}:login", random_text()))
            .text(),
        token().algorithm(&random_text()).text(),
        format!("{}.{}", text(), random_text()),
        random_text(),
        format!("{}\n", random_text()),
        format!("<{}>", random_text()),
        format!("\u{feff}{}", text()),
    ];
    let name = |index: usize| format!("secret-{index}");
    let secrets = values.iter().enumerate();
    let secrets = secrets.map(|(index, value)| secret(&name(index), "key", value));
    let secrets: Vec<_> = secrets.collect();
    scene.create(&secrets).expect_silence();
    let referring = (0..values.len()).flat_map(|index| {
        let name = name(index);
        // A plain value is not looked at, and not told either.
        let plain = json!({"name": "ARGO_CD_TOKEN", "value": plain});
        [
            deployment(&name, vec![token_from(&name, "key")]),
            deployment(
                &format!("{name}-password"),
                vec![plain, password_from(&name, "key")],
            ),
        ]
    });
    let referring: Vec<_> = referring.collect();
    let answers = scene.create(&referring);
    let told = answers.text();
    assert!(told.contains("[credentials/not-an-api-key]"), "{told}");
    assert!(told.contains("[credentials/value-malformed]"), "{told}");
    let accounts = json!({"accounts.admin": "login"});
    let missing = &["accounts/api-key-missing"];
    warned_of(scene.send(["create"], &argocd_cm(&accounts)), missing);

    let recorded: Vec<Value> = guard.decisions(&scene);
    assert_eq!(recorded.len(), referring.len() + 1);
    let metrics = guard.keyguard.ask("/metrics").body;
    let output = guard.keyguard.output();
    for value in values.iter().chain([&plain]) {
        for form in forms(value) {
            for (place, text) in [("message", &told), ("log", &output), ("metric", &metrics)] {
                assert!(!text.contains(&form), "a {place} has {form}: {text}");
            }
        }
    }
}
