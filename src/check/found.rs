//! A finding before it is known whether it is to be told.

use keyguard_core::document::Position;
use keyguard_core::policy::rules::Rule;
use keyguard_core::policy::verdict::{Effect, Judged};

use crate::report::{Finding, ObjectReference, Severity, Unseen};

/// What came of judging.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// What is wrong.
    pub(crate) found: Vec<Found>,
    /// What would have been needed and could not be seen.
    pub(crate) unseen: Vec<Unseen>,
}

impl Told {
    /// Something at a place could not be seen.
    pub(crate) fn unseen(
        &mut self,
        at: &Position,
        what: impl Into<String>,
        why: impl Into<String>,
    ) {
        self.unseen.push(Unseen::at(at, what, why));
    }
}

/// A finding with its place.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The id of its rule.
    pub(crate) rule: &'static str,
    /// How bad it is.
    pub(crate) severity: Severity,
    /// Where a person mends it.
    pub(crate) at: Position,
    /// The object in which it is.
    pub(crate) object: Option<ObjectReference>,
    /// Where in the object or file.
    pub(crate) field: String,
    /// What is wrong, why it matters and how to mend it.
    pub(crate) message: String,
}

impl Found {
    /// What admission found, at no place yet.
    pub(crate) fn of(object: Option<ObjectReference>, judged: &Judged, at: Position) -> Found {
        let finding = &judged.finding;
        Found {
            rule: finding.rule.id(),
            severity: severity(judged.effect, finding.rule),
            at,
            object,
            field: finding.fields.first().cloned().unwrap_or_default(),
            message: finding.message(),
        }
    }

    /// As a report has it.
    pub(crate) fn finding(self) -> Finding {
        Finding {
            file: self.at.file.to_string(),
            line: self.at.line,
            column: self.at.column,
            end_line: self.at.end_line,
            end_column: self.at.end_column,
            rule: self.rule,
            severity: self.severity,
            object: self.object,
            field: self.field,
            message: self.message,
            fingerprint: String::new(),
        }
    }
}

/// How bad it is what admission would do.
fn severity(effect: Effect, rule: Rule) -> Severity {
    match (effect, rule) {
        (Effect::Deny, _) => Severity::Error,
        // A fresh install has it, and nobody can change that.
        (_, Rule::SecretNotYetMade) | (Effect::Record | Effect::Lifted, _) => Severity::Note,
        (Effect::Warn, _) => Severity::Warning,
    }
}
