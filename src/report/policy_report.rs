//! Findings about objects as objects of a cluster, one a namespace, that dashboards for policies read.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use keyguard_core::policy::cut::cut;
use serde::{Deserialize, Serialize};

use super::{Finding, Report, Severity, place};

/// The most results of one object: a cluster stores no object of more than 1.5 MiB.
pub const MOST_RESULTS: usize = 500;
/// The name of each object, and what says that keyguard made it.
pub const NAME: &str = "keyguard";
/// The property by which a result is known again.
pub const FINGERPRINT: &str = "fingerprint";
/// The most bytes of a message and of a place.
const MESSAGE_BYTES: usize = 1024;
const FIELD_BYTES: usize = 256;

/// The API that a cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `Report` of `openreports.io/v1alpha1`.
    OpenReports,
    /// `PolicyReport` of `wgpolicyk8s.io/v1alpha2`.
    WgPolicy,
}

impl Api {
    /// Group and version.
    pub fn version(self) -> &'static str {
        match self {
            Api::OpenReports => "openreports.io/v1alpha1",
            Api::WgPolicy => "wgpolicyk8s.io/v1alpha2",
        }
    }

    /// The kind.
    pub fn kind(self) -> &'static str {
        match self {
            Api::OpenReports => "Report",
            Api::WgPolicy => "PolicyReport",
        }
    }

    /// The plural of the kind, as it is in paths and as RBAC names it.
    pub fn resource(self) -> &'static str {
        match self {
            Api::OpenReports => "reports",
            Api::WgPolicy => "policyreports",
        }
    }
}

/// The report of one namespace. Both APIs have these members.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyReport {
    /// Group and version.
    pub api_version: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// Name, namespace and labels.
    pub metadata: ObjectMeta,
    /// How many results there are, those that are left out among them.
    pub summary: Summary,
    /// The worst first.
    pub results: Vec<PolicyResult>,
}

/// How many results there are of each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Errors.
    pub fail: usize,
    /// Warnings and notes.
    pub warn: usize,
    /// Findings that a comment asks to ignore.
    pub skip: usize,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyResult {
    /// The program.
    pub source: &'static str,
    /// The program, too: its rules are one policy.
    pub policy: &'static str,
    /// The id of the rule.
    pub rule: &'static str,
    /// The part of the id before the slash.
    pub category: &'static str,
    /// `high`, `medium` or `info`.
    pub severity: &'static str,
    /// `fail`, `warn` or `skip`.
    pub result: &'static str,
    /// What is wrong, why it matters and how to fix it.
    pub message: String,
    /// Since when it stands, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// The object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<k8s::ObjectReference>,
    /// Where in the object or file, the fingerprint, why it is ignored, and how many results were left out.
    pub properties: BTreeMap<&'static str, String>,
}

/// A moment, as both APIs write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timestamp {
    /// Unix seconds.
    pub seconds: i64,
    /// Always 0.
    pub nanos: i32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<PolicyReport>,
}

/// All reports as one `List`, in JSON, which `kubectl apply -f -` takes.
///
/// # Errors
/// As far as serde_json has them.
pub fn render(report: &Report, api: Api) -> serde_json::Result<String> {
    let list = List {
        api_version: "v1",
        kind: "List",
        items: policy_reports(report, api),
    };
    let mut text = serde_json::to_string_pretty(&list)?;
    text.push('\n');
    Ok(text)
}

/// One for each namespace in which something was found, in their order. Findings of which no namespace is known are in
/// one without a namespace, the first. What could not be seen is in none of them: the exit code tells.
pub fn policy_reports(report: &Report, api: Api) -> Vec<PolicyReport> {
    let found = report.findings.iter().map(|finding| (finding, None));
    let ignored = report.suppressed.iter();
    let ignored = ignored.map(|ignored| (&ignored.finding, Some(ignored.reason.as_str())));
    let mut namespaces: BTreeMap<&str, Vec<(&Finding, Option<&str>)>> = BTreeMap::new();
    for (finding, reason) in found.chain(ignored) {
        let object = finding.object.as_ref();
        let namespace = object.map_or("", |object| object.namespace.as_str());
        namespaces
            .entry(namespace)
            .or_default()
            .push((finding, reason));
    }
    let reports = namespaces.into_iter();
    reports
        .map(|(namespace, found)| of(namespace, found, api))
        .collect()
}

fn of(namespace: &str, mut found: Vec<(&Finding, Option<&str>)>, api: Api) -> PolicyReport {
    // Stable: within a severity they stay in their order.
    found.sort_by_key(|(finding, reason)| (reason.is_some(), finding.severity));
    let mut summary = Summary::default();
    for (finding, reason) in &found {
        match outcome(finding, *reason) {
            "fail" => summary.fail += 1,
            "skip" => summary.skip += 1,
            _ => summary.warn += 1,
        }
    }
    let left_out = found.len().saturating_sub(MOST_RESULTS);
    found.truncate(MOST_RESULTS);
    let mut results: Vec<PolicyResult> = found
        .into_iter()
        .map(|(finding, reason)| result(finding, reason))
        .collect();
    if left_out > 0
        && let Some(last) = results.last_mut()
    {
        last.properties
            .insert("resultsLeftOut", left_out.to_string());
    }
    PolicyReport {
        api_version: api.version(),
        kind: api.kind(),
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
            labels: Some(BTreeMap::from([(
                "app.kubernetes.io/managed-by".to_owned(),
                NAME.to_owned(),
            )])),
            ..ObjectMeta::default()
        },
        summary,
        results,
    }
}

fn outcome(finding: &Finding, reason: Option<&str>) -> &'static str {
    match (reason, finding.severity) {
        (Some(_), _) => "skip",
        (None, Severity::Error) => "fail",
        (None, Severity::Warning | Severity::Note) => "warn",
    }
}

fn result(finding: &Finding, reason: Option<&str>) -> PolicyResult {
    let mut properties = BTreeMap::from([(FINGERPRINT, finding.fingerprint.clone())]);
    let place = place(&finding.file, finding.line, finding.column);
    for (name, text) in [
        ("field", finding.field.as_str()),
        ("file", &place),
        ("reason", reason.unwrap_or_default()),
    ] {
        if !text.is_empty() {
            properties.insert(name, cut(text, FIELD_BYTES).into_owned());
        }
    }
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let object = finding.object.iter();
    let resources = object.map(|object| k8s::ObjectReference {
        api_version: some(&object.api_version),
        kind: some(&object.kind),
        namespace: some(&object.namespace),
        name: some(&object.name),
        ..k8s::ObjectReference::default()
    });
    PolicyResult {
        source: NAME,
        policy: NAME,
        rule: finding.rule,
        category: finding.rule.split('/').next().unwrap_or(finding.rule),
        severity: match finding.severity {
            Severity::Error => "high",
            Severity::Warning => "medium",
            Severity::Note => "info",
        },
        result: outcome(finding, reason),
        message: cut(&finding.message, MESSAGE_BYTES).into_owned(),
        timestamp: None,
        resources: resources.collect(),
        properties,
    }
}

#[cfg(test)]
#[path = "policy_report_tests.rs"]
mod tests;
