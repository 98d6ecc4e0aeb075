//! Many Secrets that change at once.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::in_use;
use super::objects::{deployment, secret};
use super::tokens::random_text;
use crate::control_plane::users::ALICE;

const SECRETS: usize = 100;
const WORKLOADS: usize = 1000;
const PATCH: &str = "application/merge-patch+json";

#[test]
fn a_hundred_secrets_that_change_at_once_share_three_rounds_of_lists_a_second() {
    let guard = in_use::guard("guard: {secrets: true}");
    let scene = guard.scene("in-use-burst");
    let env = json!({"name": "X", "value": "y"});
    let names = |kind: &str, count: usize| -> Vec<String> {
        (0..count)
            .map(|number| format!("{kind}-{number}"))
            .collect()
    };
    let workloads = names("workload", WORKLOADS);
    let workloads: Vec<Value> = workloads
        .iter()
        .map(|name| deployment(name, vec![env.clone()]))
        .collect();
    let secrets = names("secret", SECRETS);
    let objects: Vec<Value> = secrets
        .iter()
        .map(|name| secret(name, "key", random_text()))
        .collect();
    scene.create(&workloads).expect_silence();
    scene.create(&objects).expect_silence();
    let change = json!({"stringData": {"key": random_text()}}).to_string();
    let started = Instant::now();
    let took: Vec<Duration> = thread::scope(|scope| {
        let changes: Vec<_> = secrets
            .iter()
            .map(|name| {
                let line = format!(
                    "PATCH /api/v1/namespaces/{}/secrets/{name}",
                    scene.namespace
                );
                let (scene, change) = (&scene, &change);
                scope.spawn(move || {
                    let began = Instant::now();
                    let answer = scene.plane.ask(ALICE, &line, PATCH, change);
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    began.elapsed()
                })
            })
            .collect();
        changes
            .into_iter()
            .map(|change| change.join().expect("it was answered"))
            .collect()
    });
    let lasted = started.elapsed();
    let rounds = guard.keyguard.metric("keyguard_workload_rounds_total", &[]);
    println!(
        "{SECRETS} Secrets changed in {:.1?} beside {WORKLOADS} workloads: {rounds} rounds of lists, the slowest change {:.1?}",
        lasted,
        took.iter().max().expect("some")
    );
    // On a busy machine they do not all come within a second.
    let most = 3.0 * lasted.as_secs_f64().ceil();
    assert!((1.0..=most).contains(&rounds), "{rounds} rounds");
}
