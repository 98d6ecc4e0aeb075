//! What makes a report the same each time: order, each finding once, and fingerprints.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::{Finding, ObjectReference, Report};

/// Digits of a fingerprint.
const DIGITS: usize = 32;

/// Puts a report in order: sorts, leaves each finding in it once, takes the id of the rule from the end of messages and
/// sets the fingerprints. To be called once all is found; to call it again changes nothing.
pub fn finish(report: &mut Report) {
    let ignored = report.suppressed.iter_mut();
    let ignored = ignored.map(|suppressed| &mut suppressed.finding);
    for finding in report.findings.iter_mut().chain(ignored) {
        take_rule(finding);
        finding.fingerprint.clear();
    }
    report.findings.sort_by(order);
    report.findings.dedup();
    report
        .suppressed
        .sort_by(|one, other| order(&one.finding, &other.finding));
    report.suppressed.dedup();
    report.unseen.sort();
    report.unseen.dedup();
    report.broken.sort();
    report.broken.dedup();
    number(report);
}

/// What stays the same of a finding when lines move, in 32 hexadecimal digits: its rule, file, object and field.
/// `number` counts those that are equal in all that, from 0. The version of the object's API is not part of it.
pub fn fingerprint(finding: &Finding, number: usize) -> String {
    let mut digest = Sha256::new();
    let number = number.to_string();
    for part in key(finding).into_iter().chain([number.as_str()]) {
        // The length in front keeps neighbours apart.
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    let mut digits = String::with_capacity(DIGITS);
    for byte in digest.finalize().iter().take(DIGITS / 2) {
        // Writing to a String does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// By file, line and column; what is in no file by its object.
fn order(one: &Finding, other: &Finding) -> Ordering {
    let place = |finding: &Finding| (finding.line, finding.column);
    let object = || match one.file.is_empty() {
        true => one.object.cmp(&other.object),
        false => Ordering::Equal,
    };
    one.file
        .cmp(&other.file)
        .then_with(object)
        .then_with(|| place(one).cmp(&place(other)))
        .then_with(|| one.cmp(other))
}

/// Findings and ignored ones count together: to ignore one of two does not change the other.
fn number(report: &mut Report) {
    let ignored = report.suppressed.iter_mut();
    let ignored = ignored.map(|suppressed| &mut suppressed.finding);
    let mut all: Vec<&mut Finding> = report.findings.iter_mut().chain(ignored).collect();
    all.sort_by(|one, other| order(one, other));
    let mut seen: HashMap<[String; 7], usize> = HashMap::new();
    for finding in all {
        let count = seen.entry(key(finding).map(str::to_owned)).or_default();
        finding.fingerprint = fingerprint(finding, *count);
        *count += 1;
    }
}

fn key(finding: &Finding) -> [&str; 7] {
    let (group, kind, namespace, name) = match &finding.object {
        Some(object) => (
            group(object),
            object.kind.as_str(),
            object.namespace.as_str(),
            object.name.as_str(),
        ),
        None => ("", "", "", ""),
    };
    [
        finding.rule,
        &finding.file,
        group,
        kind,
        namespace,
        name,
        &finding.field,
    ]
}

fn group(object: &ObjectReference) -> &str {
    object
        .api_version
        .split_once('/')
        .map_or("", |(group, _)| group)
}

/// At admission a message ends with its rule; here the rule has a place of its own.
fn take_rule(finding: &mut Finding) {
    let bare = finding
        .message
        .strip_suffix(']')
        .and_then(|message| message.strip_suffix(finding.rule))
        .and_then(|message| message.strip_suffix('['));
    if let Some(bare) = bare {
        finding.message = bare.trim_end().to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Suppressed;
    use crate::report::odd_report::{finding, odd_report};

    fn at(line: u32) -> Finding {
        Finding { line, ..finding() }
    }

    fn finished(findings: Vec<Finding>) -> Vec<Finding> {
        let mut report = Report {
            findings,
            ..Report::default()
        };
        finish(&mut report);
        report.findings
    }

    #[test]
    fn a_fingerprint_is_the_same_when_lines_move() {
        let before = finished(vec![at(3), at(9)]);
        let after = finished(vec![at(14), at(4)]);
        let prints = |findings: &[Finding]| -> Vec<String> {
            findings
                .iter()
                .map(|finding| finding.fingerprint.clone())
                .collect()
        };
        assert_eq!(prints(&before), prints(&after));
        assert_ne!(before[0].fingerprint, before[1].fingerprint);
        for finding in before {
            assert_eq!(finding.fingerprint.len(), DIGITS);
            assert!(finding.fingerprint.bytes().all(|b| b.is_ascii_hexdigit()));
        }
    }

    #[test]
    fn a_fingerprint_is_another_for_each_of_its_parts() {
        let same = fingerprint(&finding(), 0);
        let other = |change: fn(&mut Finding)| {
            let mut finding = finding();
            change(&mut finding);
            fingerprint(&finding, 0)
        };
        assert_eq!(same, other(|finding| finding.message.push('!')));
        assert_eq!(same, other(|finding| finding.end_column += 1));
        assert_ne!(same, fingerprint(&finding(), 1));
        assert_ne!(same, other(|finding| finding.rule = "accounts/unreadable"));
        assert_ne!(same, other(|finding| finding.file.push('x')));
        assert_ne!(same, other(|finding| finding.field.clear()));
        assert_ne!(same, other(|finding| finding.object = None));
        // What moves from one part to the next is not the same.
        let split = |namespace: &str, name: &str| {
            let mut finding = finding();
            finding.object = Some(ObjectReference {
                namespace: namespace.into(),
                name: name.into(),
                ..ObjectReference::default()
            });
            fingerprint(&finding, 0)
        };
        assert_ne!(split("ab", "c"), split("a", "bc"));
    }

    #[test]
    fn a_newer_version_of_an_api_is_the_same_object_and_another_group_is_not() {
        let of = |api_version: &str| {
            let mut finding = finding();
            finding.object = Some(ObjectReference {
                api_version: api_version.into(),
                ..ObjectReference::default()
            });
            fingerprint(&finding, 0)
        };
        assert_eq!(of("apps/v1"), of("apps/v1beta1"));
        assert_ne!(of("apps/v1"), of("argoproj.io/v1alpha1"));
    }

    #[test]
    fn to_ignore_one_of_two_does_not_change_the_other() {
        let both = finished(vec![at(3), at(9)]);
        let mut report = Report {
            findings: vec![at(9)],
            suppressed: vec![Suppressed {
                finding: at(3),
                reason: "why not".into(),
            }],
            ..Report::default()
        };
        finish(&mut report);
        assert_eq!(report.findings[0].fingerprint, both[1].fingerprint);
        assert_eq!(
            report.suppressed[0].finding.fingerprint,
            both[0].fingerprint
        );
    }

    #[test]
    fn each_finding_is_there_once_in_order_without_the_rule_in_its_message() {
        let mut report = odd_report();
        let once = report.clone();
        report.findings.reverse();
        let mut twice = report.findings[0].clone();
        twice.message.push_str(&format!(" [{}]", twice.rule));
        report.findings.push(twice);
        report.unseen.push(report.unseen[0].clone());
        finish(&mut report);
        assert_eq!(report, once);
    }
}
