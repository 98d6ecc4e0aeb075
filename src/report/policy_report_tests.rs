//! What is written is held to the schemas of both APIs, and to the size that a cluster stores.

use serde_json::{Value, json};

use super::*;
use crate::report::odd_report::{finding, odd_report};
use crate::report::{Finding, Suppressed};

const APIS: [Api; 2] = [Api::OpenReports, Api::WgPolicy];

/// The schema of the version in the CustomResourceDefinition; a member that it does not name is a fault, because a
/// cluster would drop it.
fn schema(api: Api) -> Value {
    let definition = match api {
        Api::OpenReports => {
            include_str!("../../tests/fixtures/report-schemas/openreports.io_reports.yaml")
        }
        Api::WgPolicy => {
            include_str!("../../tests/fixtures/report-schemas/wgpolicyk8s.io_policyreports.yaml")
        }
    };
    let definition: Value = serde_saphyr::from_str(definition).unwrap();
    let (group, version) = api.version().split_once('/').unwrap();
    assert_eq!(definition["spec"]["group"], group);
    assert_eq!(definition["spec"]["names"]["kind"], api.kind());
    let versions = definition["spec"]["versions"].as_array().unwrap();
    let version = versions.iter().find(|one| one["name"] == version).unwrap();
    let mut schema = version["schema"]["openAPIV3Schema"].clone();
    close(&mut schema);
    schema
}

fn close(schema: &mut Value) {
    if let Some(object) = schema.as_object_mut()
        && object.contains_key("properties")
        && object.get("type") == Some(&json!("object"))
    {
        object.insert("additionalProperties".into(), false.into());
    }
    match schema {
        Value::Object(object) => object.values_mut().for_each(close),
        Value::Array(array) => array.iter_mut().for_each(close),
        _ => {}
    }
}

/// The items of the list, if the schema allows each.
fn valid(report: &Report, api: Api) -> Vec<Value> {
    let list: Value = serde_json::from_str(&render(report, api).unwrap()).unwrap();
    assert_eq!(
        (&list["apiVersion"], &list["kind"]),
        (&json!("v1"), &json!("List"))
    );
    let validator = jsonschema::validator_for(&schema(api)).unwrap();
    let items = list["items"].as_array().unwrap().clone();
    for item in &items {
        let faults: Vec<String> = validator
            .iter_errors(item)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{faults:#?}");
        assert_eq!(
            (&item["apiVersion"], &item["kind"]),
            (&json!(api.version()), &json!(api.kind()))
        );
        assert!(item.to_string().len() < 1_500_000);
    }
    items
}

#[test]
fn nothing_found_is_an_empty_list() {
    for api in APIS {
        assert_eq!(valid(&Report::default(), api), [] as [Value; 0]);
    }
}

#[test]
fn each_namespace_has_one() {
    for api in APIS {
        let items = valid(&odd_report(), api);
        let summaries: Vec<(Value, Value)> = items
            .iter()
            .map(|item| {
                (
                    item["metadata"]["namespace"].clone(),
                    item["summary"].clone(),
                )
            })
            .collect();
        assert_eq!(
            summaries,
            [
                (Value::Null, json!({"fail": 0, "warn": 2, "skip": 1})),
                (json!("argocd"), json!({"fail": 1, "warn": 0, "skip": 0})),
                (json!("codefresh"), json!({"fail": 1, "warn": 0, "skip": 0})),
            ]
        );
        assert_eq!(
            items[2]["results"],
            json!([{
                "source": "keyguard",
                "policy": "keyguard",
                "rule": "credentials/secret-missing",
                "category": "credentials",
                "severity": "high",
                "result": "fail",
                "message": "Secret codefresh/argocd-token does not exist",
                "resources": [{
                    "apiVersion": "apps/v1", "kind": "Deployment", "namespace": "codefresh", "name": "cap-app-proxy",
                }],
                "properties": {
                    "field": "data[\"accounts.admin\"]",
                    "fingerprint": odd_report().findings[0].fingerprint,
                },
            }])
        );
        assert_eq!(
            items[0]["results"][2]["properties"]["reason"],
            "it is a test, 100% \"sure\""
        );
    }
}

#[test]
fn beyond_the_limit_the_worst_stay_and_all_are_counted() {
    let long = |number: u32, severity: Severity| Finding {
        line: number,
        severity,
        message: "本".repeat(5_000),
        field: "f".repeat(5_000),
        file: "d/".repeat(5_000),
        ..finding()
    };
    let mut report = Report {
        findings: (0..600)
            .map(|number| long(number, Severity::Warning))
            .collect(),
        suppressed: vec![Suppressed {
            finding: long(1, Severity::Error),
            reason: "r".repeat(5_000),
        }],
        ..Report::default()
    };
    report.findings.push(long(600, Severity::Error));
    for api in APIS {
        let items = valid(&report, api);
        assert_eq!(items.len(), 1);
        assert_eq!(
            items[0]["summary"],
            json!({"fail": 1, "warn": 600, "skip": 1})
        );
        let results = items[0]["results"].as_array().unwrap();
        assert_eq!(results.len(), MOST_RESULTS);
        assert_eq!(results[0]["result"], "fail");
        assert_eq!(results[499]["properties"]["resultsLeftOut"], "102");
        assert!(results[498]["properties"]["resultsLeftOut"].is_null());
    }
}
