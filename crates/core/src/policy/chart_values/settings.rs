//! Settings that do not go together: the type, plain values and references.

use super::{CheckFinding, CheckRule, CheckSeverity, Subject, finding, place};
use crate::document::{Content, Entry, Node, Position};
use crate::runtime::chart::auth::{
    Auth, AuthType, DEFAULT_PASSWORD, is_template, plain_key, reference_key,
};
use crate::runtime::chart::version::Generation;
use crate::runtime::value::Role;

pub(super) fn judge(subject: &Subject<'_>, path: &[&str], auth: Auth<'_>) -> Vec<CheckFinding> {
    let settings = Settings {
        subject,
        base: path.join("."),
        auth,
    };
    let mut findings: Vec<CheckFinding> = settings.kind().into_iter().collect();
    for role in [Role::Token, Role::Password] {
        findings.extend(settings.both(role));
        findings.extend(settings.reference(role));
    }
    findings
}

struct Settings<'a> {
    subject: &'a Subject<'a>,
    base: String,
    auth: Auth<'a>,
}

/// The word for a role in `type`.
fn word(role: Role) -> &'static str {
    plain_key(role)
}

fn other(role: Role) -> Role {
    match role {
        Role::Token => Role::Password,
        Role::Password => Role::Token,
    }
}

impl Settings<'_> {
    fn at(&self, key: &str) -> Option<Position> {
        self.auth.entry(key).map(place)
    }

    /// A finding at one of the settings.
    fn told(
        &self,
        rule: CheckRule,
        severity: CheckSeverity,
        key: &str,
        what: String,
        mend: String,
    ) -> Option<CheckFinding> {
        let path = format!("{}.{key}", self.base);
        Some(finding(rule, severity, self.at(key)?, path, what, mend))
    }

    /// What `type` does not go with.
    fn kind(&self) -> Option<CheckFinding> {
        let (base, rule) = (&self.base, CheckRule::TypeMismatch);
        let kind = self.auth.kind();
        let Some(role) = kind.role() else {
            if kind == AuthType::Untold {
                return None;
            }
            let what =
                format!("{base}.type is neither password nor token, and helm template refuses it");
            let mend = format!("Write password or token at {base}.type.");
            return self.told(rule, CheckSeverity::Error, "type", what, mend);
        };
        let unused = other(role);
        if self.auth.mentions(unused) {
            return self.unused(kind, role, unused);
        }
        let nothing =
            self.auth.plain(Role::Token).is_none() && self.auth.reference(Role::Token).is_none();
        if role == Role::Token && nothing {
            let what = format!(
                "{base}.type is token, and neither {base}.token nor {base}.tokenSecretKeyRef is written"
            );
            let mend = format!("Write name and key at {base}.tokenSecretKeyRef.");
            let rule = CheckRule::ReferenceIncomplete;
            return self.told(rule, CheckSeverity::Error, "type", what, mend);
        }
        None
    }

    fn unused(&self, kind: AuthType, role: Role, unused: Role) -> Option<CheckFinding> {
        let base = &self.base;
        let key = match self.auth.plain(unused).is_some() {
            true => plain_key(unused),
            false => reference_key(unused),
        };
        let is = match kind {
            AuthType::Default => "is not written, which means password",
            _ => match role {
                Role::Token => "is token",
                Role::Password => "is password",
            },
        };
        // Somebody who wrote both and said which knows what is used.
        let meant = kind != AuthType::Default && self.auth.mentions(role);
        let severity = match meant {
            true => CheckSeverity::Warning,
            false => CheckSeverity::Error,
        };
        let what = format!("{base}.{key} is written, but {base}.type {is}");
        let mend = match meant {
            true => format!(
                "Remove {base}.{key}, or write {base}.type: {}.",
                word(unused)
            ),
            false => format!("Write {base}.type: {}.", word(unused)),
        };
        self.told(CheckRule::TypeMismatch, severity, key, what, mend)
    }

    /// A plain credential beside a reference.
    fn both(&self, role: Role) -> Option<CheckFinding> {
        let base = &self.base;
        let (plain, reference) = (plain_key(role), reference_key(role));
        self.auth.plain(role)?;
        let written = self.auth.reference(role).is_some() && !self.auth.is_default(role);
        let generations = &self.subject.generations;
        let first = |it: &Generation| *it == Generation::ReferenceFirst;
        let some_first = generations.iter().any(first) && self.base.contains("external");
        let default_first = some_first && role == Role::Password;
        if !(written || default_first) {
            return None;
        }
        let counts = match (some_first, generations.iter().all(first)) {
            (false, _) => format!("{base}.{plain} counts"),
            (true, true) if written => {
                format!("App Proxy takes {base}.{reference}, other components {base}.{plain}")
            }
            (true, true) => format!("App Proxy takes the default of {base}.{reference}"),
            (true, false) => format!(
                "up to 0.24.3 App Proxy takes {base}.{reference}, later {base}.{plain} counts"
            ),
        };
        let what = format!("{base}.{plain} and {base}.{reference} are both set: {counts}");
        let mend = format!("Keep {base}.{reference} and remove {base}.{plain}.");
        self.told(
            CheckRule::PlainAndReference,
            CheckSeverity::Warning,
            plain,
            what,
            mend,
        )
    }

    /// Half a reference, or none where one should be.
    fn reference(&self, role: Role) -> Option<CheckFinding> {
        let (base, key) = (&self.base, reference_key(role));
        let entry = self
            .auth
            .entry(key)
            .filter(|entry| !is_template(&entry.value))?;
        let (rule, error) = (CheckRule::ReferenceIncomplete, CheckSeverity::Error);
        let used = self.auth.kind().role() == Some(role) && self.auth.plain(role).is_none();
        // Without the default nothing is left; `{}` changes nothing, as it is merged with the default.
        let gone = role == Role::Password && used && entry.value.is_null();
        if entry.value.scalar().is_some_and(|it| it.text.is_empty()) && !gone {
            return None;
        }
        let Content::Map(parts) = &entry.value.content else {
            let what = format!("{base}.{key} is no map with name and key");
            let mend = format!("Write name and key under {base}.{key}.");
            return (!entry.value.is_null() || gone)
                .then(|| self.told(rule, error, key, what, mend))
                .flatten();
        };
        let is_used = self.auth.kind().role() == Some(role);
        if parts.is_empty() || (self.auth.is_blank(role) && !is_used) {
            return None;
        }
        let missing = ["name", "key"].map(|part| (part, entry.value.get(part)));
        for (part, written) in missing {
            if written.is_some_and(|node| node.text().is_none_or(str::is_empty)) {
                let what = format!("{base}.{key}.{part} is empty or no text");
                let mend = format!(
                    "Write a text at {base}.{key}.{part}, in quotes if it looks like something else."
                );
                let at = entry.value.entry(part).map(place)?;
                let path = format!("{base}.{key}.{part}");
                return Some(finding(rule, error, at, path, what, mend));
            }
        }
        let absent = missing.iter().find(|(_, written)| written.is_none())?.0;
        self.half(entry, role, absent)
    }

    fn half(&self, entry: &Entry, role: Role, absent: &str) -> Option<CheckFinding> {
        let (base, key) = (&self.base, &entry.key);
        if self.auth.is_default(role) || nested(&entry.value) {
            return None;
        }
        let (severity, rest) = match role {
            Role::Token => (
                CheckSeverity::Error,
                "helm template refuses it in token mode".to_owned(),
            ),
            Role::Password => {
                let (severity, default) = match absent {
                    "name" => (CheckSeverity::Error, DEFAULT_PASSWORD.0),
                    // The default is a likely name of a key.
                    _ => (CheckSeverity::Warning, DEFAULT_PASSWORD.1),
                };
                (severity, format!("it is {default:?} by default"))
            }
        };
        let what = format!("{base}.{key} has no {absent}; {rest}");
        let mend = format!("Write {base}.{key}.{absent} too.");
        self.told(CheckRule::ReferenceIncomplete, severity, key, what, mend)
    }
}

/// Whether name and key stand a level deeper, which is told as that.
fn nested(reference: &Node) -> bool {
    let mut parts = reference.entries().iter();
    parts.any(|part| part.value.get("name").is_some() || part.value.get("secretKeyRef").is_some())
}
