//! Settings that came or went with a version: the user name in a Secret, and maps of variables.

use super::{CheckFinding, CheckRule, CheckSeverity, Subject, entry_at, finding};
use crate::runtime::chart::auth::{Auth, is_true};
use crate::runtime::chart::overrides::{OVERRIDES, Override, override_of};
use crate::runtime::chart::version::{EXTERNAL, Generation, INTEGRATIONS};

pub(super) fn judge(subject: &Subject<'_>) -> Vec<CheckFinding> {
    let maps = OVERRIDES.iter().filter_map(|map| variables(subject, map));
    maps.chain(user_name(subject))
        .chain(built_in(subject))
        .collect()
}

fn variables(subject: &Subject<'_>, map: &Override) -> Option<CheckFinding> {
    map.variables(subject.values).next()?;
    let readers = subject.generations.iter().filter(|it| map.is_read_by(**it));
    let readers = readers.count();
    if readers == subject.generations.len() {
        return None;
    }
    let severity = match (readers, map.is_read_by(subject.newest())) {
        (0, _) => CheckSeverity::Error,
        (_, false) => CheckSeverity::Warning,
        (_, true) => CheckSeverity::Note,
    };
    let shown = map.path.join(".");
    let since = match map.until {
        Generation::Integrations => "0.26.0 and later read it",
        _ => "0.25.2 and earlier read it",
    };
    let what = match readers {
        0 => format!("{shown} is not read by {} ({since})", subject.version),
        _ => format!(
            "{shown} is read by some versions only, and {} may be another ({since})",
            subject.version
        ),
    };
    let mend = match override_of(map.component, subject.newest()) {
        Some(other) if other.path != map.path => format!("Move it to {}.", other.path.join(".")),
        Some(_) => "Name the version in use.".to_owned(),
        None => format!("Remove it: this version has no {}.", map.component.name()),
    };
    let at = entry_at(subject.values, map.path)?.at.clone();
    let rule = CheckRule::PathNotRead;
    Some(finding(rule, severity, at, shown, what, mend))
}

/// `usernameSecretKeyRef`, which 0.24.4 dropped.
fn user_name(subject: &Subject<'_>) -> Vec<CheckFinding> {
    const KEY: &str = "usernameSecretKeyRef";
    let mut findings = Vec::new();
    for base in [EXTERNAL, INTEGRATIONS] {
        let Some(entry) = Auth::at(subject.values, base).and_then(|auth| auth.entry(KEY)) else {
            continue;
        };
        let reads = |it: &&Generation| **it == Generation::ReferenceFirst && base == EXTERNAL;
        let readers = subject.generations.iter().filter(reads).count();
        if readers == subject.generations.len() || !is_true(&entry.value) {
            continue;
        }
        let severity = match readers {
            0 => CheckSeverity::Error,
            _ => CheckSeverity::Warning,
        };
        let base = base.join(".");
        let path = format!("{base}.{KEY}");
        let what = match readers {
            0 => format!(
                "{path} is not read by {} (0.24.4 dropped it)",
                subject.version
            ),
            _ => format!(
                "{path} is read by some versions only, and {} may be another (0.24.4 dropped it)",
                subject.version
            ),
        };
        let mend = format!("Write the name of the account at {base}.username.");
        let rule = CheckRule::PathNotRead;
        findings.push(finding(rule, severity, entry.at.clone(), path, what, mend));
    }
    findings
}

/// Settings for an external Argo CD beside a built-in one, which 0.18.0 to 0.25.2 ignore.
fn built_in(subject: &Subject<'_>) -> Option<CheckFinding> {
    let newest = subject.newest();
    let path = newest.auth_path().filter(|path| *path == EXTERNAL)?;
    let auth = entry_at(subject.values, path).filter(|entry| is_true(&entry.value))?;
    let enabled = subject.values.path(&["argo-cd", "enabled"]);
    let severity = match enabled.map(is_true) {
        Some(false) => return None,
        Some(true) => CheckSeverity::Warning,
        None => CheckSeverity::Note,
    };
    let shown = path.join(".");
    let what = format!(
        "{shown} is read only when argo-cd.enabled is false, and {} makes an Argo CD of its own by default",
        subject.version
    );
    let mend = "Write argo-cd.enabled: false when Argo CD is external, or else remove it.";
    let rule = CheckRule::PathNotRead;
    Some(finding(rule, severity, auth.at.clone(), shown, what, mend))
}
