//! What is written is held to the schema of OASIS, and to what GitHub asks for beyond it.

use serde_json::{Value, json};

use super::*;
use crate::report::odd_report::odd_report;

/// The log, if the schema allows it.
fn valid(report: &Report) -> Value {
    let log: Value = serde_json::from_str(&render(report).unwrap()).unwrap();
    let schema = include_str!("../../tests/fixtures/report-schemas/sarif-2.1.0.json");
    let mut schema: Value = serde_json::from_str(schema).unwrap();
    // Its pattern for a language has a bracket too many, which the validator does not take; no language is written.
    for of in ["run", "toolComponent"] {
        let language = schema["definitions"][of]["properties"]["language"].as_object_mut();
        language
            .and_then(|language| language.remove("pattern"))
            .unwrap();
    }
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    let faults: Vec<String> = validator
        .iter_errors(&log)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
    log
}

#[test]
fn an_empty_report_has_results_and_all_rules() {
    let log = valid(&Report::default());
    let run = &log["runs"][0];
    assert_eq!(run["results"], json!([]));
    assert_eq!(run["invocations"], json!([{"executionSuccessful": true}]));
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), rules::all().count());
    for rule in rules {
        for (member, text) in [
            ("shortDescription", "text"),
            ("fullDescription", "text"),
            ("help", "text"),
            ("help", "markdown"),
            ("defaultConfiguration", "level"),
        ] {
            assert!(
                rule[member][text]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{rule}"
            );
        }
    }
}

#[test]
fn a_finding_has_all_that_github_asks_for() {
    let log = valid(&odd_report());
    let run = &log["runs"][0];
    let result = &run["results"][1];
    let report = odd_report();
    let fingerprint = &report.findings[1].fingerprint;
    assert_eq!(
        *result,
        json!({
            "ruleId": "accounts/api-key-removed",
            "ruleIndex": 0,
            "level": "error",
            "message": {"text": report.findings[1].message},
            "locations": [{
                "physicalLocation": {
                    "artifactLocation": {
                        "uri": "apps/a%20b%25%2C%3A%E6%97%A5%E6%9C%AC.yaml",
                        "uriBaseId": "%SRCROOT%",
                    },
                    "region": {"startLine": 3, "startColumn": 5, "endLine": 3, "endColumn": 30},
                },
                "logicalLocations": [{
                    "name": crate::report::odd_report::RIGHT_TO_LEFT,
                    "fullyQualifiedName": format!("v1/ConfigMap/argocd/{}", crate::report::odd_report::RIGHT_TO_LEFT),
                    "kind": "resource",
                }],
            }],
            "partialFingerprints": {"primaryLocationLineHash": fingerprint, "keyguard/v1": fingerprint},
            "suppressions": [],
        })
    );
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(
            run["tool"]["driver"]["rules"][index]["id"],
            result["ruleId"]
        );
    }
}

#[test]
fn a_place_always_has_its_four_numbers_in_order() {
    let log = valid(&odd_report());
    let results = &log["runs"][0]["results"];
    let region =
        |index: usize| results[index]["locations"][0]["physicalLocation"]["region"].clone();
    assert_eq!(
        region(2),
        json!({"startLine": 8, "startColumn": 40, "endLine": 10, "endColumn": 2})
    );
    // Without a line.
    assert_eq!(
        region(3),
        json!({"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1})
    );
    // The end is not before the beginning.
    let mut report = odd_report();
    (report.findings[1].end_line, report.findings[1].end_column) = (1, 2);
    let log = valid(&report);
    assert_eq!(
        log["runs"][0]["results"][1]["locations"][0]["physicalLocation"]["region"],
        json!({"startLine": 3, "startColumn": 5, "endLine": 3, "endColumn": 5})
    );
}

#[test]
fn an_object_of_a_cluster_has_no_file() {
    let log = valid(&odd_report());
    assert_eq!(
        log["runs"][0]["results"][0]["locations"],
        json!([{"logicalLocations": [{
            "name": "cap-app-proxy",
            "fullyQualifiedName": "apps/v1/Deployment/codefresh/cap-app-proxy",
            "kind": "resource",
        }]}])
    );
}

#[test]
fn what_was_ignored_is_a_result_with_its_reason() {
    let log = valid(&odd_report());
    let result = &log["runs"][0]["results"][4];
    assert_eq!(result["ruleId"], "values/plain-credential");
    assert_eq!(
        result["suppressions"],
        json!([{"kind": "inSource", "justification": "it is a test, 100% \"sure\""}])
    );
}

#[test]
fn what_could_not_be_seen_or_read_is_a_notification() {
    let log = valid(&odd_report());
    let invocation = &log["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let notifications = invocation["toolExecutionNotifications"].as_array().unwrap();
    let told: Vec<(&str, &str)> = notifications
        .iter()
        .map(|notification| {
            (
                notification["level"].as_str().unwrap(),
                notification["message"]["text"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("error", "broken.yaml: is not YAML or JSON"),
            ("warning", "Not seen: $ref values: the source is elsewhere"),
        ]
    );
    assert_eq!(
        notifications[1]["locations"][0]["physicalLocation"]["region"]["startLine"],
        9
    );
}
