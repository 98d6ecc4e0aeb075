//! Settings at a path that the version of the chart does not read.

use super::{CheckFinding, CheckRule, CheckSeverity, Subject, entry_at, finding};
use crate::runtime::chart::auth::Auth;
use crate::runtime::chart::version::{EXTERNAL, Generation, INTEGRATIONS, NEVER};

/// Where settings of an external Argo CD ever were said to be, with the end of the path that is not `auth`.
const ROOTS: [(&[&str], &[&str]); 3] = [
    (INTEGRATIONS, &["global", "integrations", "argo-cd"]),
    (EXTERNAL, &["global", "external-argo-cd"]),
    (NEVER, &["global", "external-arg-cd"]),
];

pub(super) fn judge(subject: &Subject<'_>, misplaced: &[String]) -> Vec<CheckFinding> {
    let mut findings = Vec::new();
    for (path, root) in ROOTS {
        match Auth::at(subject.values, path) {
            Some(_) => findings.extend(auth(subject, path)),
            None => findings.extend(address(subject, root, path, misplaced)),
        }
    }
    findings
}

/// How the versions that it may be read `path`.
enum Reading {
    All,
    NewestOnly,
    OldOnly,
    None,
}

impl Reading {
    fn of(subject: &Subject<'_>, path: &[&str]) -> Reading {
        let reads = |generation: &Generation| generation.auth_path() == Some(path);
        let count = subject.generations.iter().filter(|it| reads(it)).count();
        match (count, reads(&subject.newest())) {
            (0, _) => Reading::None,
            (count, _) if count == subject.generations.len() => Reading::All,
            (_, true) => Reading::NewestOnly,
            (_, false) => Reading::OldOnly,
        }
    }
}

fn auth(subject: &Subject<'_>, path: &'static [&'static str]) -> Option<CheckFinding> {
    let shown = path.join(".");
    let version = subject.version;
    let replaced = subject.generations.iter().all(|generation| {
        generation
            .auth_path()
            .is_some_and(|path| Auth::at(subject.values, path).is_some())
    });
    let (severity, what, mend) = match Reading::of(subject, path) {
        Reading::All => return None,
        Reading::None => (
            match replaced {
                true => CheckSeverity::Warning,
                false => CheckSeverity::Error,
            },
            format!("{shown} is not read by {version} ({})", read_by(path)),
            mend(subject, &shown, replaced),
        ),
        reading => (
            match reading {
                Reading::OldOnly if !replaced => CheckSeverity::Warning,
                _ => CheckSeverity::Note,
            },
            format!(
                "{shown} is read by some versions only, and {version} may be another: {} is read by {}, {} by {}",
                INTEGRATIONS.join("."),
                versions(INTEGRATIONS),
                EXTERNAL.join("."),
                versions(EXTERNAL),
            ),
            "Write it where the version in use reads it, and name that version.".to_owned(),
        ),
    };
    let entry = entry_at(subject.values, path)?;
    let rule = CheckRule::PathNotRead;
    Some(finding(rule, severity, entry.at.clone(), shown, what, mend))
}

/// The rest of such settings, which says where Argo CD is.
fn address(
    subject: &Subject<'_>,
    root: &'static [&'static str],
    auth: &'static [&'static str],
    misplaced: &[String],
) -> Option<CheckFinding> {
    let entry = entry_at(subject.values, root)?;
    let shown = root.join(".");
    let told = misplaced.iter().any(|path| path.starts_with(&shown));
    let dead = matches!(Reading::of(subject, auth), Reading::None);
    if entry.value.entries().is_empty() || told || !dead {
        return None;
    }
    let mend = match subject.newest() {
        Generation::BuiltInOnly => "Upgrade the chart to 0.18.0 or later.".to_owned(),
        Generation::Integrations => "Write it under global.integrations.argo-cd.".to_owned(),
        _ => "Write it under global.external-argo-cd.".to_owned(),
    };
    let what = format!(
        "{shown} is not read by {} ({})",
        subject.version,
        read_by(auth)
    );
    let (rule, severity) = (CheckRule::PathNotRead, CheckSeverity::Warning);
    Some(finding(rule, severity, entry.at.clone(), shown, what, mend))
}

fn versions(path: &[&str]) -> &'static str {
    match path {
        INTEGRATIONS => "0.26.0 and later",
        EXTERNAL => "0.18.0 to 0.25.2",
        _ => "no version",
    }
}

fn read_by(path: &[&str]) -> String {
    match path {
        EXTERNAL => "0.18.0 to 0.25.2 read it, 0.26.0 dropped it".to_owned(),
        NEVER => "no version ever did".to_owned(),
        path => format!("{} do", versions(path)),
    }
}

fn mend(subject: &Subject<'_>, shown: &str, replaced: bool) -> String {
    match (subject.expected(), replaced) {
        (None, _) => {
            "Upgrade the chart to 0.18.0 or later: before, it has no external Argo CD.".to_owned()
        }
        (Some(expected), true) => format!("Remove it: what counts is {expected}."),
        (Some(_), false) if subject.generations.len() > 1 && shown == NEVER.join(".") => format!(
            "Move it to {} for {}, to {} for {}.",
            INTEGRATIONS.join("."),
            versions(INTEGRATIONS),
            EXTERNAL.join("."),
            versions(EXTERNAL),
        ),
        (Some(expected), false) => format!("Move it to {expected}."),
    }
}
