//! Patches applied to what is there, and what becomes of those whose object is not.

use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::document::{Node, Position};

use super::builder::{Builder, Loose, Part};
use super::generate::with_unknown_keys;
use super::patch::Patch;
use super::resource::{Resource, kind, mentions, namespace};
use super::select::{is_for_argocd_cm, named, selects};

impl Builder<'_> {
    /// Applies an entry of `patches` or `patchesJson6902`, or a transformer of the same shape.
    pub(super) fn patch_entry(&mut self, of: &str, entry: &Node, part: &mut Part) {
        let target = entry.get("target");
        let bodies = match (
            entry.get("path"),
            ["patch", "jsonOp"].iter().find_map(|key| entry.entry(key)),
        ) {
            (Some(path), _) => {
                let bodies = self.load(of, path);
                if bodies.is_empty() {
                    self.patch_is_missing(path, target, part);
                }
                bodies
            }
            (None, Some(inline)) => self.inline(&inline.value, &inline.at),
            (None, None) => Vec::new(),
        };
        for body in bodies {
            self.patch(Patch { body }, target, part);
        }
    }

    /// Says so when it may change something that decides.
    fn patch_is_missing(&mut self, path: &Node, target: Option<&Node>, part: &Part) {
        let may_be_for =
            |it: &&Resource| target.is_none_or(|target| selects(target, it) != Some(false));
        if part
            .resources
            .iter()
            .filter(may_be_for)
            .any(|it| mentions(&it.node))
        {
            let what = format!("the patch {}", path.text().unwrap_or_default());
            self.note(&path.at, what, "it is not among the files that were read");
        }
    }

    pub(super) fn patch(&mut self, patch: Patch, target: Option<&Node>, part: &mut Part) {
        let mut found = Vec::new();
        match target {
            None => found = named(&patch.body, &part.resources),
            Some(target) => {
                for (index, resource) in part.resources.iter().enumerate() {
                    match selects(target, resource) {
                        Some(true) => found.push(index),
                        Some(false) => {}
                        None if patch.matters() => {
                            let what = format!(
                                "whether a patch is for {} {:?}",
                                resource.kind(),
                                resource.name()
                            );
                            self.note(
                                &target.at,
                                what,
                                "its target has a pattern or selector that keyguard does not read",
                            );
                        }
                        None => {}
                    }
                }
            }
        }
        if found.is_empty() {
            self.loose(patch, target, part);
            return;
        }
        for index in found.into_iter().rev() {
            let Some(resource) = part.resources.get_mut(index) else {
                continue;
            };
            resource.keep_unpatched();
            match patch.apply(resource.node.clone()) {
                Some(node) => resource.node = node,
                None => drop(part.resources.remove(index)),
            }
        }
    }

    /// A patch of what is not in the tree.
    fn loose(&mut self, patch: Patch, target: Option<&Node>, part: &mut Part) {
        let body = &patch.body;
        let name = body.text_at(&["metadata", "name"]).unwrap_or_default();
        if target.map_or(
            (kind(body), name) == ("ConfigMap", CONFIG_MAP_NAME),
            is_for_argocd_cm,
        ) {
            let namespace = namespace(body).or_else(|| target?.text_at(&["namespace"]));
            let namespace = namespace.map(str::to_owned);
            self.loose_argocd_cm(patch, namespace, part);
        } else if kind(body) == "Secret" && target.is_none() {
            let changes_keys = ["data", "stringData"]
                .iter()
                .any(|key| body.get(key).is_some());
            if changes_keys && !patch.deletes() {
                let secret = unknown_secret(body, &self.via);
                part.resources.push(secret);
            }
        } else if patch.matters() {
            let kind = target
                .and_then(|it| it.text_at(&["kind"]))
                .unwrap_or(kind(body));
            let name = target.and_then(|it| it.text_at(&["name"])).unwrap_or(name);
            self.note(
                &body.at,
                format!("what a patch changes in {kind} {name:?}"),
                "the object is not in the tree",
            );
        }
    }

    pub(super) fn loose_argocd_cm(
        &mut self,
        patch: Patch,
        namespace: Option<String>,
        part: &mut Part,
    ) {
        if patch.deletes() {
            return;
        }
        let loose = part.loose.get_or_insert_with(|| Loose {
            namespace: None,
            at: patch.body.at.clone(),
            via: self.via.clone(),
            patches: Vec::new(),
        });
        loose.namespace = namespace.or(loose.namespace.take());
        loose.patches.push(patch);
    }
}

/// A Secret that is not in the tree: it will be there, with the keys of the patch and others.
pub(super) fn unknown_secret(patch: &Node, via: &Position) -> Resource {
    let metadata = patch.get("metadata").cloned();
    let metadata = metadata.unwrap_or_else(|| Node::empty_map(patch.at.clone()));
    Resource::new(with_unknown_keys(metadata, &patch.at), via.clone())
}
