//! What `check` and `scan` found, and the forms in which it is told. Nothing in it is a value of a Secret.

pub mod exit;
pub mod findings;
pub mod github;
pub mod json;
pub mod junit;
pub mod ocsf;
pub mod policy_report;
#[cfg(feature = "audit")]
pub mod records;
pub mod rules;
pub mod sarif;
pub mod table;
pub(crate) mod visible;

#[cfg(test)]
mod odd_report;

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;
use strum::IntoStaticStr;

use keyguard_core::document::Position;
use keyguard_core::runtime::name::without_tokens;
use policy_report::Api;

/// The form in which a report is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// One JSON object
    Json,
    /// SARIF 2.1.0, as GitHub code scanning takes it
    Sarif,
    /// JUnit XML, as most CI systems show it
    Junit,
    /// Annotations of GitHub Actions
    Github,
    /// A List of PolicyReports, one a namespace
    #[value(name = "policyreport")]
    PolicyReport,
    /// Compliance Findings of OCSF 1.8.0, a line each
    Ocsf,
}

/// Writes a report, with a line break at its end; `github` is empty when there is nothing to tell. `colours` is for
/// people only: whether standard output is a terminal and `NO_COLOR` is not set.
///
/// # Errors
/// As far as serde_json has them: there is nothing in a report that cannot be written.
pub fn render(report: &Report, format: Format, colours: bool) -> serde_json::Result<String> {
    match format {
        Format::Table => Ok(table::render(report, colours)),
        Format::Json => json::render(report),
        Format::Sarif => sarif::render(report),
        Format::Junit => Ok(junit::render(report)),
        Format::Github => Ok(github::render(report)),
        Format::Ocsf => ocsf::render(report),
        Format::PolicyReport => policy_report::render(report, Api::OpenReports),
    }
}

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
    /// The files that are no YAML, of which nothing is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<BrokenFile>,
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
    /// What is wrong, why it matters and how to fix it; `findings::finish` takes the rule's id from its end.
    pub message: String,
    /// The same for the same finding when lines moved, in 32 hexadecimal digits; `findings::finish` sets it.
    pub fingerprint: String,
}

impl Finding {
    /// The file, or else the object: what it is told under.
    fn subject(&self) -> String {
        match &self.object {
            _ if !self.file.is_empty() => self.file.clone(),
            Some(object) => object.to_string(),
            None => "the cluster".to_owned(),
        }
    }

    /// File, line and column, as far as they are known; else as [`Finding::subject`].
    fn place(&self) -> String {
        match self.file.as_str() {
            "" => self.subject(),
            file => place(file, self.line, self.column),
        }
    }
}

/// Such as `values.yaml:3:5`; a line or column of 0 is left out.
fn place(file: &str, line: u32, column: u32) -> String {
    match (line, column) {
        (0, _) => file.to_owned(),
        (line, 0) => format!("{file}:{line}"),
        (line, column) => format!("{file}:{line}:{column}"),
    }
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

impl Severity {
    /// Its name in the outputs: `error`, `warning` or `note`.
    pub fn name(self) -> &'static str {
        self.into()
    }
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

/// Such as `Deployment codefresh/cap-app-proxy`.
impl fmt::Display for ObjectReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let between = if self.namespace.is_empty() { "" } else { "/" };
        write!(
            formatter,
            "{} {}{between}{}",
            self.kind, self.namespace, self.name
        )
    }
}

/// A finding that a comment asks to ignore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suppressed {
    /// The finding.
    #[serde(flatten)]
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

impl Unseen {
    /// Something that is named at a place.
    pub(crate) fn at(at: &Position, what: impl Into<String>, why: impl Into<String>) -> Unseen {
        Unseen {
            file: at.file.to_string(),
            line: at.line,
            what: without_tokens(&what.into()),
            why: why.into(),
        }
    }
}

/// A file that is no YAML.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct BrokenFile {
    /// The path of the file, as that of a finding.
    pub file: String,
    /// The line, from 1; 0 when the file could not be read at all, and so below.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// What is wrong with it; it quotes nothing of the file.
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
