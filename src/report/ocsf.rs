//! Findings and decisions as events of OCSF 1.8.0, for those who collect security events: a line each.
//!
//! Source: <https://schema.ocsf.io/1.8.0>, the classes Compliance Finding (2003) and API Activity (6003).

use serde_json::{Value, json};

use super::{Finding, Report, Severity};
use crate::clock;
#[cfg(feature = "audit")]
use keyguard_core::policy::subject::Operation;
#[cfg(feature = "audit")]
use keyguard_core::policy::verdict::Decision;
#[cfg(feature = "audit")]
use keyguard_core::record::Record;

/// The version of the schema.
const VERSION: &str = "1.8.0";

/// A line a finding, as Compliance Finding.
///
/// # Errors
/// As far as serde_json has them.
pub fn render(report: &Report) -> serde_json::Result<String> {
    let time = clock::now().saturating_mul(1000);
    let lines = report.findings.iter().map(|finding| {
        let mut line = serde_json::to_string(&compliance(finding, time))?;
        line.push('\n');
        Ok(line)
    });
    lines.collect()
}

fn metadata() -> Value {
    json!({
        "version": VERSION,
        "product": {"name": "keyguard", "vendor_name": "keyguard", "version": env!("CARGO_PKG_VERSION")},
    })
}

/// A finding, which is of now; `time` is in milliseconds since 1970.
fn compliance(finding: &Finding, time: i64) -> Value {
    let (severity_id, severity, status_id, status) = match finding.severity {
        Severity::Error => (3, "Medium", 3, "Fail"),
        Severity::Warning => (2, "Low", 2, "Warning"),
        Severity::Note => (1, "Informational", 2, "Warning"),
    };
    let mut resource = json!({"name": finding.subject(), "role_id": 1, "role": "Target"});
    if let Some(object) = &finding.object {
        resource = json!({
            "name": object.name, "namespace": object.namespace, "type": object.kind, "version": object.api_version,
            "role_id": 1, "role": "Target",
        });
    }
    json!({
        "class_uid": 2003, "class_name": "Compliance Finding", "category_uid": 2, "category_name": "Findings",
        "activity_id": 1, "activity_name": "Create", "type_uid": 200_301, "time": time,
        "severity_id": severity_id, "severity": severity, "status_id": 1, "status": "New",
        "message": finding.message, "metadata": metadata(),
        "finding_info": {"uid": finding.fingerprint, "title": finding.rule, "desc": finding.message},
        "compliance": {
            "control": finding.rule, "standards": ["keyguard"], "status_id": status_id, "status": status,
            "status_details": [finding.message],
        },
        "resources": [resource],
        "unmapped": {"file": finding.file, "line": finding.line, "column": finding.column, "field": finding.field},
    })
}

/// A decision, as API Activity with the profile Security Control; all of the record is in `unmapped`. `time` is in
/// milliseconds since 1970.
#[cfg(feature = "audit")]
pub fn activity(record: &Record, time: i64) -> Value {
    let (activity_id, activity) = match record.operation {
        Some(Operation::Create) => (1, "Create"),
        Some(Operation::Update) => (3, "Update"),
        Some(Operation::Delete) => (4, "Delete"),
        Some(Operation::Connect) => (99, "Connect"),
        None => (0, "Unknown"),
    };
    let outcome = outcome(record.decision);
    let message = match record.findings.first() {
        Some(finding) => &finding.message,
        None => &record.reason,
    };
    let unless_empty = |text: &str| if text.is_empty() { "unknown" } else { text }.to_owned();
    let (user_type_id, user_type) = match record.user.name.as_str() {
        "" => (0, "Unknown"),
        name if name.starts_with("system:serviceaccount:") => (4, "Service"),
        name if name.starts_with("system:") => (3, "System"),
        _ => (1, "User"),
    };
    let groups: Vec<Value> = record
        .user
        .groups
        .iter()
        .map(|group| json!({"name": group}))
        .collect();
    let mut metadata = metadata();
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert("profiles".to_owned(), json!(["security_control"]));
        metadata.insert("uid".to_owned(), json!(record.id));
        metadata.insert("log_name".to_owned(), json!(record.cluster));
        metadata.insert("original_time".to_owned(), json!(record.time));
        metadata.insert("correlation_uid".to_owned(), json!(record.fingerprint));
    }
    let mut event = json!({
        "class_uid": 6003, "class_name": "API Activity", "category_uid": 6, "category_name": "Application Activity",
        "activity_id": activity_id, "activity_name": activity, "type_uid": 600_300 + activity_id, "time": time,
        "severity_id": outcome.severity.0, "severity": outcome.severity.1,
        "status_id": outcome.status.0, "status": outcome.status.1,
        "action_id": outcome.action.0, "action": outcome.action.1,
        "disposition_id": outcome.disposition.0, "disposition": outcome.disposition.1, "is_alert": outcome.is_alert,
        "message": message, "metadata": metadata,
        "actor": {
            "app_name": unless_empty(record.tool.name()),
            "user": {
                "name": unless_empty(&record.user.name), "type_id": user_type_id, "type": user_type, "groups": groups,
            },
        },
        "api": {
            "operation": unless_empty(record.operation.map_or("", Operation::name)),
            "request": {"uid": unless_empty(&record.uid)},
            "service": {"name": "kube-apiserver"}, "version": record.object.api_version,
        },
        "src_endpoint": {"svc_name": "kube-apiserver"},
        "resources": [{
            "name": unless_empty(&record.object.name), "namespace": record.object.namespace, "type": record.object.kind,
            "version": record.object.api_version, "role_id": 1, "role": "Target",
        }],
        "unmapped": {"decision": record.decision.name(), "record": record},
    });
    if let (Some(rule), Some(event)) = (record.rules.first(), event.as_object_mut()) {
        let policy = json!({"name": rule.id(), "desc": rule.why(), "is_applied": true});
        event.insert("policy".to_owned(), policy);
    }
    event
}

/// What became of a request, each with its id and caption.
#[cfg(feature = "audit")]
struct Outcome {
    severity: (u8, &'static str),
    status: (u8, &'static str),
    action: (u8, &'static str),
    disposition: (u8, &'static str),
    is_alert: bool,
}

#[cfg(feature = "audit")]
fn outcome(decision: Decision) -> Outcome {
    let (success, failure) = ((1, "Success"), (2, "Failure"));
    let (unknown, allowed, denied) = ((0, "Unknown"), (1, "Allowed"), (2, "Denied"));
    let (severity, status, action, disposition) = match decision {
        Decision::Allow => ((1, "Informational"), success, allowed, (1, "Allowed")),
        Decision::Exempt => ((1, "Informational"), success, allowed, (16, "No Action")),
        Decision::Audit => ((2, "Low"), success, (3, "Observed"), (17, "Logged")),
        Decision::Warn => ((2, "Low"), success, allowed, (19, "Alert")),
        Decision::BreakGlass => ((4, "High"), success, allowed, (1, "Allowed")),
        Decision::Deny => ((3, "Medium"), failure, denied, (2, "Blocked")),
        Decision::Shed | Decision::Failed => ((2, "Low"), failure, unknown, (27, "Error")),
    };
    Outcome {
        severity,
        status,
        action,
        disposition,
        is_alert: matches!(
            decision,
            Decision::Warn | Decision::BreakGlass | Decision::Deny
        ),
    }
}

#[cfg(test)]
#[path = "ocsf_tests.rs"]
mod tests;
