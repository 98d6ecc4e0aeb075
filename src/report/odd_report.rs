//! A report with everything that a format has to get right, for the tests of the formats.

use super::findings::finish;
use super::{BrokenFile, Checked, Finding, ObjectReference, Report, Severity, Suppressed, Unseen};

/// A name that is shown in another order than it is written.
pub(super) const RIGHT_TO_LEFT: &str = "argocd-\u{202e}mc\u{202c}";
/// What is wrong, in the message of [`finding`].
pub(super) const WHAT: &str =
    "account \"admin\" loses <apiKey> & 100% more\r\nsecond: line, 日本語";
/// How to fix it, in the message of [`finding`].
pub(super) const FIX: &str = "Keep apiKey in data[\"accounts.admin\"].";

/// An error with its place, object and an odd message.
pub(super) fn finding() -> Finding {
    let rule = keyguard_core::policy::rules::Rule::ApiKeyRemoved;
    Finding {
        file: "apps/a b%,:日本.yaml".into(),
        line: 3,
        column: 5,
        end_line: 3,
        end_column: 30,
        rule: rule.id(),
        severity: Severity::Error,
        object: Some(ObjectReference {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: "argocd".into(),
            name: RIGHT_TO_LEFT.into(),
        }),
        field: "data[\"accounts.admin\"]".into(),
        message: format!("{WHAT}: {}. {FIX}", rule.why()),
        fingerprint: String::new(),
    }
}

pub(super) fn unseen() -> Unseen {
    Unseen {
        file: "app.yaml".into(),
        line: 9,
        what: "$ref values".into(),
        why: "the source is elsewhere".into(),
    }
}

pub(super) fn broken() -> BrokenFile {
    BrokenFile {
        file: "broken.yaml".into(),
        line: 2,
        column: 7,
        why: "is not YAML or JSON".into(),
    }
}

pub(super) fn suppressed() -> Suppressed {
    Suppressed {
        finding: Finding {
            line: 20,
            end_line: 20,
            rule: "values/plain-credential",
            severity: Severity::Warning,
            object: None,
            field: "global.runtime.token".into(),
            message: "a token is in git".into(),
            ..finding()
        },
        reason: "it is a test, 100% \"sure\"".into(),
    }
}

/// In order and with fingerprints: an object of a cluster, an error, a warning without an object over several lines, a
/// note without a line and with control characters.
pub(super) fn odd_report() -> Report {
    let in_the_cluster = Finding {
        file: String::new(),
        line: 0,
        column: 0,
        end_line: 0,
        end_column: 0,
        rule: "credentials/secret-missing",
        object: Some(ObjectReference {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            namespace: "codefresh".into(),
            name: "cap-app-proxy".into(),
        }),
        message: "Secret codefresh/argocd-token does not exist".into(),
        ..finding()
    };
    let over_lines = Finding {
        line: 8,
        end_line: 10,
        column: 40,
        end_column: 2,
        rule: "values/plain-not-text",
        severity: Severity::Warning,
        object: None,
        message: "a number, where text is read".into(),
        ..finding()
    };
    let without_line = Finding {
        file: "bell\u{7}\u{1b}[31m.yaml".into(),
        line: 0,
        column: 0,
        end_line: 0,
        end_column: 0,
        rule: "secrets/keys-unknown",
        severity: Severity::Note,
        object: None,
        field: String::new(),
        message: "]]> \u{0}\u{b}\u{fffe} --> ::error::x".into(),
        ..finding()
    };
    let mut report = Report {
        findings: vec![without_line, over_lines, finding(), in_the_cluster],
        suppressed: vec![suppressed()],
        unseen: vec![unseen()],
        broken: vec![broken()],
        checked: Checked {
            files: 4,
            objects: 7,
        },
    };
    finish(&mut report);
    report
}
