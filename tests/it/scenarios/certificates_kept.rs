//! Replicas that make and renew their certificates by themselves.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::guard::Scene;
use super::load::{Ask, directly_by_the_bundle, through_the_api_server, under_load};
use crate::control_plane::ControlPlane;
use crate::control_plane::fleet::{Fleet, Replica, Right};
use crate::control_plane::wait::wait_for;

/// How many certificates are in a bundle.
fn count(bundle: &str) -> usize {
    bundle.matches("BEGIN CERTIFICATE").count()
}

fn sum(replicas: &[Replica], series: &str) -> f64 {
    replicas.iter().map(|replica| replica.metric(series)).sum()
}

fn same(left: f64, right: f64) -> bool {
    left.total_cmp(&right).is_eq()
}

#[test]
fn three_replicas_started_at_once_on_an_empty_cluster_end_with_one_ca_twenty_times_over() {
    const ROUNDS: u32 = 20;
    let fleet = Fleet::new(ControlPlane::shared(), "{}", &Right::ALL);
    let (mut authorities, mut took, mut lost) = (BTreeSet::new(), Vec::new(), 0.0);
    for round in 0..ROUNDS {
        if round > 0 {
            fleet.unregister();
            fleet.delete_secret();
            fleet.register();
        }
        let started = Instant::now();
        let replicas = fleet.start_ready(3);
        took.push(started.elapsed());
        let authority = fleet.secret("ca.crt");
        assert_eq!(count(&authority), 1);
        assert_eq!(fleet.bundles(), [(); 3].map(|()| authority.clone()));
        assert_eq!(fleet.secret("next-ca.crt"), "");
        assert_eq!(directly_by_the_bundle(&fleet, &replicas), Ok(()));
        let writes = |object: &str, outcome: &str| {
            let labels = format!("object=\"{object}\",outcome=\"{outcome}\"");
            sum(
                &replicas,
                &format!("keyguard_certificate_writes_total{{{labels}}}"),
            )
        };
        assert!(same(writes("secret", "written"), 1.0), "one creates it");
        assert!(same(writes("webhook-configuration", "written"), 1.0));
        lost += writes("secret", "lost") + writes("webhook-configuration", "lost");
        authorities.insert(authority);
    }
    assert_eq!(
        authorities.len(),
        usize::try_from(ROUNDS).unwrap(),
        "each time a new one"
    );
    took.sort_unstable();
    println!(
        "{ROUNDS} times 3 replicas on an empty cluster: one CA each time; {lost} writes came second; from start to all ready {:?} (median), {:?} (longest)",
        took[took.len() / 2],
        took[took.len() - 1]
    );
}

#[test]
fn ten_rotations_of_the_ca_under_load_fail_no_admission() {
    const ROTATIONS: usize = 10;
    let plane = ControlPlane::shared();
    let config =
        "certificates: {caLifetime: 6s, lifetime: 6s, overlap: 600ms, checkInterval: 200ms}";
    let fleet = Fleet::new(plane, config, &Right::ALL);
    let replicas = fleet.start_ready(3);
    let scene = Scene {
        plane,
        namespace: fleet.guarded.clone(),
    };
    let asks: [Ask<'_>; 2] = [&|| through_the_api_server(&scene), &|| {
        directly_by_the_bundle(&fleet, &replicas)
    }];
    let started = Instant::now();
    let memory = || -> Vec<u64> { replicas.iter().map(Replica::resident_kib).collect() };
    let ((authorities, most, before), tally) = under_load(&asks, || {
        let (mut authorities, mut most) = (vec![fleet.secret("ca.crt")], 0);
        let mut before = Vec::new();
        while authorities.len() <= ROTATIONS {
            authorities.push(wait_for("the next CA", || {
                most = fleet
                    .bundles()
                    .iter()
                    .map(|bundle| count(bundle))
                    .fold(most, usize::max);
                let current = fleet.secret("ca.crt");
                let is_new = !authorities.contains(&current);
                is_new
                    .then_some(current)
                    .ok_or_else(|| "still the same".to_owned())
            }));
            if authorities.len() == 3 {
                before = memory();
            }
        }
        // The last one's predecessor leaves the bundle, too.
        wait_for("one CA in the bundle", || {
            let bundles = fleet.bundles();
            let alone = bundles.iter().all(|bundle| count(bundle) == 1);
            alone.then_some(()).ok_or_else(|| format!("{bundles:?}"))
        });
        (authorities, most, before)
    });
    let after = memory();
    let exchanges = sum(
        &replicas,
        "keyguard_certificate_reloads_total{outcome=\"served\"}",
    );
    println!(
        "{} rotations of the CA in {:.1?}, {exchanges} exchanges by 3 replicas, at most {most} CAs in the bundle: {} admissions, {} failed; KiB after the second {before:?}, after the last {after:?}",
        authorities.len() - 1,
        started.elapsed(),
        tally.right,
        tally.wrong.len()
    );
    assert_eq!(tally.wrong, [""; 0]);
    assert!(tally.right > 200, "{}", tally.right);
    for (before, after) in before.iter().zip(&after) {
        // Some pages more or less are in the allocator's hands.
        assert!(
            *after <= before + before / 10 + 1024,
            "{before} KiB, then {after} KiB"
        );
    }
    assert_eq!(most, 2, "the old and the new one together");
    assert!(exchanges >= 30.0, "{exchanges}");
    for (replica, key) in replicas.iter().zip(["ca.key", "tls.key", "tls.key"]) {
        let (output, key) = (replica.output(), fleet.secret(key));
        let secret = key.lines().nth(1).unwrap();
        assert!(!output.contains("PRIVATE KEY") && !output.contains(secret));
    }
}

#[test]
fn a_serving_certificate_is_renewed_by_the_clock_and_its_ca_stays() {
    let plane = ControlPlane::shared();
    let config = "certificates: {lifetime: 6s, overlap: 1s, checkInterval: 100ms}";
    let fleet = Fleet::new(plane, config, &Right::ALL);
    let replicas = fleet.start_ready(1);
    let authority = fleet.secret("ca.crt");
    let end = || replicas[0].metric("keyguard_certificate_not_after_seconds ");
    let (first, started) = (end(), Instant::now());
    wait_for("another serving certificate", || {
        (end() > first)
            .then_some(())
            .ok_or_else(|| first.to_string())
    });
    let renewed_after = started.elapsed();
    assert!(renewed_after < Duration::from_secs(6), "{renewed_after:?}");
    assert_eq!(fleet.secret("ca.crt"), authority);
    assert_eq!(fleet.bundles(), [(); 3].map(|()| authority.clone()));
    assert_eq!(directly_by_the_bundle(&fleet, &replicas), Ok(()));
}

#[test]
fn without_one_of_its_rights_it_is_not_ready_and_says_which() {
    let plane = ControlPlane::shared();
    for missing in Right::ALL {
        let rights: Vec<_> = Right::ALL
            .into_iter()
            .filter(|right| *right != missing)
            .collect();
        // A right to patch the Secret is needed once it is renewed.
        let config =
            "certificates: {caLifetime: 60s, lifetime: 3s, overlap: 1s, checkInterval: 100ms}";
        let fleet = Fleet::new(plane, config, &rights);
        let replica = fleet.start();
        let (verb, resource) = missing.names();
        let line = format!("keyguard may not {verb} {resource} ");
        let told = replica.await_readiness(&line, |answer| answer.body.contains(&line));
        assert_eq!(told.status, 503, "{}", told.body);
        let advice = format!("give its account the right to {verb} {resource}");
        assert!(told.body.contains(&advice), "{}", told.body);
        wait_for("the log line", || {
            let output = replica.output();
            let logged = output.contains("the certificates cannot be kept");
            logged.then_some(()).ok_or(output)
        });
    }
}
