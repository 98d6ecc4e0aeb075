//! Certificates in files, exchanged while keyguard serves.

use std::time::{Duration, Instant};

use super::guard::Guard;
use super::load::{directly, through_the_api_server, under_load};
use crate::control_plane::keyguard::{Keyguard, Options};
use crate::control_plane::wait::wait_for;

fn reloads(keyguard: &Keyguard, outcome: &str) -> f64 {
    let name = "keyguard_certificate_reloads_total";
    keyguard.metric(name, &[("outcome", outcome)])
}

fn await_reloads(keyguard: &Keyguard, outcome: &str, count: f64) {
    wait_for(&format!("{count} of {outcome}"), || {
        let reloads = reloads(keyguard, outcome);
        (reloads >= count)
            .then_some(())
            .ok_or_else(|| reloads.to_string())
    });
    assert_eq!(
        reloads(keyguard, outcome).total_cmp(&count),
        std::cmp::Ordering::Equal
    );
}

#[test]
fn a_certificate_exchanged_every_two_seconds_under_load_fails_no_admission() {
    const ROTATIONS: u32 = 5;
    const EACH: Duration = Duration::from_secs(2);
    let guard = Guard::start(&Options {
        config: Some("certificates: {checkInterval: 200ms}".to_owned()),
        ..Options::default()
    });
    let (keyguard, scene) = (&guard.keyguard, guard.scene("exchanged"));
    let asks: [super::load::Ask<'_>; 2] = [&|| through_the_api_server(&scene), &|| {
        directly(keyguard, &scene)
    }];
    let started = Instant::now();
    let ((), tally) = under_load(&asks, || {
        for rotation in 1..=ROTATIONS {
            keyguard.reissue_certificate();
            await_reloads(keyguard, "served", f64::from(rotation));
            let next = EACH * rotation;
            wait_for("the next rotation", || {
                let passed = started.elapsed();
                (passed >= next)
                    .then_some(())
                    .ok_or_else(|| format!("{passed:?}"))
            });
        }
    });
    println!(
        "{ROTATIONS} exchanges, one each {EACH:?}: {} admissions, {} failed",
        tally.right,
        tally.wrong.len()
    );
    assert_eq!(tally.wrong, [""; 0]);
    assert!(tally.right > 100, "{}", tally.right);
    assert_eq!(
        reloads(keyguard, "refused").total_cmp(&0.0),
        std::cmp::Ordering::Equal
    );
}

#[test]
fn a_broken_pair_is_refused_and_told_once_and_the_one_before_goes_on_serving() {
    let guard = Guard::start(&Options {
        config: Some("certificates: {checkInterval: 20ms}".to_owned()),
        ..Options::default()
    });
    let (keyguard, scene) = (&guard.keyguard, guard.scene("broken-pair"));
    let end = keyguard.metric("keyguard_certificate_not_after_seconds", &[]);
    keyguard
        .tls()
        .put(&[("tls.crt", b"text"), ("tls.key", b"text")]);
    await_reloads(keyguard, "refused", 1.0);
    let refused = "another certificate is refused; the one before stays";
    let line = keyguard.log_line("the refusal", |line| line["message"] == refused);
    let reason = line["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("--tls-cert "), "{line}");
    assert!(reason.contains("no certificate in it"), "{line}");
    assert_eq!(directly(keyguard, &scene), Ok(()));
    assert_eq!(through_the_api_server(&scene), Ok(()));
    assert_eq!(keyguard.ask("/readyz").status, 200);
    let told = keyguard.metric("keyguard_certificate_not_after_seconds", &[]);
    assert_eq!(told.total_cmp(&end), std::cmp::Ordering::Equal);
    keyguard.reissue_certificate();
    await_reloads(keyguard, "served", 1.0);
    assert_eq!(directly(keyguard, &scene), Ok(()));
    await_reloads(keyguard, "refused", 1.0);
}
