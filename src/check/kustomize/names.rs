//! Names that change, and the references that follow them.
//!
//! Source: kustomize `api/internal/accumulator/namereferencetransformer.go`.

use std::collections::{HashMap, HashSet};

use keyguard_core::document::{Node, Position};

use super::edit::{each, get_mut};
use super::resource::{Resource, is_of_kubernetes};

/// What stands for the hash that Kustomize adds to a name.
const HASH: &str = "-hash";

/// Secrets whose names Kustomize changes, and that a plain text with the name that is written does not find.
#[derive(Clone, Debug, Default)]
pub(crate) struct Renamed(Vec<Rename>);

#[derive(Clone, Debug)]
struct Rename {
    namespace: Option<String>,
    written: String,
    made: Option<String>,
    file: String,
}

impl Renamed {
    /// Why nothing makes a Secret of this name, when Kustomize changes the name of one.
    pub(crate) fn hint(&self, namespace: &str, name: &str) -> Option<String> {
        let is_meant = |it: &&Rename| {
            it.written == name && it.namespace.as_deref().is_none_or(|of| of == namespace)
        };
        let rename = self.0.iter().find(is_meant)?;
        let file = &rename.file;
        Some(match &rename.made {
            None => format!(
                "Kustomize adds a hash to the name of the Secret {name:?} that {file} generates, and this reference does \
                 not follow it: set generatorOptions: {{disableNameSuffixHash: true}} there."
            ),
            Some(made) => format!(
                "Kustomize names the Secret {name:?} {made:?} ({file}), and this reference does not follow it: write \
                 the name {made:?} here."
            ),
        })
    }

    pub(super) fn add(&mut self, resource: &Resource, file: &str) {
        let changed = resource.kind() == "Secret" && !resource.before.is_empty();
        for (name, _) in resource
            .before
            .iter()
            .filter(|(name, _)| changed && name != resource.name())
        {
            self.0.push(Rename {
                namespace: resource.namespace().map(str::to_owned),
                written: name.clone(),
                made: (!resource.hash).then(|| resource.name().to_owned()),
                file: file.to_owned(),
            });
        }
    }
}

/// Adds `prefix` and `suffix` to all names, and to what refers to them.
pub(super) fn affix(resources: &mut [Resource], prefix: &str, suffix: &str, at: &Position) {
    rename(resources, |resource| match resource.kind() {
        "Namespace" | "CustomResourceDefinition" | "APIService" => None,
        _ => Some((format!("{prefix}{}{suffix}", resource.name()), at.clone())),
    });
}

/// Adds the hash where it is due.
pub(super) fn add_hashes(resources: &mut [Resource]) {
    rename(resources, |resource| {
        let name = format!("{}{HASH}", resource.name());
        resource.hash.then(|| (name, resource.node.at.clone()))
    });
    // What an outer kustomization refers to by the name that it has in an inner one.
    let current = resources.iter().filter_map(|it| key(it, it.name()));
    let current: HashSet<Key> = current.collect();
    let mut former: HashMap<Key, Option<String>> = HashMap::new();
    for resource in resources.iter() {
        for (name, _) in &resource.before {
            if let Some(key) = key(resource, name) {
                let name = resource.name();
                let known = former.entry(key).or_insert_with(|| Some(name.to_owned()));
                // Of two it cannot be told which is meant.
                *known = known.take().filter(|known| known == name);
            }
        }
    }
    former.retain(|key, _| !current.contains(key));
    let former = former
        .into_iter()
        .filter_map(|(key, name)| Some((key, name?)));
    follow(resources, &former.collect());
}

/// Kind, namespace and name of a Secret or ConfigMap.
type Key = (String, Option<String>, String);

fn key(resource: &Resource, name: &str) -> Option<Key> {
    let kind = resource.kind();
    let namespace = resource.namespace().map(str::to_owned);
    matches!(kind, "Secret" | "ConfigMap").then(|| (kind.to_owned(), namespace, name.to_owned()))
}

fn rename(resources: &mut [Resource], new: impl Fn(&Resource) -> Option<(String, Position)>) {
    let mut names = HashMap::new();
    for resource in resources.iter_mut() {
        if let Some((name, at)) = new(resource) {
            names.extend(key(resource, resource.name()).map(|key| (key, name.clone())));
            resource.rename(&name, &at);
        }
    }
    follow(resources, &names);
}

fn follow(resources: &mut [Resource], names: &HashMap<Key, String>) {
    if names.is_empty() {
        return;
    }
    // Kustomize knows the references in objects of Kubernetes only.
    for resource in resources.iter_mut().filter(|it| is_of_kubernetes(&it.node)) {
        let namespace = resource.namespace().map(str::to_owned);
        let one = |part: &mut Node, key: &str, kind: &str, name: &str| {
            let Some(reference) = get_mut(part, key).and_then(|it| get_mut(it, name)) else {
                return;
            };
            let Some(old) = reference.text() else { return };
            let wanted = (kind.to_owned(), namespace.clone(), old.to_owned());
            if let Some(new) = names.get(&wanted) {
                *reference = Node::of_text(new, &reference.at.clone());
            }
        };
        each(&mut resource.node, &mut |part| {
            one(part, "secretKeyRef", "Secret", "name");
            one(part, "secretRef", "Secret", "name");
            one(part, "configMapKeyRef", "ConfigMap", "name");
            one(part, "configMapRef", "ConfigMap", "name");
            one(part, "configMap", "ConfigMap", "name");
            one(part, "secret", "Secret", "secretName");
            one(part, "secret", "Secret", "name");
        });
    }
}
