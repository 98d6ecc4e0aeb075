//! A certificate before its time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::replicas::Service;
use crate::control_plane::tls_http::post_review;
use crate::control_plane::wait::wait_for;
use crate::scenarios::objects::{deployment, token_from};
use crate::scenarios::reviews::creation;

const EARLY: Duration = Duration::from_secs(4);

#[test]
fn a_certificate_not_yet_valid() {
    // A certificate's times are whole seconds.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    let from = UNIX_EPOCH + Duration::from_secs(now.as_secs()) + EARLY;
    let service = Service::with_certificate("{}", "{\"kind\": \"List\"}", |parameters| {
        parameters.not_before = from.into();
        parameters.not_after = (from + Duration::from_secs(3600)).into();
    });
    let replica = service.launch();
    let object = deployment("runtime", vec![token_from("missing", "token")]);
    let review = creation("gitops", &object).to_string();
    let bundle = std::fs::read(&service.authority).expect("its CA certificate");
    let ask = || post_review(replica.address, &bundle, &review);

    let unready = wait_for("an answer of /readyz", || replica.readiness());
    assert_eq!(unready.status, 503);
    assert!(
        unready.body.contains("certificate: not valid before"),
        "{}",
        unready.body
    );
    let refused = ask().expect_err("nobody trusts it yet").to_string();
    assert!(
        refused.contains("NotValidYet") || refused.contains("not valid yet"),
        "{refused}"
    );
    assert!(SystemTime::now() < from, "all of that before its time");

    let waited = Instant::now();
    wait_for("readiness", || {
        let answer = replica.readiness()?;
        (answer.status == 200).then_some(()).ok_or(answer.body)
    });
    let waited = waited.elapsed();
    assert!(SystemTime::now() >= from, "not before its time");
    let answer = ask().expect("everybody trusts it now");
    assert!(
        answer.body.contains("[credentials/secret-missing]"),
        "{}",
        answer.body
    );
    println!(
        "a certificate {EARLY:?} before its time: not ready, ready by itself {waited:.1?} later; {} KiB",
        replica.resident_kib()
    );
}
