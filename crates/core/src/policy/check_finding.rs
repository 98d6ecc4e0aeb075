//! A finding about what people wrote, with the place where they wrote it.

use crate::document::Position;
use crate::policy::check_rules::CheckRule;

/// How bad a finding of `check` is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckSeverity {
    /// It does not work.
    Error,
    /// It works by chance, or will break.
    Warning,
    /// Worth knowing.
    Note,
}

/// One thing that is wrong in a file: what, where and how to mend it. Nothing in it is a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFinding {
    /// The rule it is reported under.
    pub rule: CheckRule,
    /// How bad it is.
    pub severity: CheckSeverity,
    /// Where it stands in the file that a person edits.
    pub at: Position,
    /// Where it stands among the values, such as `global.external-argo-cd.auth.type`.
    pub path: String,
    /// What is wrong and where, a clause without a full stop.
    pub what: String,
    /// How to mend it, a sentence with its full stop.
    pub mend: String,
}

impl CheckFinding {
    /// The whole sentence: what and where, why it matters, how to mend it, which rule.
    pub fn message(&self) -> String {
        self.rule.sentence(&self.what, &self.mend)
    }
}
