use super::*;

#[test]
fn everything_shows_under_its_name_and_what_has_few_labels_shows_zero_from_the_start() {
    let text = Metrics::new().encode();
    let version = env!("CARGO_PKG_VERSION");
    let mut expected = vec![
        "keyguard_requests_in_flight 0".to_owned(),
        "keyguard_records_dropped_total 0".to_owned(),
        "keyguard_connections 0".to_owned(),
        "keyguard_tls_handshakes_failed_total 0".to_owned(),
        "keyguard_certificate_not_after_seconds 0".to_owned(),
        "keyguard_certificate_reloads_total{outcome=\"served\"} 0".to_owned(),
        "keyguard_certificate_reloads_total{outcome=\"refused\"} 0".to_owned(),
        format!("keyguard_build_info{{version=\"{version}\"}} 1"),
    ];
    for outcome in [
        "found",
        "missing",
        "forbidden",
        "timeout",
        "error",
        "too-large",
    ] {
        expected.push(format!(
            "keyguard_secret_reads_total{{outcome=\"{outcome}\"}} 0"
        ));
        expected.push(format!(
            "keyguard_config_map_reads_total{{outcome=\"{outcome}\"}} 0"
        ));
        expected.push(format!(
            "keyguard_workload_searches_total{{outcome=\"{outcome}\"}} 0"
        ));
    }
    for reason in RejectionReason::VARIANTS {
        let reason: &str = reason.into();
        expected.push(format!(
            "keyguard_requests_rejected_total{{reason=\"{reason}\"}} 0"
        ));
    }
    for webhook in ["argocd-cm", "workloads", "secrets", "none"] {
        expected.push(format!(
            "keyguard_review_duration_seconds_count{{webhook=\"{webhook}\"}} 0"
        ));
    }
    for line in expected {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_decision_counts_under_the_names_of_its_parts() {
    let metrics = Metrics::new();
    let rule = Rule::from_id("accounts/api-key-removed");
    metrics.decided(Webhook::ArgocdCm, Operation::Update, Decision::Deny, rule);
    metrics.decided(Webhook::ArgocdCm, Operation::Update, Decision::Deny, rule);
    metrics.decided(Webhook::None, Operation::Connect, Decision::Allow, None);
    let text = metrics.encode();
    for line in [
        "keyguard_decisions_total{webhook=\"argocd-cm\",operation=\"UPDATE\",decision=\"deny\",rule=\"accounts/api-key-removed\"} 2",
        "keyguard_decisions_total{webhook=\"none\",operation=\"CONNECT\",decision=\"allow\",rule=\"none\"} 1",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
}

#[test]
fn a_duration_falls_into_the_buckets_from_its_bound_on() {
    let metrics = Metrics::new();
    metrics.reviewed(Webhook::Workloads, Duration::from_micros(250));
    metrics.reviewed(Webhook::Workloads, Duration::from_millis(2));
    metrics.reviewed(Webhook::Workloads, Duration::from_secs(6));
    let text = metrics.encode();
    for (bound, count) in [
        ("0.00025", 1),
        ("0.0005", 1),
        ("0.0025", 2),
        ("5.0", 2),
        ("+Inf", 3),
    ] {
        let line = format!(
            "keyguard_review_duration_seconds_bucket{{le=\"{bound}\",webhook=\"workloads\"}} {count}"
        );
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
}

#[test]
fn what_is_held_counts_until_it_is_dropped() {
    let metrics = Metrics::new();
    let held = (metrics.request_begins(), metrics.connection_opens());
    let shows = |line: &str| metrics.encode().lines().any(|shown| shown == line);
    assert!(shows("keyguard_requests_in_flight 1") && shows("keyguard_connections 1"));
    drop(held);
    assert!(shows("keyguard_requests_in_flight 0") && shows("keyguard_connections 0"));
}
