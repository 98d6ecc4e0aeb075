//! The exit code, by which a script tells what was found from what could not be seen.

use clap::ValueEnum;
use serde::Deserialize;

use super::{Report, Severity};

/// Nothing is wrong.
pub const CLEAN: u8 = 0;
/// There is a finding at or above what the user asked to fail on.
pub const FOUND: u8 = 1;
/// Wrong usage, as clap has it, or a file that is no YAML.
pub const UNUSABLE: u8 = 2;
/// Something that would have been needed could not be seen.
pub const UNSEEN: u8 = 3;

/// The least severity at which the program ends with 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailOn {
    /// What would be refused or does not work
    #[default]
    Error,
    /// Warnings, too
    Warning,
    /// Everything
    Note,
    /// No finding at all
    Never,
}

impl FailOn {
    fn counts(self, severity: Severity) -> bool {
        match self {
            FailOn::Error => severity <= Severity::Error,
            FailOn::Warning => severity <= Severity::Warning,
            FailOn::Note => true,
            FailOn::Never => false,
        }
    }
}

/// The exit code of a report: a broken file comes before findings, findings before what could not be seen.
pub fn code(report: &Report, fail_on: FailOn) -> u8 {
    let mut findings = report.findings.iter();
    if !report.broken.is_empty() {
        UNUSABLE
    } else if findings.any(|finding| fail_on.counts(finding.severity)) {
        FOUND
    } else if !report.unseen.is_empty() {
        UNSEEN
    } else {
        CLEAN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::odd_report::{broken, finding, unseen};

    fn of(severities: &[Severity], unseens: usize, broken_files: usize) -> Report {
        Report {
            findings: severities
                .iter()
                .map(|severity| crate::report::Finding {
                    severity: *severity,
                    ..finding()
                })
                .collect(),
            unseen: vec![unseen(); unseens],
            broken: vec![broken(); broken_files],
            ..Report::default()
        }
    }

    #[test]
    fn the_worst_that_is_known_decides() {
        use FailOn::{Error, Never, Note, Warning};
        let (error, warning, note) = (Severity::Error, Severity::Warning, Severity::Note);
        for (severities, unseens, broken_files, fail_on, expected) in [
            (&[][..], 0, 0, Error, CLEAN),
            (&[], 1, 0, Error, UNSEEN),
            (&[], 1, 0, Never, UNSEEN),
            (&[], 1, 1, Never, UNUSABLE),
            (&[error], 1, 0, Error, FOUND),
            (&[error], 1, 1, Error, UNUSABLE),
            (&[error], 0, 0, Never, CLEAN),
            (&[error], 1, 0, Never, UNSEEN),
            (&[warning], 0, 0, Error, CLEAN),
            (&[warning], 1, 0, Error, UNSEEN),
            (&[warning], 1, 0, Warning, FOUND),
            (&[note], 0, 0, Warning, CLEAN),
            (&[note], 0, 0, Note, FOUND),
            (&[note, error], 0, 0, Error, FOUND),
        ] {
            let report = of(severities, unseens, broken_files);
            assert_eq!(
                code(&report, fail_on),
                expected,
                "{severities:?} {unseens} {broken_files} {fail_on:?}"
            );
        }
    }

    #[test]
    fn what_was_ignored_fails_nothing() {
        let report = Report {
            suppressed: vec![crate::report::odd_report::suppressed()],
            ..Report::default()
        };
        assert_eq!(code(&report, FailOn::Note), CLEAN);
    }
}
