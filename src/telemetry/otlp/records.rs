//! A decision as a log record of OpenTelemetry.

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, Severity};
use opentelemetry_sdk::logs::SdkLogger;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::watched::Waiting;
use crate::telemetry::log::TakesRecords;
use keyguard_core::policy::rules::Rule;
use keyguard_core::policy::subject::Operation;
use keyguard_core::policy::verdict::Decision;
use keyguard_core::record::Record;

/// The name of the event that each is.
const EVENT: &str = "keyguard.decision";

/// Hands over records.
pub(super) struct Records {
    logger: Option<SdkLogger>,
    waiting: Waiting,
}

impl Records {
    /// To a logger, if there is one; the trace of a review is told of the record all the same.
    pub(super) fn new(logger: Option<SdkLogger>, waiting: Waiting) -> Records {
        Records { logger, waiting }
    }
}

impl TakesRecords for Records {
    /// The body is the record as JSON. It is part of the trace of the review, if that is sampled.
    fn take(&self, record: &Record, json: &str) {
        let span = Span::current();
        span.set_attribute("keyguard.record", record.id.clone());
        span.set_attribute("keyguard.decision", record.decision.name());
        let Some(logger) = &self.logger else {
            return;
        };
        if !self.waiting.has_room(json.len()) {
            return;
        }
        let mut log = logger.create_log_record();
        log.set_event_name(EVENT);
        if let Ok(time) = humantime::parse_rfc3339(&record.time) {
            log.set_timestamp(time);
        }
        let severity = severity(record.decision);
        log.set_severity_number(severity);
        log.set_severity_text(severity.name());
        log.set_body(AnyValue::String(json.to_owned().into()));
        log.add_attributes(attributes(record));
        logger.emit(log);
    }
}

/// That keyguard refuses is no error of keyguard's.
fn severity(decision: Decision) -> Severity {
    match decision {
        Decision::Allow | Decision::Exempt => Severity::Info,
        Decision::Audit
        | Decision::Warn
        | Decision::BreakGlass
        | Decision::Deny
        | Decision::Shed
        | Decision::Failed => Severity::Warn,
    }
}

/// By what records are searched, under the names of OpenTelemetry's semantic conventions where there are such.
fn attributes(record: &Record) -> Vec<(&'static str, AnyValue)> {
    let text = |text: &str| AnyValue::String(text.to_owned().into());
    let object = &record.object;
    let rules = record.rules.iter().map(|rule| Rule::id(*rule)).collect();
    let mut attributes = vec![
        ("keyguard.record", text(&record.id)),
        ("keyguard.decision", text(record.decision.name())),
        ("keyguard.rules", rules),
        ("keyguard.dry_run", AnyValue::Boolean(record.dry_run)),
    ];
    let named = [
        (
            "keyguard.operation",
            record.operation.map_or("", Operation::name),
        ),
        ("keyguard.fingerprint", &record.fingerprint),
        ("keyguard.tool", record.tool.name()),
        ("keyguard.object.kind", &object.kind),
        ("keyguard.object.name", &object.name),
        ("user.name", &record.user.name),
        ("k8s.cluster.name", &record.cluster),
        ("k8s.namespace.name", &object.namespace),
        (name_of_kind(&object.kind), &object.name),
    ];
    let named = named.into_iter();
    let named = named.filter(|(name, value)| !name.is_empty() && !value.is_empty());
    attributes.extend(named.map(|(name, value)| (name, text(value))));
    attributes
}

/// What the semantic conventions call the name of such an object; nothing for a kind that they do not know.
fn name_of_kind(kind: &str) -> &'static str {
    match kind {
        "CronJob" => "k8s.cronjob.name",
        "DaemonSet" => "k8s.daemonset.name",
        "Deployment" => "k8s.deployment.name",
        "Job" => "k8s.job.name",
        "Namespace" => "k8s.namespace.name",
        "Pod" => "k8s.pod.name",
        "ReplicaSet" => "k8s.replicaset.name",
        "ReplicationController" => "k8s.replicationcontroller.name",
        "StatefulSet" => "k8s.statefulset.name",
        _ => "",
    }
}
