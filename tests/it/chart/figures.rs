//! What a pod of the chart costs.

use std::time::Duration;

use super::release::Release;
use crate::control_plane::ControlPlane;

const STARTS: usize = 20;

/// The figures of `docs/performance.md` are those of the image's program:
/// `KEYGUARD_PROGRAM` names it.
#[test]
fn a_pod_is_ready_at_once_and_idle_within_the_memory_that_it_asks_for() {
    let plane = ControlPlane::bare();
    let mut release = Release::install(&plane, &[]);
    let mut first = release.start_pod();
    let first_ready = first.measure_ready();
    release.start_pods();
    let mut starts: Vec<Duration> = (0..STARTS)
        .map(|_| release.start_pod().measure_ready())
        .collect();
    starts.sort_unstable();
    let median = starts[STARTS / 2];
    let requests = &release.get("deployment", "keyguard")["spec"]["template"]["spec"]["containers"]
        [0]["resources"]["requests"];
    let requested = requests["memory"]
        .as_str()
        .unwrap()
        .strip_suffix("Mi")
        .unwrap();
    let requested: u64 = requested.parse().unwrap();
    let resident = first.resident_kib();
    let millicores = first.cores() * 1000.0;
    println!(
        "start to ready: the first, which makes the certificates, {first_ready:.1?}; median of {STARTS} {median:.1?} \
         ({:.1?} to {:.1?}); idle {resident} KiB of {requested} MiB requested, \
         {millicores:.1} millicores since its start",
        starts[0],
        starts[STARTS - 1]
    );
    assert!(
        resident < requested * 1024,
        "{resident} KiB of {requested} MiB"
    );
}
