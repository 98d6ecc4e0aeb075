//! The dashboard and the alerts: what they name exists, and each alert has its entry in the document.

use std::collections::BTreeSet;
use std::fs;

use keyguard::telemetry::collector_metrics::CollectorMetrics;
use keyguard::telemetry::metrics::Metrics;
use keyguard::telemetry::scan_metrics::{ScanMetrics, Told};
use keyguard_core::policy::subject::Operation;
use keyguard_core::policy::verdict::Decision;
use keyguard_core::review::request::Webhook;
use serde_json::{Value, json};

use super::rendered::{chart, object, render};

const DOCUMENT: &str = include_str!("../../../docs/operations.md");
const TESTS: &str = include_str!("../../tools/promtool/alerts.yaml");

#[test]
fn neither_is_there_unless_asked_for() {
    let rendered = render("{}");
    assert!(rendered.len() > 5, "{}", rendered.len());
    for object in rendered {
        assert_ne!(object["kind"], "PrometheusRule");
        assert_ne!(object["metadata"]["name"], "keyguard-dashboard");
    }
}

#[test]
fn the_rules_are_those_of_the_file_with_what_values_decide() {
    let objects = render("{prometheusRule: {enabled: true}}");
    let rule = object(&objects, "PrometheusRule", "keyguard");
    assert_eq!(rule["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(rule["spec"], file("alerts.yaml"));

    let values = "
fullnameOverride: guard
prometheusRule:
  enabled: true
  labels: {release: prometheus}
  annotations: {owner: platform}
  runbookUrl: https://example.com/operations
  leftOut: [KeyguardFindings, KeyguardCredentialExpiresSoon, KeyguardGlassBroken]
";
    let objects = render(values);
    let rule = object(&objects, "PrometheusRule", "guard");
    assert_eq!(rule["metadata"]["labels"]["release"], "prometheus");
    assert_eq!(rule["metadata"]["annotations"]["owner"], "platform");
    let text = rule["spec"].to_string();
    assert!(text.contains(r#"{job=\"guard\""#), "{text}");
    assert!(!text.contains(r#"job=\"keyguard\""#), "{text}");
    let left = names(&rule["spec"]);
    let mut expected = names(&file("alerts.yaml"));
    for name in [
        "KeyguardFindings",
        "KeyguardCredentialExpiresSoon",
        "KeyguardGlassBroken",
    ] {
        assert!(expected.remove(name), "{name}");
    }
    assert_eq!(left, expected);
    for alert in alerts(&rule["spec"]) {
        let url = alert["annotations"]["runbook_url"].as_str().unwrap();
        let anchor = alert["alert"].as_str().unwrap().to_lowercase();
        assert_eq!(url, format!("https://example.com/operations#{anchor}"));
    }

    let objects = render("{prometheusRule: {enabled: true, job: monitoring/keyguard}}");
    let rule = object(&objects, "PrometheusRule", "keyguard").to_string();
    assert!(
        rule.contains(r#"job=\"monitoring/keyguard\""#) && !rule.contains(r#"job=\"keyguard\""#)
    );
}

#[test]
fn the_dashboard_is_the_file_where_the_sidecar_looks_for_it() {
    let dashboard = file("dashboard.json");
    let objects = render("{dashboard: {enabled: true}}");
    let map = object(&objects, "ConfigMap", "keyguard-dashboard");
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    assert_eq!(map["metadata"]["annotations"], Value::Null);
    let shown = map["data"]["keyguard.json"].as_str().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(shown).unwrap(),
        dashboard,
        "{shown}"
    );

    let values = "{dashboard: {enabled: true, labels: {grafana_dashboard: null, dashboards: team}, annotations: {grafana_folder: Argo CD}}}";
    let objects = render(values);
    let metadata = &object(&objects, "ConfigMap", "keyguard-dashboard")["metadata"];
    assert_eq!(metadata["labels"]["grafana_dashboard"], Value::Null);
    assert_eq!(metadata["labels"]["dashboards"], "team");
    assert_eq!(
        metadata["annotations"],
        json!({"grafana_folder": "Argo CD"})
    );

    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let is_row = panel["type"] == "row";
        assert_eq!(is_row, panel["targets"].is_null(), "{panel}");
        assert_eq!(is_row, panel["description"].is_null(), "{panel}");
    }
    assert!(ids.len() > 15, "{ids:?}");
}

#[test]
fn every_alert_has_its_entry_in_the_document_and_every_entry_its_alert() {
    let (_, rest) = DOCUMENT.split_once("\n## Alerts\n").unwrap();
    let (section, _) = rest.split_once("\n## ").unwrap();
    let mut entries = BTreeSet::new();
    for entry in section.split("\n### ").skip(1) {
        let (name, text) = entry.split_once('\n').unwrap();
        for part in [
            "\n- **Meaning**: ",
            "\n- **What stops**: ",
            "\n- **What to do**: ",
        ] {
            assert!(text.contains(part), "{name}: {part:?}");
        }
        entries.insert(name.to_owned());
    }
    let rules = file("alerts.yaml");
    assert_eq!(entries, names(&rules));
    for alert in alerts(&rules) {
        let name = alert["alert"].as_str().unwrap();
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(
            ["critical", "warning", "info"].contains(&severity),
            "{name}"
        );
        let annotations = &alert["annotations"];
        for text in ["summary", "description"] {
            let text = annotations[text].as_str().unwrap();
            assert!(
                text.ends_with('.') && !text.contains('\n'),
                "{name}: {text}"
            );
        }
        let anchor = format!("docs/operations.md#{}", name.to_lowercase());
        assert_eq!(annotations["runbook_url"], anchor);
    }
}

#[test]
fn every_metric_and_label_value_in_a_query_exists() {
    let metrics = Metrics::new();
    for decision in [Decision::Deny, Decision::BreakGlass] {
        metrics.decided(Webhook::ArgocdCm, Operation::Update, decision, None);
    }
    let scans = ScanMetrics::new();
    scans.tell(Told {
        findings: [(("accounts/unreadable", "argocd".to_owned()), 1)].into(),
        expiries: vec![(1, "argocd".to_owned(), "argocd-token".to_owned())],
        ..Told::default()
    });
    let exposition = metrics.encode() + &scans.encode() + &CollectorMetrics::new().encode();
    let mut exist = BTreeSet::new();
    let mut pairs = BTreeSet::new();
    for sample in exposition.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = sample.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        exist.insert(name);
        let labels = labels.trim_end_matches('}').split(',');
        pairs.extend(labels.map(|pair| (name, pair.to_owned())));
    }
    let rules = file("alerts.yaml");
    let recorded: BTreeSet<&str> = rules_of(&rules)
        .filter_map(|rule| rule["record"].as_str())
        .collect();
    let dashboard = file("dashboard.json");
    let queries = [queries(&rules), queries(&dashboard)].concat();
    let mut named = BTreeSet::new();
    for query in &queries {
        for (at, _) in query.match_indices("keyguard_") {
            let before = query[..at].chars().next_back();
            let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            if before.is_some_and(|letter| is_word(letter) || letter == ':') {
                let is_recorded = recorded.iter().any(|name| query.contains(name));
                assert!(is_recorded, "{query}");
                continue;
            }
            let rest = &query[at..];
            let (name, rest) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
            assert!(exist.contains(name), "there is no {name}: {query}");
            named.insert(name);
            let Some(labels) = rest.strip_prefix('{') else {
                continue;
            };
            let (labels, _) = labels.split_once('}').unwrap();
            for selector in labels.split(',') {
                let (label, values) = selector.split_once(['=', '!']).unwrap();
                let values = values.trim_matches(['=', '~', '"']);
                let exists = |value: &str| pairs.contains(&(name, format!("{label}=\"{value}\"")));
                let closed = label != "job";
                assert!(
                    !closed || values.split('|').all(exists),
                    "{name}{{{selector}}}: {query}"
                );
            }
        }
    }
    assert!(named.len() > 15, "{named:?}");
}

#[test]
fn the_limits_in_queries_are_those_of_the_webhooks() {
    let webhooks = file("webhooks.yaml");
    let timeout = webhooks["webhooks"][0]["timeoutSeconds"].as_f64().unwrap();
    let rules = file("alerts.yaml");
    let slow = alerts(&rules)
        .find(|alert| alert["alert"] == "KeyguardReviewsSlow")
        .unwrap();
    let (query, half) = (slow["expr"].as_str().unwrap(), timeout / 2.0);
    assert!(query.contains(&format!(") > {half}\n")), "{query}");
    assert!(query.contains(&format!("le=\"{half}\"")), "{query}");
    let dashboard = file("dashboard.json");
    let lines = queries(&dashboard);
    let lines = lines.iter().filter(|query| query.starts_with("vector("));
    let lines: BTreeSet<_> = lines.collect();
    assert_eq!(lines, BTreeSet::from([&format!("vector({timeout})")]));
}

/// promtool runs them: `.ci/run tools`.
#[test]
fn every_alert_is_tested_to_fire_and_not_to_fire() {
    let tests: Value = serde_saphyr::from_str(TESTS).unwrap();
    let (mut fires, mut rests) = (BTreeSet::new(), BTreeSet::new());
    for test in tests["tests"].as_array().unwrap() {
        for case in test["alert_rule_test"].as_array().unwrap() {
            let name = case["alertname"].as_str().unwrap().to_owned();
            let expected = case["exp_alerts"].as_array().unwrap();
            let tested = if expected.is_empty() {
                &mut rests
            } else {
                &mut fires
            };
            tested.insert(name);
        }
    }
    let names = names(&file("alerts.yaml"));
    assert_eq!(fires, names);
    assert_eq!(rests, names);
}

/// A file of the chart; JSON is YAML.
fn file(name: &str) -> Value {
    let text = fs::read_to_string(chart().join("files").join(name)).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

fn rules_of(spec: &Value) -> impl Iterator<Item = &Value> {
    let groups = spec["groups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_array().unwrap())
}

fn alerts(spec: &Value) -> impl Iterator<Item = &Value> {
    rules_of(spec).filter(|rule| rule["alert"].is_string())
}

fn names(spec: &Value) -> BTreeSet<String> {
    let names = alerts(spec).filter_map(|alert| alert["alert"].as_str());
    names.map(str::to_owned).collect()
}

/// Every `expr` in it.
fn queries(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let own = members.get("expr").and_then(Value::as_str);
            let nested = members.values().flat_map(queries);
            own.map(str::to_owned).into_iter().chain(nested).collect()
        }
        Value::Array(items) => items.iter().flat_map(queries).collect(),
        _ => Vec::new(),
    }
}
