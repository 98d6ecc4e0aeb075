//! Which objects a patch is for.

use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::document::Node;
use regex::Regex;

use super::resource::{Resource, kind, namespace, version};

/// Whether `target` selects the object; `None` when it cannot be told.
///
/// Source: kustomize `api/types/selector.go`: kind, name and the rest are regular expressions for all of the text.
pub(super) fn selects(target: &Node, resource: &Resource) -> Option<bool> {
    let matches = |key: &str, text: &str| match target.text_at(&[key]) {
        None | Some("") => Some(true),
        Some(pattern) => pattern_matches(pattern, text),
    };
    let (group, version) = version(&resource.node);
    let mut named = Some(false);
    for (name, namespace) in resource.names() {
        let both = both(
            matches("name", name),
            matches("namespace", namespace.unwrap_or("default")),
        );
        named = either(named, both);
    }
    let labels = |key, place| match target.text_at(&[key]) {
        None | Some("") => Some(true),
        Some(selector) => has_labels(selector, resource.node.path(&["metadata", place])),
    };
    [
        matches("group", group),
        matches("version", version),
        matches("kind", resource.kind()),
        labels("labelSelector", "labels"),
        labels("annotationSelector", "annotations"),
    ]
    .into_iter()
    .fold(named, both)
}

/// The objects that a strategic merge patch without a target names. In the namespace that it names first; one of them may
/// leave it out: Kustomize ends with an error then, or a transformer fills it in.
pub(super) fn named(patch: &Node, resources: &[Resource]) -> Vec<usize> {
    let name = patch.text_at(&["metadata", "name"]).unwrap_or_default();
    let wanted = namespace(patch);
    let group = version(patch).0;
    let is_named = |resource: &Resource| {
        (version(&resource.node).0, resource.kind()) == (group, kind(patch))
            && resource.names().any(|(own, _)| own == name)
    };
    let all = resources.iter().enumerate();
    let candidates: Vec<_> = all.filter(|(_, resource)| is_named(resource)).collect();
    let in_namespace = |may_be_left_out: bool| -> Vec<usize> {
        let fits = |of: Option<&str>| {
            of == wanted || (may_be_left_out && (of.is_none() || wanted.is_none()))
        };
        let found = candidates
            .iter()
            .filter(|(_, resource)| resource.names().any(|(own, of)| own == name && fits(of)));
        found.map(|(index, _)| *index).collect()
    };
    match in_namespace(false) {
        found if found.is_empty() => in_namespace(true),
        found => found,
    }
}

/// Whether a target or patch is for an argocd-cm, wherever that is.
pub(super) fn is_for_argocd_cm(target: &Node) -> bool {
    let matches = |key, text| {
        let pattern = target.text_at(&[key]).unwrap_or_default();
        !pattern.is_empty() && pattern_matches(pattern, text) == Some(true)
    };
    matches("kind", "ConfigMap") && matches("name", CONFIG_MAP_NAME)
}

fn both(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn either(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    both(one.map(|it| !it), other.map(|it| !it)).map(|it| !it)
}

/// Only `key`, `key=value` and `key!=value` are read.
fn has_labels(selector: &str, labels: Option<&Node>) -> Option<bool> {
    if selector.contains(['(', '!']) && !selector.contains("!=") {
        return None;
    }
    let value = |key: &str| labels.and_then(|labels| labels.text_at(&[key.trim()]));
    let met = |part: &str| match part.split_once("!=") {
        Some((key, unwanted)) => value(key) != Some(unwanted.trim()),
        None => match part.split_once('=') {
            Some((key, wanted)) => value(key) == Some(wanted.trim_start_matches('=').trim()),
            None => value(part).is_some(),
        },
    };
    Some(selector.split(',').all(met))
}

/// Whether a regular expression matches all of a text; `None` of one that is none.
pub(super) fn pattern_matches(pattern: &str, text: &str) -> Option<bool> {
    let pattern = Regex::new(&format!("^(?:{pattern})$")).ok()?;
    Some(pattern.is_match(text))
}
