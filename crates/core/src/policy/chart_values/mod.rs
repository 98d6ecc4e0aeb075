//! What is wrong with the values of a `gitops-runtime` chart, as far as they concern its credential at Argo CD.

mod levels;
mod paths;
mod plain;
mod settings;
mod unread;

#[cfg(test)]
mod levels_tests;
#[cfg(test)]
mod secrecy_tests;
#[cfg(test)]
mod settings_tests;
#[cfg(test)]
mod tests;

pub use levels::beside_dependency;

use crate::document::{Entry, Node, Position};
use crate::policy::check_finding::{CheckFinding, CheckSeverity};
use crate::policy::check_rules::CheckRule;
use crate::runtime::chart::auth::Auth;
use crate::runtime::chart::version::{ChartVersion, Generation};

/// Everything that is wrong with `values`, which begin where the chart's own do: `global` is at their top.
///
/// Values that are no plain text yet, such as those that SOPS or a template fills in, are no findings.
pub fn judge(values: &Node, version: &ChartVersion) -> Vec<CheckFinding> {
    let subject = Subject {
        values,
        version,
        generations: version.generations(),
    };
    let mut findings = levels::judge(&subject);
    let misplaced: Vec<String> = findings.iter().map(|it| it.path.clone()).collect();
    findings.extend(paths::judge(&subject, &misplaced));
    findings.extend(unread::judge(&subject));
    for (path, auth) in subject.read_somewhere() {
        findings.extend(settings::judge(&subject, path, auth));
    }
    findings.extend(plain::judge(&subject));
    findings.sort_by(|one, other| (&one.at, one.rule).cmp(&(&other.at, other.rule)));
    findings
}

/// What is judged.
struct Subject<'a> {
    values: &'a Node,
    version: &'a ChartVersion,
    generations: Vec<Generation>,
}

impl<'a> Subject<'a> {
    /// The newest version that it may be.
    fn newest(&self) -> Generation {
        self.generations
            .last()
            .copied()
            .unwrap_or(Generation::Integrations)
    }

    /// Where the newest version that it may be reads how to authenticate, as a text.
    fn expected(&self) -> Option<String> {
        self.newest().auth_path().map(|path| path.join("."))
    }

    /// The settings that are read by a version that it may be, each path once.
    fn read_somewhere(&self) -> Vec<(&'static [&'static str], Auth<'a>)> {
        let mut paths: Vec<&'static [&'static str]> = self
            .generations
            .iter()
            .filter_map(|generation| generation.auth_path())
            .collect();
        paths.dedup();
        paths
            .into_iter()
            .filter_map(|path| Some((path, Auth::at(self.values, path)?)))
            .collect()
    }
}

/// The entry at the end of `path`.
fn entry_at<'a>(values: &'a Node, path: &[&str]) -> Option<&'a Entry> {
    let (last, before) = path.split_last()?;
    values.path(before)?.entry(last)
}

/// Where a person edits the value of an entry: the value itself when it is a scalar, else its key.
fn place(entry: &Entry) -> Position {
    match entry.value.scalar() {
        Some(scalar) if !scalar.text.is_empty() => entry.value.at.clone(),
        _ => entry.at.clone(),
    }
}

fn finding(
    rule: CheckRule,
    severity: CheckSeverity,
    at: Position,
    path: String,
    what: String,
    mend: impl Into<String>,
) -> CheckFinding {
    CheckFinding {
        rule,
        severity,
        at,
        path,
        what,
        mend: mend.into(),
    }
}
