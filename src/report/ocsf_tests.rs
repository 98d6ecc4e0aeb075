use std::fs;

use super::*;
use crate::report::odd_report::odd_report;

/// The published schema: tests/fixtures/ocsf-1.8.0.
fn file(path: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/ocsf-1.8.0/");
    let text = fs::read_to_string(format!("{folder}{path}.json"));
    serde_json::from_str(&text.unwrap_or_else(|error| panic!("{path}: {error}"))).unwrap()
}

struct Schema {
    dictionary: Value,
}

impl Schema {
    fn new() -> Schema {
        Schema {
            dictionary: file("dictionary"),
        }
    }

    /// What an event or object can have: its own attributes over those of what it extends, and of the profile.
    fn definition(&self, folder: &str, name: &str) -> Value {
        let own = file(&format!("{folder}/{name}"));
        let mut all = match own["extends"].as_str() {
            Some(base) if base != name => self.definition(folder, base),
            _ => json!({"attributes": {}}),
        };
        for (attribute, definition) in own["attributes"].as_object().unwrap() {
            let known = &mut all["attributes"][attribute];
            match (known.as_object_mut(), definition.as_object()) {
                (Some(known), Some(definition)) => {
                    for (key, value) in definition {
                        match (known.get_mut(key), value) {
                            (Some(Value::Object(known)), Value::Object(value)) => {
                                known.extend(value.clone());
                            }
                            _ => drop(known.insert(key.clone(), value.clone())),
                        }
                    }
                }
                _ => *known = definition.clone(),
            }
        }
        if let Some(constraints) = own.get("constraints") {
            all["constraints"] = constraints.clone();
        }
        all
    }

    fn event(&self, name: &str, event: &Value) {
        let mut definition = self.definition("events", name);
        let profiles = event["metadata"]["profiles"].as_array().cloned();
        for profile in profiles.unwrap_or_default() {
            let profile = file(&format!("profiles/{}", profile.as_str().unwrap()));
            let added = profile["attributes"].as_object().unwrap().clone();
            definition["attributes"]
                .as_object_mut()
                .unwrap()
                .extend(added);
        }
        self.members(name, &definition, event);
        let uid = |name: &str| event[name].as_i64().unwrap();
        assert_eq!(uid("type_uid"), uid("class_uid") * 100 + uid("activity_id"));
    }

    fn members(&self, place: &str, definition: &Value, value: &Value) {
        let value = value
            .as_object()
            .unwrap_or_else(|| panic!("{place}: {value}"));
        let attributes = definition["attributes"].as_object().unwrap();
        for (name, attribute) in attributes {
            let required = attribute["requirement"] == "required";
            assert!(
                !required || value.contains_key(name),
                "{place} has no {name}"
            );
        }
        if let Some(one) = definition["constraints"]["at_least_one"].as_array() {
            let has = one
                .iter()
                .any(|it| value.contains_key(it.as_str().unwrap()));
            assert!(has, "{place} has none of {one:?}");
        }
        for (name, member) in value {
            let place = format!("{place}.{name}");
            let attribute = attributes.get(name);
            let attribute = attribute.unwrap_or_else(|| panic!("{place} is not of the schema"));
            assert!(
                attribute.get("@deprecated").is_none(),
                "{place} is deprecated"
            );
            let general = &self.dictionary["attributes"][name];
            let kind = attribute
                .get("type")
                .unwrap_or(&general["type"])
                .as_str()
                .unwrap();
            let members = match general["is_array"].as_bool() {
                Some(true) => member
                    .as_array()
                    .unwrap_or_else(|| panic!("{place}"))
                    .clone(),
                _ => vec![member.clone()],
            };
            for member in &members {
                self.member(&place, kind, [attribute, general], member);
            }
        }
    }

    fn member(&self, place: &str, kind: &str, definitions: [&Value; 2], value: &Value) {
        match kind {
            "integer_t" | "long_t" | "timestamp_t" => {
                assert!(value.is_i64() || value.is_u64(), "{place}: {value}");
            }
            "boolean_t" => assert!(value.is_boolean(), "{place}: {value}"),
            "json_t" => {}
            "object" => assert!(value.is_object(), "{place}: {value}"),
            kind if kind.ends_with("_t") => assert!(value.is_string(), "{place}: {value}"),
            kind => return self.members(place, &self.definition("objects", kind), value),
        }
        let enums: Vec<_> = definitions
            .iter()
            .filter_map(|it| it["enum"].as_object())
            .collect();
        if !enums.is_empty() && place.ends_with("_id") {
            let is_known = enums.iter().any(|it| it.contains_key(&value.to_string()));
            assert!(is_known, "{place}: {value}");
        }
    }
}

#[test]
fn findings_are_compliance_findings_of_the_published_schema() {
    let (schema, report) = (Schema::new(), odd_report());
    let rendered = render(&report).unwrap();
    assert_eq!(rendered.lines().count(), report.findings.len());
    for line in rendered.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        schema.event("compliance_finding", &event);
        assert_eq!(event["class_uid"], 2003);
    }
}

#[test]
#[should_panic(expected = "is not of the schema")]
fn the_schema_refuses_what_it_does_not_know() {
    let mut event = compliance(&odd_report().findings[0], 0);
    event["resources"][0]["kind"] = json!("x");
    Schema::new().event("compliance_finding", &event);
}

#[cfg(feature = "audit")]
#[test]
fn each_decision_is_an_api_activity_of_the_published_schema() {
    use strum::VariantArray as _;

    let schema = Schema::new();
    for decision in Decision::VARIANTS {
        let record = json!({
            "id": "0199", "time": "2026-11-27T12:00:00Z", "cluster": "production", "replica": "keyguard-0", "number": 1,
            "fingerprint": "f", "uid": "u", "decision": decision, "rules": ["accounts/api-key-removed"],
            "findings": [{"rule": "accounts/api-key-removed", "effect": "deny", "fields": ["x"], "message": "loses apiKey"}],
            "webhook": "argocd-cm", "operation": "UPDATE", "dryRun": false,
            "object": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "argocd", "name": "argocd-cm"},
            "user": {"name": "alice", "groups": ["dev"]}, "tool": {"fieldManager": "kubectl"}, "durationSeconds": 0.1,
        });
        let record: Record = serde_json::from_value(record).unwrap();
        let event = activity(&record, 1_795_737_600_000);
        schema.event("api_activity", &event);
        assert_eq!(event["unmapped"]["record"]["id"], "0199");
        if *decision == Decision::Deny {
            assert_eq!(
                (&event["action"], &event["disposition"]),
                (&json!("Denied"), &json!("Blocked"))
            );
        }
        // Of what got no review nothing is known.
        let circumstances = keyguard_core::record::Circumstances::default();
        let unknown = Record::of_rejection(*decision, "too much", circumstances);
        schema.event("api_activity", &activity(&unknown, 0));
    }
}
