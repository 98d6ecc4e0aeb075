//! The record of a decision.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::cut::cut;
use crate::policy::rules::Rule;
use crate::policy::subject::Operation;
use crate::policy::verdict::{Decision, Effect, Passage, Verdict};
use crate::review::request::{Request, Webhook};
use crate::review::tool::Tool;
use crate::runtime::name::Name;

/// The most bytes of a name; Kubernetes allows 253.
const NAME_BYTES: usize = 256;
/// The most bytes of the names of all groups.
const GROUPS_BYTES: usize = 2048;
/// The most bytes of all findings: one decision must not drown the log.
const FINDINGS_BYTES: usize = 16 * 1024;
/// The most Secrets, and places of one finding, that are listed.
const MAX_LISTED: usize = 32;

/// One decision on record: who, what, why and how to mend it. Names only, never a value of a Secret; texts of others are
/// cut, so that no record is longer than 65,535 bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// The record's own id, unique; the API server's audit log has it as the annotation `record`
    pub id: String,
    /// When it was answered, as RFC 3339 writes it
    pub time: String,
    /// The cluster, as `--audit-cluster` calls it; where records are kept, and so the next three
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// The replica that decided
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub replica: String,
    /// The running number of the decision of this replica, from 1: what is missing between two was lost
    #[serde(default, skip_serializing_if = "is_none")]
    pub number: u64,
    /// The same for attempts at the same change of the same object; it tells nothing of the change
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fingerprint: String,
    /// The uid of the review, which the API server makes anew for each call
    pub uid: String,
    /// What was decided
    pub decision: Decision,
    /// Why nothing was judged, if nothing was
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passage: Option<Passage>,
    /// The entry of the configuration that exempts the request, or the rules that were lifted with the reasons given, or why
    /// there was no review
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The rules that found something
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// What was found, whatever its mode
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<RecordedFinding>,
    /// How many more findings there are than are listed
    #[serde(default, skip_serializing_if = "is_zero")]
    pub findings_left_out: usize,
    /// Which webhook was called
    pub webhook: Webhook,
    /// What was to be done, when that is known
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// Whether nothing was to be stored
    pub dry_run: bool,
    /// What it was to be done to
    pub object: RecordedObject,
    /// Who asked
    pub user: RecordedUser,
    /// By what the change came
    #[serde(default, skip_serializing_if = "Tool::is_unknown")]
    pub tool: Tool,
    /// Names of the Secrets that were read beside the one that is changed
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// From the body to the answer
    pub duration_seconds: f64,
}

/// What was found
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct RecordedFinding {
    /// The rule that found it
    pub rule: Rule,
    /// What it does under the mode of its rule
    pub effect: Effect,
    /// Where in the object
    pub fields: Vec<String>,
    /// What is wrong, why it matters and how to mend it
    pub message: String,
}

/// An object of the API server
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct RecordedObject {
    /// Its group and version
    pub api_version: String,
    /// Its kind
    pub kind: String,
    /// Its namespace, if it has one
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name, if it has one yet
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// Who asked
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct RecordedUser {
    /// The name of the user
    pub name: String,
    /// The groups of the user
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The id of the credential that was used, such as `JTI=…` of a ServiceAccount token
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<String>,
    /// The pod that the token was made for
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
}

/// What a record has beside the request and the verdict on it.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// The record's own id.
    pub id: String,
    /// When it is answered, as RFC 3339 writes it.
    pub time: String,
    /// From the body to the answer.
    pub duration_seconds: f64,
    /// The cluster, the replica and its running number, when records are kept.
    pub kept: Option<Kept>,
}

/// What a record that is kept has besides.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The name of the cluster.
    pub cluster: String,
    /// The name of the replica.
    pub replica: String,
    /// The running number of the decision.
    pub number: u64,
    /// The fingerprint of the attempt.
    pub fingerprint: String,
}

impl Record {
    /// Puts the verdict on a request on record.
    pub fn of(
        request: &Request,
        verdict: &Verdict,
        secrets: &[Name],
        circumstances: Circumstances,
    ) -> Record {
        let case = &request.case;
        let (findings, findings_left_out) = findings(verdict);
        let secrets = secrets.iter().take(MAX_LISTED);
        let kept = circumstances.kept.as_ref();
        Record {
            fingerprint: kept.map_or_else(String::new, |kept| name(&kept.fingerprint)),
            uid: name(&request.uid),
            passage: verdict.passage,
            reason: verdict.reason.clone(),
            rules: verdict.rules(),
            findings,
            findings_left_out,
            webhook: request.webhook,
            operation: Some(case.operation),
            dry_run: case.dry_run,
            object: RecordedObject {
                api_version: name(&request.api_version),
                kind: name(&request.kind),
                namespace: name(&case.namespace),
                name: name(&request.name),
            },
            user: RecordedUser {
                name: name(&case.user),
                groups: groups(&case.groups),
                credential_id: request.credential.id.as_deref().map(name),
                pod: request.credential.pod.as_deref().map(name),
            },
            tool: request.tool.cut(NAME_BYTES),
            secrets: secrets.map(|name| name.shown().to_string()).collect(),
            ..Record::of_rejection(verdict.decision, "", circumstances)
        }
    }

    /// Puts a request on record that got no review; nothing is known of it but why.
    pub fn of_rejection(decision: Decision, why: &str, circumstances: Circumstances) -> Record {
        let kept = circumstances.kept.as_ref();
        Record {
            id: circumstances.id,
            time: circumstances.time,
            cluster: kept.map_or_else(String::new, |kept| name(&kept.cluster)),
            replica: kept.map_or_else(String::new, |kept| name(&kept.replica)),
            number: kept.map_or(0, |kept| kept.number),
            fingerprint: String::new(),
            uid: String::new(),
            decision,
            passage: None,
            reason: cut(why, FINDINGS_BYTES).into_owned(),
            rules: Vec::new(),
            findings: Vec::new(),
            findings_left_out: 0,
            webhook: Webhook::None,
            operation: None,
            dry_run: false,
            object: RecordedObject::default(),
            user: RecordedUser::default(),
            tool: Tool::default(),
            secrets: Vec::new(),
            duration_seconds: circumstances.duration_seconds,
        }
    }
}

/// A name that others chose, cut to its bound.
fn name(text: &str) -> String {
    cut(text, NAME_BYTES).into_owned()
}

/// The groups as far as there is room for them.
fn groups(groups: &[String]) -> Vec<String> {
    let mut left = GROUPS_BYTES;
    let groups = groups.iter().map(|group| cut(group, NAME_BYTES));
    let fits = groups.take_while(|group| {
        let room = left.checked_sub(group.len() + 3);
        left = room.unwrap_or_default();
        room.is_some()
    });
    fits.map(|group| group.into_owned()).collect()
}

/// The findings as far as there is room for them, and how many more there are.
fn findings(verdict: &Verdict) -> (Vec<RecordedFinding>, usize) {
    let mut left = FINDINGS_BYTES;
    let mut listed = Vec::new();
    for judged in &verdict.judged {
        let finding = &judged.finding;
        let fields: Vec<String> = finding.fields.iter().take(MAX_LISTED).cloned().collect();
        let message = finding.message();
        let length = message.len() + fields.iter().map(String::len).sum::<usize>();
        // The first has always room.
        if length > left && !listed.is_empty() {
            break;
        }
        left = left.saturating_sub(length);
        listed.push(RecordedFinding {
            rule: finding.rule,
            effect: judged.effect,
            fields,
            message,
        });
    }
    let left_out = verdict.judged.len() - listed.len();
    (listed, left_out)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_none(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
