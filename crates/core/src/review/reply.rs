//! A verdict to an AdmissionReview: the answer, its audit annotations, its warnings.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Serialize;

use super::request::{API_VERSION, KIND, Request};
use crate::policy::break_glass::ANNOTATION;
use crate::policy::cut::cut;
use crate::policy::rules::Rule;
use crate::policy::verdict::{Effect, Finding, Verdict};

/// The most bytes of one warning; kube-apiserver may cut what is longer than 256 characters.
const WARNING_BYTES: usize = 255;
/// The most bytes of all warnings together; kube-apiserver keeps 4,096.
const WARNINGS_BYTES: usize = 4096;
/// The most bytes of the message of a refusal, so that a terminal still shows its beginning.
const MESSAGE_BYTES: usize = 8192;
/// The most bytes of the object's name and kind; Kubernetes allows 253.
const NAME_BYTES: usize = 256;
/// The most causes listed.
const CAUSES: usize = 100;

/// What leads from the API server's audit log to the record of a decision.
#[derive(Clone, Copy, Debug)]
pub struct OnRecord<'a> {
    /// The id of the record.
    pub record: &'a str,
    /// The last checkpoint of the audit trail: week, size and root; empty without a trail.
    pub checkpoint: &'a str,
}

/// Without an audit trail.
impl<'a> From<&'a str> for OnRecord<'a> {
    fn from(record: &'a str) -> OnRecord<'a> {
        OnRecord {
            record,
            checkpoint: "",
        }
    }
}

/// Encodes the AdmissionReview that answers `request` with `verdict`.
pub fn encode<'a>(
    request: &Request,
    verdict: &Verdict,
    on_record: impl Into<OnRecord<'a>>,
) -> Vec<u8> {
    let on_record = on_record.into();
    let review = Review {
        api_version: API_VERSION,
        kind: KIND,
        response: Response {
            uid: &request.uid,
            allowed: verdict.allowed(),
            status: (!verdict.allowed()).then(|| status(request, verdict)),
            warnings: warnings(verdict),
            audit_annotations: AuditAnnotations {
                record: on_record.record,
                checkpoint: on_record.checkpoint,
                decision: verdict.decision.name(),
                rules: rule_ids(&verdict.rules()),
                reason: &verdict.reason,
            },
        },
    };
    let mut bytes = Vec::with_capacity(512);
    match serde_json::to_writer(&mut bytes, &review) {
        Ok(()) => bytes,
        // Strings and numbers only: it cannot fail, and the caller would refuse an empty body.
        Err(_) => Vec::new(),
    }
}

/// The ids of `rules`, joined by commas; `none` when there are none.
pub fn rule_ids(rules: &[Rule]) -> Cow<'static, str> {
    match rules {
        [] => Cow::Borrowed("none"),
        [rule] => Cow::Borrowed(rule.id()),
        rules => {
            let ids: Vec<&str> = rules.iter().map(|rule| rule.id()).collect();
            Cow::Owned(ids.join(","))
        }
    }
}

fn status<'a>(request: &'a Request, verdict: &'a Verdict) -> Status<'a> {
    let (causes, all) = causes(verdict);
    let mut message = message(verdict);
    if causes.len() < all {
        message.push_str(&format!(
            "; {} of {all} places are in status.details.causes",
            causes.len()
        ));
    }
    for objection in &verdict.objections {
        message.push_str(&format!("; {objection}"));
    }
    Status {
        status: "Failure",
        code: 403,
        reason: "Forbidden",
        message,
        details: Details {
            name: cut(&request.name, NAME_BYTES),
            kind: cut(&request.kind, NAME_BYTES),
            causes,
        },
    }
}

/// The causes to list, and how many there are: every finding once before any finding's further places,
/// so that no rule is lost behind the many places of another.
fn causes(verdict: &Verdict) -> (Vec<Cause<'_>>, usize) {
    let causes = |from: usize, most: usize| {
        verdict.findings(Effect::Deny).flat_map(move |finding| {
            let fields = finding.fields.iter().skip(from).take(most);
            fields.map(|field| Cause {
                reason: finding.rule.id(),
                message: finding.what.as_str(),
                field,
            })
        })
    };
    let all = causes(0, usize::MAX).count();
    let listed = causes(0, 1).chain(causes(1, usize::MAX)).take(CAUSES);
    (listed.collect(), all)
}

/// Every refusal, each a sentence of its own.
fn message(verdict: &Verdict) -> String {
    let mut message = String::new();
    let mut left = 0_usize;
    for finding in verdict.findings(Effect::Deny) {
        let sentence = finding.message();
        if !message.is_empty() && message.len() + sentence.len() > MESSAGE_BYTES {
            left += 1;
            continue;
        }
        if !message.is_empty() {
            message.push_str("; ");
        }
        message.push_str(&sentence);
    }
    if left > 0 {
        message.push_str(&format!("; and {left} more, see status.details.causes"));
    }
    message
}

fn warnings(verdict: &Verdict) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut bytes = 0_usize;
    let lifted = verdict.findings(Effect::Lifted).map(lifted);
    lifted
        .chain(verdict.findings(Effect::Warn).map(warning))
        .filter(|warning| seen.insert(warning.clone()))
        .take_while(|warning| {
            bytes += warning.len();
            bytes <= WARNINGS_BYTES
        })
        .collect()
}

/// The same sentence without its reason.
fn warning(finding: &Finding) -> String {
    with_id(finding, &format!("{}. {}", finding.what, finding.mend))
}

/// What would have been refused and is not, so that the user who broke the glass sees what for.
fn lifted(finding: &Finding) -> String {
    with_id(
        finding,
        &format!("let through by {ANNOTATION}: {}", finding.what),
    )
}

/// Cut so that the rule id is always there.
fn with_id(finding: &Finding, text: &str) -> String {
    let id = format!(" [{}]", finding.rule.id());
    let room = WARNING_BYTES.saturating_sub(id.len());
    cut(text, room).into_owned() + &id
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    audit_annotations: AuditAnnotations<'a>,
}

#[derive(Serialize)]
struct AuditAnnotations<'a> {
    /// By it the API server's audit log leads to the record: the uid of a review is not in it.
    record: &'a str,
    /// What the log of the audit trail came to, which thereby cannot be written anew unnoticed.
    #[serde(skip_serializing_if = "str::is_empty")]
    checkpoint: &'a str,
    decision: &'static str,
    rules: Cow<'static, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
}

#[derive(Serialize)]
struct Status<'a> {
    status: &'static str,
    code: u16,
    reason: &'static str,
    message: String,
    details: Details<'a>,
}

#[derive(Serialize)]
struct Details<'a> {
    name: Cow<'a, str>,
    kind: Cow<'a, str>,
    causes: Vec<Cause<'a>>,
}

#[derive(Serialize)]
struct Cause<'a> {
    reason: &'static str,
    message: &'a str,
    field: &'a str,
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
