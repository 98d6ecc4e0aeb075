//! What a webhook adds to a change through the API server:
//! `KEYGUARD_PUTS=2000 KEYGUARD_CONSTANT=PROGRAM cargo test --test it added_time -- --nocapture`.
//!
//! The figures of `docs/performance.md` are those of a release build, which `KEYGUARD_PROGRAM` names. `KEYGUARD_CONSTANT` is
//! the program of `cargo bench --bench load --no-run`, which can also be a webhook that decides nothing.

use std::env;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::objects::argocd_cm;
use crate::control_plane::ControlPlane;
use crate::control_plane::keyguard::{Keyguard, Options};
use crate::control_plane::process::{Process, free_address};
use crate::control_plane::users::ADMIN;
use crate::control_plane::wait::wait_for;
use crate::control_plane::workspace::Workspace;

/// Few by default, so that the test shows no more than that it works.
const PUTS: usize = 20;

#[test]
fn a_change_goes_through_with_and_without_webhooks_and_what_they_add_is_told() {
    let puts = env::var("KEYGUARD_PUTS").map_or(PUTS, |puts| puts.parse().expect("a number"));
    let plane = ControlPlane::private();
    let keyguard = Keyguard::start(&plane, &Options::default());
    let [alone, constant, guarded] =
        ["alone", "constant", "guarded"].map(|name| plane.fresh_namespace(name));
    let _guard = keyguard.install(&plane, &[&guarded]);
    let workspace = Workspace::new();
    let address = free_address();
    let other = env::var_os("KEYGUARD_CONSTANT").map(|program| {
        let arguments = [
            "constant-answer".to_owned(),
            "--echo-uid".to_owned(),
            "--listen".to_owned(),
            address.to_string(),
            "--tls-cert".to_owned(),
            keyguard.tls().path("tls.crt").display().to_string(),
            "--tls-key".to_owned(),
            keyguard.tls().path("tls.key").display().to_string(),
        ];
        let process = Process::start("constant", Path::new(&program), arguments, &workspace);
        wait_for("the constant webhook", || {
            std::net::TcpStream::connect(address).map_err(|error| error.to_string())
        });
        (
            process,
            keyguard.install_another(&plane, address, &constant),
        )
    });
    let mut cases = vec![
        ("no webhook", alone, Vec::new()),
        ("keyguard", guarded, Vec::new()),
    ];
    if other.is_some() {
        cases.push(("a constant", constant, Vec::new()));
    }
    for (_, namespace, _) in &cases {
        let object = argocd_cm(&json!({"accounts.admin": "apiKey, login"}));
        let line = format!("POST /api/v1/namespaces/{namespace}/configmaps");
        let made = plane.ask(ADMIN, &line, "application/json", &object.to_string());
        assert_eq!(made.status, 201, "{}", made.body);
    }
    for round in 0..puts {
        for (_, namespace, times) in &mut cases {
            let data = json!({"accounts.admin": "apiKey, login", "round": round.to_string()});
            let line = format!("PUT /api/v1/namespaces/{namespace}/configmaps/argocd-cm");
            let object = argocd_cm(&data).to_string();
            let begun = Instant::now();
            let answer = plane.ask(ADMIN, &line, "application/json", &object);
            times.push(begun.elapsed());
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
    }
    let decided = keyguard.metric("keyguard_decisions_total", &[("operation", "UPDATE")]);
    assert!(decided >= puts as f64, "{decided} of {puts}");
    let medians: Vec<(&str, Duration)> = cases
        .into_iter()
        .map(|(name, _, times)| (name, median(times)))
        .collect();
    let alone = medians.first().expect("the first").1;
    for (name, median) in &medians {
        let added = median.saturating_sub(alone).as_secs_f64() * 1e6;
        println!("{name}: a PUT takes {median:.0?}, {added:.0} µs more than without");
    }
    if let [_, (_, ours), (_, constant)] = &medians[..] {
        let added = |time: &Duration| time.saturating_sub(alone).as_secs_f64();
        println!(
            "keyguard adds {:.2} of what the constant adds",
            added(ours) / added(constant)
        );
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
