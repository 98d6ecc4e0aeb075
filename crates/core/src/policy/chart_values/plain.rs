//! Credentials that stand in the values as they are.

use super::{CheckFinding, CheckRule, CheckSeverity, Subject, finding};
use crate::document::unquoted::{Unquoted, unquoted};
use crate::document::{Entry, ScalarKind};
use crate::runtime::chart::auth::{Auth, is_variable, plain_key};
use crate::runtime::chart::overrides::OVERRIDES;
use crate::runtime::chart::version::{EXTERNAL, INTEGRATIONS, NEVER};
use crate::runtime::value::Role;

/// Maps in which people write `token` and `password`, whether the chart reads them or not.
const PLACES: [&[&str]; 12] = [
    INTEGRATIONS,
    EXTERNAL,
    NEVER,
    &["global", "integrations", "argo-cd", "server"],
    &["global", "integrations", "argo-cd"],
    &["global", "integrations", "argo-cd", "auth"],
    &["global", "external-argo-cd"],
    &["global", "external-argo-cd", "server"],
    &["global", "external-argo-cd", "server", "auth"],
    &["global", "external-arg-cd"],
    &["global", "argo-cd", "server", "auth"],
    &["integrations", "argo-cd", "server", "auth"],
];

pub(super) fn judge(subject: &Subject<'_>) -> Vec<CheckFinding> {
    let values = subject.values;
    let read: Vec<_> = subject.read_somewhere();
    let mut findings = Vec::new();
    for path in PLACES {
        let Some(auth) = Auth::at(values, path) else {
            continue;
        };
        let base = path.join(".");
        let is_read = read.iter().any(|(known, _)| *known == path);
        for role in [Role::Token, Role::Password] {
            let Some(entry) = auth.entry(plain_key(role)) else {
                continue;
            };
            let shown = format!("{base}.{}", entry.key);
            if auth.plain(role).is_some() {
                findings.extend(in_git(entry, &shown, role));
            }
            if is_read && auth.kind().role() == Some(role) {
                findings.extend(not_text(entry, &shown));
            }
        }
    }
    for map in OVERRIDES {
        for entry in map.plain(values) {
            let shown = format!("{}.{}", map.path.join("."), entry.key);
            let role = match entry.key.ends_with("TOKEN") {
                true => Role::Token,
                false => Role::Password,
            };
            findings.extend(in_git(entry, &shown, role));
        }
    }
    findings
}

fn in_git(entry: &Entry, path: &str, role: Role) -> Option<CheckFinding> {
    let scalar = entry.value.scalar()?;
    if is_filled_in_later(&scalar.text) {
        return None;
    }
    let what = match role {
        Role::Token => format!("{path} is a token in plain text"),
        Role::Password => format!("{path} is a password in plain text"),
    };
    let mend = match role {
        Role::Token => {
            "Store it in a Secret, refer to it by tokenSecretKeyRef, and generate a new one."
        }
        Role::Password => {
            "Store it in a Secret, refer to it by passwordSecretKeyRef, and change it."
        }
    };
    let (rule, severity) = (CheckRule::PlainCredential, CheckSeverity::Warning);
    let at = entry.value.at.clone();
    Some(finding(rule, severity, at, path.to_owned(), what, mend))
}

/// Whether a tool replaces the text before the chart is rendered, or after: SOPS, Argo CD's Vault plugin, vals,
/// Bank-Vaults, envsubst, Flux, templates, and what replaces tokens in pipelines.
fn is_filled_in_later(text: &str) -> bool {
    let text = text.trim();
    let within = |open: &str, close: &str| text.starts_with(open) && text.ends_with(close);
    text.starts_with("ENC[AES256_GCM,")
        || text.starts_with("ref+")
        || text.starts_with("vault:")
        || text.starts_with(">>vault:")
        || text.contains("{{")
        || within("<", ">")
        || is_variable(text)
}

/// What is not the same text any more once the chart has written it without quotes.
fn not_text(entry: &Entry, path: &str) -> Option<CheckFinding> {
    let scalar = entry.value.scalar()?;
    let quoted = scalar.kind == ScalarKind::Text;
    let becomes = match scalar.kind {
        ScalarKind::Null => None,
        ScalarKind::Text if scalar.text.is_empty() || is_filled_in_later(&scalar.text) => None,
        ScalarKind::Text => told(unquoted(&scalar.text)),
        kind => told(Unquoted::Other(kind)),
    }?;
    let what = match quoted {
        true => format!("{path} is a text that {becomes} when it stands without quotes"),
        false => format!("{path} is no text and {becomes}"),
    };
    let mend = match quoted {
        true => {
            "Store it in a Secret and refer to it: quotes do not help, the chart writes it without."
        }
        false => {
            "Store it in a Secret and refer to it: the chart writes it without quotes, even if you add them."
        }
    };
    let (rule, severity) = (CheckRule::PlainNotText, CheckSeverity::Error);
    let at = entry.value.at.clone();
    Some(finding(rule, severity, at, path.to_owned(), what, mend))
}

fn told(becomes: Unquoted) -> Option<&'static str> {
    match becomes {
        Unquoted::Same | Unquoted::Other(ScalarKind::Text) => None,
        Unquoted::Other(ScalarKind::Null) => Some("becomes nothing"),
        Unquoted::Other(ScalarKind::Bool(_)) => Some("becomes a boolean"),
        Unquoted::Other(ScalarKind::Integer | ScalarKind::Float) => Some("becomes a number"),
        Unquoted::CutAtComment => Some("is cut off at a number sign"),
        Unquoted::Trimmed => Some("loses the white space around it"),
        Unquoted::Broken => Some("is no longer a text, or breaks the manifest,"),
    }
}
