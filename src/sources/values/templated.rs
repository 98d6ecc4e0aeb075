//! Fields that decide and are filled in later: they are unseen, and no finding is made of them.

use crate::report::Unseen;
use keyguard_core::document::{Entry, Node};
use keyguard_core::runtime::chart::auth::is_template;
use keyguard_core::runtime::chart::overrides::OVERRIDES;
use keyguard_core::runtime::chart::version::{EXTERNAL, INTEGRATIONS};

use super::release::Release;

/// Fields above `auth` that a template may stand in.
const ABOVE: [&[&str]; 8] = [
    &["global"],
    &["global", "integrations"],
    &["global", "integrations", "argo-cd"],
    &["global", "integrations", "argo-cd", "server"],
    &["global", "external-argo-cd"],
    &["argo-cd"],
    &["argo-cd", "enabled"],
    &["app-proxy", "config", "argoCdUsername"],
];

/// Notes the templates in fields of `release` that decide.
pub(super) fn note(release: &mut Release) {
    let mut found = Vec::new();
    for path in ABOVE {
        if let Some(node) = release.values.path(path).filter(|node| is_template(node)) {
            found.push((path.join("."), node));
        }
    }
    for path in [INTEGRATIONS, EXTERNAL] {
        if let Some(node) = release.values.path(path) {
            below(path.join("."), node, &mut found);
        }
    }
    for map in OVERRIDES {
        for entry in map.variables(&release.values) {
            below(
                format!("{}.{}", map.path.join("."), entry.key),
                &entry.value,
                &mut found,
            );
        }
    }
    for path in [&["argo-cd", "configs", "cm"][..], &["configs", "cm"]] {
        for entry in release.values.path(path).map_or(&[][..], Node::entries) {
            if is_account(entry) && is_template(&entry.value) {
                found.push((format!("{}.{}", path.join("."), entry.key), &entry.value));
            }
        }
    }
    let noted: Vec<_> = found
        .into_iter()
        .map(|(path, node)| Unseen::at(&node.at, path, "it is filled in by a template"))
        .collect();
    release.unseen.extend(noted);
}

fn is_account(entry: &Entry) -> bool {
    entry.key.starts_with("accounts.") || entry.key == "admin.enabled"
}

/// A plain credential that is filled in later decides nothing: it is there.
fn below<'a>(path: String, node: &'a Node, found: &mut Vec<(String, &'a Node)>) {
    if is_template(node) {
        found.push((path, node));
        return;
    }
    for entry in node.entries() {
        if !matches!(entry.key.as_str(), "token" | "password") {
            below(format!("{path}.{}", entry.key), &entry.value, found);
        }
    }
}
