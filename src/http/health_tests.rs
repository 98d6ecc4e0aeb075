use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use prometheus_client::metrics::gauge::Gauge;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;
use crate::tls::certificate_files;

/// A cluster with one answer, which counts how often it is asked.
struct Cluster {
    answer: Result<(), String>,
    asked: AtomicUsize,
}

impl Readiness for Cluster {
    async fn answers(&self) -> Result<(), String> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        self.answer.clone()
    }
}

/// A cluster that never answers.
struct Silent;

impl Readiness for Silent {
    async fn answers(&self) -> Result<(), String> {
        std::future::pending().await
    }
}

/// Valid in 2001, Unix seconds 978307200 to 1009843200.
fn certificate() -> Arc<ServingCertificate> {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key): (&Path, &Path) = (
        &folder.path().join("tls.crt"),
        &folder.path().join("tls.key"),
    );
    let pair = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["keyguard.test".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(2002, 1, 1);
    std::fs::write(certificate, params.self_signed(&pair).unwrap().pem()).unwrap();
    std::fs::write(key, pair.serialize_pem()).unwrap();
    let pair = certificate_files::load(certificate, key).unwrap();
    Arc::new(ServingCertificate::of_files(pair))
}

fn health<R: Readiness>(readiness: R) -> Health<R> {
    Health {
        readiness: Arc::new(readiness),
        certificate: certificate(),
        metrics: Arc::default(),
        draining: CancellationToken::new(),
        cluster: Mutex::new(None),
    }
}

fn cluster(answer: Result<(), String>) -> Cluster {
    Cluster {
        answer,
        asked: AtomicUsize::new(0),
    }
}

const IN_2001: i64 = 1_000_000_000;

#[tokio::test]
async fn it_is_ready_when_the_certificate_is_valid_and_the_cluster_answers() {
    assert_eq!(health(cluster(Ok(()))).failing(IN_2001).await, [""; 0]);
}

#[tokio::test]
async fn each_failing_condition_has_a_line() {
    let health = health(cluster(Err("403 Forbidden".to_owned())));
    health.draining.cancel();
    let lines = health.failing(1_009_843_201).await;
    let expected = [
        "draining: keyguard is about to end",
        "certificate: expired at 2002-01-01T00:00:00Z; renew --tls-cert and --tls-key",
        "cluster: 403 Forbidden",
    ];
    assert_eq!(lines, expected);
    let last = health.failing(1_009_843_200).await;
    assert_eq!(
        last[1],
        "certificate: ends at 2002-01-01T00:00:00Z; renew --tls-cert and --tls-key"
    );
    let early = health.failing(978_307_199).await;
    assert_eq!(
        early[1],
        "certificate: not valid before 2001-01-01T00:00:00Z; mend the clock or --tls-cert"
    );
}

#[tokio::test]
async fn what_the_api_server_does_not_verify_is_not_ready_and_told_why() {
    let health = health(cluster(Ok(())));
    for why in ["the caBundle is empty", "another CA signed it"] {
        let told = Some(Arc::new(why.to_owned()));
        health.certificate.unverified.store(told);
        assert_eq!(health.failing(IN_2001).await, [why]);
    }
    health.certificate.unverified.store(None);
    assert_eq!(health.failing(IN_2001).await, [""; 0]);
}

#[tokio::test]
async fn the_metrics_say_whether_it_is_ready_and_verified() {
    let health = health(cluster(Ok(())));
    let table = [
        (IN_2001, None, [1, 1]),
        (IN_2001, Some("another CA signed it"), [0, 0]),
        (1_009_843_201, None, [0, 1]),
    ];
    for (now, unverified, expected) in table {
        let told = unverified.map(|why| Arc::new(why.to_owned()));
        health.certificate.unverified.store(told);
        health.measure(now).await;
        let shown = [&health.metrics.ready, &health.metrics.ca_bundle_verified].map(Gauge::get);
        assert_eq!(shown, expected, "{now} {unverified:?}");
    }
}

#[tokio::test]
async fn it_is_not_ready_before_it_has_a_certificate() {
    let health = Health {
        certificate: Arc::new(ServingCertificate::to_be_kept()),
        ..health(cluster(Ok(())))
    };
    let none = ["certificate: there is none yet"];
    assert_eq!(health.failing(IN_2001).await, none);
}

#[tokio::test]
async fn a_cluster_that_is_silent_for_a_second_does_not_answer() {
    assert_eq!(
        health(Silent).failing(IN_2001).await,
        ["cluster: no answer within 1s"]
    );
}

#[tokio::test]
async fn once_the_cluster_has_answered_it_is_not_asked_again() {
    let health = health(cluster(Ok(())));
    for _ in 0..3 {
        assert_eq!(health.failing(IN_2001).await, [""; 0]);
    }
    assert_eq!(health.readiness.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_bad_answer_holds_only_for_those_who_waited_for_it() {
    let health = health(cluster(Err("down".to_owned())));
    let lines = join_all((0..50).map(|_| health.failing(IN_2001))).await;
    assert!(lines.iter().all(|lines| lines == &["cluster: down"]));
    assert_eq!(health.readiness.asked.load(Ordering::Relaxed), 1);
    health.failing(IN_2001).await;
    assert_eq!(health.readiness.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_keeps_certificates_from_being_renewed_is_told_only_when_something_fails() {
    let health = health(cluster(Ok(())));
    let error = "certificates: keyguard may not patch secrets";
    let told = Some(Arc::new(error.to_owned()));
    health.certificate.keeper_error.store(told);
    assert_eq!(health.failing(IN_2001).await, [""; 0]);
    let lines = health.failing(1_009_843_201).await;
    assert_eq!(lines.last().map(String::as_str), Some(error));
}
