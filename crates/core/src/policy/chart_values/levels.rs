//! Keys that stand one level off, so that the chart does not read them.

use super::{CheckFinding, CheckRule, CheckSeverity, Subject, entry_at, finding};
use crate::document::{Entry, Node};
use crate::runtime::chart::auth::{Auth, SETTINGS, plain_key, reference_key};
use crate::runtime::chart::version::{EXTERNAL, INTEGRATIONS, NEVER};
use crate::runtime::value::Role;

/// Maps in which a setting of `auth` can only be meant for `auth`.
const BESIDE_AUTH: [&[&str]; 5] = [
    &["global", "integrations", "argo-cd", "server"],
    &["global", "integrations", "argo-cd"],
    &["global", "external-argo-cd"],
    &["global", "external-argo-cd", "server"],
    &["global", "external-arg-cd"],
];
/// Maps that have other things in them: only the references are sure.
const FAR_FROM_AUTH: [&[&str]; 7] = [
    &["global", "integrations"],
    &["global", "argo-cd"],
    &["global"],
    &["app-proxy"],
    &["argo-cd", "server"],
    &["argo-cd"],
    &[],
];
/// Maps named `auth` that no version reads.
const NOT_AUTH: [&[&str]; 13] = [
    &["global", "integrations", "argo-cd", "auth"],
    &["global", "integrations", "auth"],
    &["global", "integrations", "argocd", "server", "auth"],
    &["global", "argo-cd", "server", "auth"],
    &["global", "argo-cd", "auth"],
    &["global", "external-argo-cd", "server", "auth"],
    &["global", "auth"],
    &["argo-cd", "server", "auth"],
    &["argo-cd", "auth"],
    &["integrations", "argo-cd", "server", "auth"],
    &["integrations", "argo-cd", "auth"],
    &["external-argo-cd", "auth"],
    &["auth"],
];
const REFERENCES: [&str; 2] = ["tokenSecretKeyRef", "passwordSecretKeyRef"];

pub(super) fn judge(subject: &Subject<'_>) -> Vec<CheckFinding> {
    let values = subject.values;
    let mut findings = Vec::new();
    for (parents, keys) in [
        (&BESIDE_AUTH[..], &SETTINGS[..]),
        (&FAR_FROM_AUTH, &REFERENCES),
    ] {
        for parent in parents {
            let entries = values.path(parent).map_or(&[][..], Node::entries);
            let strays = entries
                .iter()
                .filter(|entry| keys.contains(&entry.key.as_str()) && !entry.value.is_null());
            findings.extend(strays.map(|entry| stray(subject, parent, entry)));
        }
    }
    for path in NOT_AUTH {
        let known = |entry: &Entry| SETTINGS.contains(&entry.key.as_str());
        if Auth::at(values, path).is_some_and(|auth| auth.entries().iter().any(known)) {
            findings.extend(entry_at(values, path).map(|entry| other_auth(subject, path, entry)));
        }
    }
    for path in [INTEGRATIONS, EXTERNAL, NEVER] {
        if let Some(auth) = Auth::at(values, path) {
            findings.extend(inside(subject, path, auth));
        }
    }
    let wrapped = values
        .entries()
        .iter()
        .filter(|entry| entry.key != "global");
    findings.extend(wrapped.filter_map(|entry| wrapper(subject, entry)));
    findings
}

fn destination(subject: &Subject<'_>) -> String {
    subject.expected().unwrap_or_else(|| INTEGRATIONS.join("."))
}

fn misplaced(entry: &Entry, path: String, mend: String) -> CheckFinding {
    let what = format!("{path} is not where the chart reads it");
    let (rule, severity) = (CheckRule::PathMisplaced, CheckSeverity::Error);
    finding(rule, severity, entry.at.clone(), path, what, mend)
}

fn stray(subject: &Subject<'_>, parent: &[&str], entry: &Entry) -> CheckFinding {
    let path = join(parent, &entry.key);
    let mend = format!("Move it to {}.{}.", destination(subject), entry.key);
    misplaced(entry, path, mend)
}

fn other_auth(subject: &Subject<'_>, path: &[&str], entry: &Entry) -> CheckFinding {
    let mend = format!("Move it to {}.", destination(subject));
    misplaced(entry, path.join("."), mend)
}

/// What stands in `auth` and is no setting of it.
fn inside(subject: &Subject<'_>, base: &[&str], auth: Auth<'_>) -> Vec<CheckFinding> {
    let base = base.join(".");
    let mut findings = Vec::new();
    for entry in auth.entries() {
        let path = format!("{base}.{}", entry.key);
        let reference = auth
            .kind()
            .role()
            .map_or("tokenSecretKeyRef", reference_key);
        match entry.key.as_str() {
            _ if entry.value.is_null() => {}
            "usernameSecretKeyRef" => {}
            "name" | "key" => {
                let mend = format!("Move it into {base}.{reference}.");
                findings.push(misplaced(entry, path, mend));
            }
            "secretKeyRef" | "valueFrom" => {
                let mend = format!("Write name and key under {base}.{reference}.");
                findings.push(misplaced(entry, path, mend));
            }
            "auth" => {
                let mend = format!(
                    "Move what is in it one level up, to {}.",
                    destination(subject)
                );
                findings.push(misplaced(entry, path, mend));
            }
            key if SETTINGS.contains(&key) => findings.extend(in_setting(&base, entry)),
            _ => findings.push(unknown(&base, entry)),
        }
    }
    findings
}

/// A map where a text belongs, or one map too many in a reference.
fn in_setting(base: &str, entry: &Entry) -> Option<CheckFinding> {
    for role in [Role::Token, Role::Password] {
        if entry.key == plain_key(role) && entry.value.scalar().is_none() {
            let path = format!("{base}.{}", entry.key);
            let mend = format!("Write name and key under {base}.{}.", reference_key(role));
            return Some(misplaced(entry, path, mend));
        }
        if entry.key == reference_key(role) {
            let nested = entry.value.entries().iter();
            let nested = nested
                .filter(|it| !["name", "key"].contains(&it.key.as_str()))
                .find(|it| {
                    it.value.get("name").is_some() || it.value.get("secretKeyRef").is_some()
                })?;
            let path = format!("{base}.{}.{}", entry.key, nested.key);
            let mend = format!("Write name and key directly under {base}.{}.", entry.key);
            return Some(misplaced(nested, path, mend));
        }
    }
    None
}

fn unknown(base: &str, entry: &Entry) -> CheckFinding {
    let path = format!("{base}.{}", shown(&entry.key));
    let known = SETTINGS.iter().find(|known| is_like(&entry.key, known));
    let (severity, mend) = match known {
        Some(known) => (CheckSeverity::Error, format!("Call it {base}.{known}.")),
        None => (
            CheckSeverity::Warning,
            format!("Remove it: the chart reads {}.", SETTINGS.join(", ")),
        ),
    };
    let what = format!("{path} is no setting of the chart");
    let rule = CheckRule::PathMisplaced;
    finding(rule, severity, entry.at.clone(), path, what, mend)
}

/// Whether a key is another spelling of a setting, such as `tokenSecretRef`.
fn is_like(key: &str, setting: &str) -> bool {
    let plain = |text: &str| {
        text.chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_lowercase())
            .collect::<String>()
            .replace("secretkeyref", "secretref")
            .replace("existingsecret", "secretref")
    };
    let (key, setting) = (plain(key), plain(setting));
    key == setting || key.strip_suffix('s') == Some(setting.as_str())
}

/// All values under one key more, such as the chart's name in a release of the chart itself.
fn wrapper(subject: &Subject<'_>, entry: &Entry) -> Option<CheckFinding> {
    let within = [INTEGRATIONS, EXTERNAL, NEVER]
        .into_iter()
        .find(|path| Auth::at(&entry.value, path).is_some())?;
    let path = format!("{}.{}", shown(&entry.key), within.join("."));
    let mend = format!(
        "Move it to {}: these are the values of the chart itself, not of a chart that depends on it.",
        destination(subject)
    );
    let at = entry_at(&entry.value, within)?;
    Some(misplaced(at, path, mend))
}

/// What stands at the top of the values of a chart that depends on the Runtime's, beside `key`, under which that chart
/// reads its values (its name, or its alias), and was meant for it.
pub fn beside_dependency(parent: &Node, key: &str) -> Vec<CheckFinding> {
    const PARTS: [&str; 7] = [
        "app-proxy",
        "gitops-operator",
        "argo-gateway",
        "event-reporters",
        "integrations",
        "external-argo-cd",
        "external-arg-cd",
    ];
    let mut findings = Vec::new();
    for entry in parent.entries() {
        if entry.key == key || entry.key == "global" {
            continue;
        }
        let within = [INTEGRATIONS, EXTERNAL, NEVER]
            .into_iter()
            .find(|path| Auth::at(&entry.value, path).is_some());
        if let Some((within, at)) =
            within.and_then(|path| Some((path, entry_at(&entry.value, path)?)))
        {
            let path = format!("{}.{}", shown(&entry.key), within.join("."));
            let mend = format!(
                "Move it under {}, as the dependency is called in Chart.yaml.",
                shown(key)
            );
            findings.push(misplaced(at, path, mend));
        } else if PARTS.contains(&entry.key.as_str()) && mentions_credential(&entry.value) {
            let under = match entry.key.as_str() {
                "integrations" | "external-argo-cd" | "external-arg-cd" => {
                    format!("{}.global", shown(key))
                }
                _ => shown(key).to_owned(),
            };
            let mend = format!(
                "Move it under {under}: at the top the values are those of the parent chart."
            );
            findings.push(misplaced(entry, entry.key.clone(), mend));
        }
    }
    findings
}

/// Whether an `auth` or a variable of a credential is in it, three levels deep or less.
fn mentions_credential(node: &Node) -> bool {
    fn within(node: &Node, depth: usize) -> bool {
        node.entries().iter().any(|entry| {
            entry.key == "auth"
                || entry.key.starts_with("ARGO_CD_")
                || (depth > 0 && within(&entry.value, depth - 1))
        })
    }
    within(node, 3)
}

fn join(parent: &[&str], key: &str) -> String {
    let mut path = parent.join(".");
    if !path.is_empty() {
        path.push('.');
    }
    path + key
}

/// A key as it may be shown: people write credentials where keys belong.
fn shown(key: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    match !key.is_empty() && key.len() <= 40 && key.bytes().all(plain) {
        true => key,
        false => "…",
    }
}
