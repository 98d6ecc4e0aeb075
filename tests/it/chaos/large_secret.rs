//! A Secret as large as the API server takes it.

use std::thread;
use std::time::Instant;

use serde_json::json;

use super::memory::Memory;
use crate::scenarios::guard::Guard;
use crate::scenarios::objects::{deployment, secret, token_from};
use crate::scenarios::reviews::creation;
use crate::scenarios::said::{refused_by, warned_of};
use crate::scenarios::tokens::Token;

/// What all values of a Secret may have together.
const MEBIBYTE: usize = 1024 * 1024;
const AT_ONCE: usize = 8;
const EACH: usize = 10;

#[test]
fn a_secret_of_one_mebibyte() {
    let guard = Guard::configured("{}");
    let (keyguard, scene) = (&guard.keyguard, guard.scene("large"));
    let token = Token::api_key("admin").text();
    let rest = MEBIBYTE - token.len();
    let mut beside = secret("beside", "token", &token);
    beside["stringData"] = json!({"rest": "x".repeat(rest)});
    let value = secret("value", "token", "ab".repeat(MEBIBYTE / 2));
    scene.create(&[beside, value]).expect_silence();
    let runtime = |secret| deployment("runtime", vec![token_from(secret, "token")]);
    let missing = creation(&scene.namespace, &runtime("missing")).to_string();
    let memory = Memory::warmed_up(keyguard, &missing);

    let dry_run = ["create", "--dry-run=server"];
    warned_of(scene.send(dry_run, &runtime("beside")), &[]);
    let refusal = refused_by(
        scene.send(dry_run, &runtime("value")),
        &["credentials/not-an-api-key"],
    );
    assert!(refusal.len() < 2000, "{} characters", refusal.len());
    let review = creation(&scene.namespace, &runtime("beside")).to_string();
    let burst = || {
        let started = Instant::now();
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        let answer = keyguard.post("application/json", &review);
                        assert!(answer.body.contains(r#""allowed":true"#), "{}", answer.body);
                    }
                });
            }
        });
        started.elapsed()
    };
    let took = burst();
    println!(
        "a Secret of 1 MiB read {} times, {AT_ONCE} at once, within {took:.1?}; {}",
        AT_ONCE * EACH,
        memory.is_as_before()
    );
    warned_of(scene.send(dry_run, &runtime("beside")), &[]);
}
