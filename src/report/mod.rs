//! What `check` and `scan` found, and the forms in which it is told. Nothing in it is a value of a Secret.

use serde::Serialize;
use strum::IntoStaticStr;

/// All that was found, and what could not be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What is wrong, by file, line and rule.
    pub findings: Vec<Finding>,
    /// What is wrong and was asked to be ignored, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suppressed: Vec<Suppressed>,
    /// What would have been needed and could not be seen.
    pub unseen: Vec<Unseen>,
    /// How much was looked at.
    pub checked: Checked,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The path of the file, relative to the root of the tree, with `/`; empty for an object of a cluster.
    pub file: String,
    /// The line, from 1; 0 for an object of a cluster, and so below.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// The last line.
    pub end_line: u32,
    /// The column behind the last one.
    pub end_column: u32,
    /// The id of the rule.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The object in which it is, if it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectReference>,
    /// Where in the object or file, such as `data["accounts.admin"]`.
    pub field: String,
    /// What is wrong, why it matters and how to fix it.
    pub message: String,
    /// The same for the same finding when lines moved, in 32 hexadecimal digits.
    pub fingerprint: String,
}

/// How bad a finding is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, Serialize)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Severity {
    /// It would be refused, or does not work.
    Error,
    /// It would be warned of, or will break.
    Warning,
    /// Worth knowing.
    Note,
}

/// An object of Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectReference {
    /// Group and version, such as `apps/v1`.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty when it is not told.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// A finding that a comment asks to ignore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suppressed {
    /// The finding.
    pub finding: Finding,
    /// Why, as the comment says.
    pub reason: String,
}

/// Something that would have been needed and could not be seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unseen {
    /// The file in which it is named.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// What it is.
    pub what: String,
    /// Why it could not be seen.
    pub why: String,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Files.
    pub files: usize,
    /// Objects in them, or of the cluster.
    pub objects: usize,
}

/// A rule, as a report describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleDescription {
    /// Its id.
    pub id: &'static str,
    /// Why it matters, a clause without a full stop.
    pub why: &'static str,
}

/// From which severity on findings fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FailOn {
    /// Errors
    #[default]
    Error,
    /// Warnings too
    Warning,
    /// Notes too
    Note,
    /// Nothing
    Never,
}
