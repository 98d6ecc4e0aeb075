//! One decision: who, what, why, how to mend it, and its place in the log.

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use keyguard_audit::query::Filter;
use percent_encoding::percent_decode_str;

use super::access::Viewer;
use super::asked::Asked;
use super::frame::Frame;
use super::row::Row;
use super::{Page, PageError, Visit};
use crate::report::visible::visible;
use keyguard_core::policy::verdict::Effect;
use keyguard_core::record::Record;

/// Before the id.
const PREFIX: &str = "/decisions/";

#[derive(Template)]
#[template(path = "decision.html", config = "src/page/askama.toml")]
struct DecisionPage {
    frame: Frame,
    row: Row,
    findings: Vec<FindingRow>,
    left_out: usize,
    facts: Vec<Fact>,
    week: String,
    index: u64,
    verify: String,
    json: String,
}

struct FindingRow {
    rule: &'static str,
    effect: &'static str,
    message: String,
    fields: Vec<String>,
}

struct Fact {
    name: &'static str,
    value: String,
}

pub(super) async fn show(
    page: &Page,
    visit: &Visit,
    viewer: &Viewer,
) -> Result<Response, PageError> {
    visit.takes_no_filter()?;
    let id = visit.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let id = percent_decode_str(id).decode_utf8_lossy();
    let found = page.store.record(&id).await?.ok_or(PageError::NotFound)?;
    let record = found.record()?;
    let namespace = &record.object.namespace;
    // Who may not see it is not told that it is there.
    let may = page.access.may(viewer, "get", "").await?
        || (!namespace.is_empty() && page.access.may(viewer, "get", namespace).await?);
    if !may {
        return Err(PageError::NotFound);
    }
    page.looked(viewer, visit).await?;
    let every = Filter::default();
    let attempts = page.store.attempts_of(&record.fingerprint, &every).await?;
    let row = Row::of(&record, attempts.as_ref(), &Asked::default(), &visit.clock);
    let place = found.place();
    let shown = DecisionPage {
        frame: Frame::new(&format!("{}: {}", row.word, row.what), page, visit, viewer),
        findings: findings(&record),
        left_out: record.findings_left_out,
        facts: facts(&record, &row, &visit.clock.name()),
        week: place.map_or_else(String::new, |place| place.week.to_string()),
        index: place.map_or(0, |place| place.index),
        verify: page.verify.clone(),
        json: visible(found.body.get(), &[]).into_owned(),
        row,
    };
    Ok(Html(shown.render()?).into_response())
}

fn findings(record: &Record) -> Vec<FindingRow> {
    let findings = record.findings.iter();
    let rows = findings.map(|finding| FindingRow {
        rule: finding.rule.id(),
        effect: match finding.effect {
            Effect::Record => "on record only",
            Effect::Warn => "warned",
            Effect::Lifted => "would be refused; the glass was broken",
            Effect::Deny => "refused",
        },
        message: visible(&finding.message, &['\n']).into_owned(),
        fields: finding
            .fields
            .iter()
            .map(|field| visible(field, &[]).into_owned())
            .collect(),
    });
    rows.collect()
}

fn facts(record: &Record, row: &Row, zone: &str) -> Vec<Fact> {
    let shown = |text: &str| visible(text, &[]).into_owned();
    let optional = |text: &Option<String>| shown(text.as_deref().unwrap_or_default());
    let tool = &record.tool;
    let facts = [
        ("Time", format!("{} {zone}", row.time)),
        ("User", row.who.clone()),
        ("Groups", shown(&record.user.groups.join(", "))),
        ("Credential id", optional(&record.user.credential_id)),
        ("Pod of the user", optional(&record.user.pod)),
        ("Field manager", optional(&tool.field_manager)),
        ("Argo CD application", optional(&tool.argocd_application)),
        ("Helm release", optional(&tool.helm_release)),
        ("Flux Kustomization", optional(&tool.flux_kustomization)),
        ("Flux HelmRelease", optional(&tool.flux_helm_release)),
        (
            "Operation",
            record.operation.map_or("", |it| it.name()).to_owned(),
        ),
        (
            "Object",
            shown(&[&record.object.api_version, " ", &record.object.kind].concat())
                .trim()
                .to_owned(),
        ),
        ("Name", shown(&record.object.name)),
        ("Namespace", shown(&record.object.namespace)),
        ("Secrets that were read", shown(&record.secrets.join(", "))),
        ("Cluster", shown(&record.cluster)),
        ("Replica", shown(&record.replica)),
        ("Request uid", shown(&record.uid)),
        ("Fingerprint", record.fingerprint.clone()),
        (
            "Answered in",
            format!("{:.1} ms", record.duration_seconds * 1000.0),
        ),
    ];
    let known = facts.into_iter().filter(|(_, value)| !value.is_empty());
    known.map(|(name, value)| Fact { name, value }).collect()
}
