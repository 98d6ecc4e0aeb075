//! One kustomization after another, from the inside out.
//!
//! Source: kustomize `api/internal/target/kusttarget.go`, `accumulateTarget` and the order of its transformers.

use std::sync::Arc;

use keyguard_core::document::{Content, Node, Position};
use keyguard_core::runtime::chart::auth::is_true;

use super::apply::unknown_secret;
use super::builder::{Builder, Part};
use super::edit::{get_mut, put};
use super::generate::{Behavior, Generated, generate};
use super::merge::merge;
use super::patch::Patch;
use super::resource::{GENERATOR, Resource, kind, mentions, objects};
use super::{names, replace};
use crate::check::files::File;
use crate::report::Unseen;
use crate::sources::values::{embedded_documents, folder, resolve};

/// The most kustomizations of one build: bases may name bases, each several times.
const MOST_KUSTOMIZATIONS: usize = 1_000;

impl<'a> Builder<'a> {
    /// Adds what a kustomization makes to `outer`. A component changes what is there.
    pub(super) fn kustomization(&mut self, file: &'a File, outer: &mut Part) {
        let Some(document) = file.documents.first() else {
            return;
        };
        // Kustomize ends with an error when one names itself.
        if self.count == MOST_KUSTOMIZATIONS || self.open.contains(&&*file.path) {
            return;
        }
        self.count += 1;
        self.open.push(&file.path);
        match kind(document) {
            "Component" => self.add(file, document, outer),
            _ => {
                let mut own = Part::default();
                self.add(file, document, &mut own);
                outer.resources.append(&mut own.resources);
                outer.charts.append(&mut own.charts);
                match (&mut outer.loose, own.loose) {
                    (Some(loose), Some(own)) => loose.patches.extend(own.patches),
                    (None, own) => outer.loose = own,
                    _ => {}
                }
            }
        }
        self.open.pop();
    }

    fn add(&mut self, file: &'a File, document: &'a Node, part: &mut Part) {
        let of = folder(&file.path);
        let items = |key: &str| document.get(key).map_or(&[][..], Node::items);
        for entry in items("resources").iter().chain(items("bases")) {
            self.enter(entry);
            self.resource(of, entry, part);
        }
        let general = document.get("generatorOptions");
        for (key, kind) in [
            ("configMapGenerator", "ConfigMap"),
            ("secretGenerator", "Secret"),
        ] {
            for generator in items(key) {
                self.enter(generator);
                self.generated(generate(kind, generator, general, &self.via), part);
            }
        }
        for entry in items("generators") {
            self.enter(entry);
            for generator in self.load(of, entry) {
                match kind(&generator) {
                    kind @ ("SecretGenerator" | "ConfigMapGenerator") => {
                        let kind = kind.trim_end_matches("Generator");
                        self.generated(generate(kind, &generator, None, &self.via), part);
                    }
                    // As KSOPS: it makes objects of files.
                    _ => {
                        for file in generator.get("files").map_or(&[][..], Node::items) {
                            self.resource(of, file, part);
                        }
                    }
                }
            }
        }
        if document.get("helmCharts").is_some() {
            part.charts.push((Arc::clone(&file.path), document.clone()));
        }
        for entry in items("components") {
            self.enter(entry);
            self.resource(of, entry, part);
        }
        self.transform(of, document, part);
    }

    fn transform(&mut self, of: &str, document: &'a Node, part: &mut Part) {
        let items = |key: &str| document.get(key).map_or(&[][..], Node::items);
        for entry in items("patchesStrategicMerge") {
            self.enter(entry);
            for body in self.load(of, entry) {
                self.patch(Patch { body }, None, part);
            }
        }
        for entry in items("patches") {
            self.enter(entry);
            self.patch_entry(of, entry, part);
        }
        if let Some(namespace) = document.get("namespace").filter(|it| it.text().is_some()) {
            move_all(namespace, false, part);
        }
        let affix = |key: &str| document.text_at(&[key]).unwrap_or_default();
        let (prefix, suffix) = (affix("namePrefix"), affix("nameSuffix"));
        if !(prefix.is_empty() && suffix.is_empty()) {
            let places = ["namePrefix", "nameSuffix"].map(|key| document.get(key));
            let at = places
                .into_iter()
                .flatten()
                .next()
                .map_or(&document.at, |it| &it.at);
            names::affix(&mut part.resources, prefix, suffix, at);
        }
        let labels = items("labels").iter().filter_map(|it| it.get("pairs"));
        let labels = labels
            .chain(document.get("commonLabels"))
            .map(|it| ("labels", it));
        let annotations = document
            .get("commonAnnotations")
            .map(|it| ("annotations", it));
        for (place, pairs) in labels.chain(annotations) {
            for resource in &mut part.resources {
                for pair in pairs.entries() {
                    put(
                        &mut resource.node,
                        &["metadata", place, &pair.key],
                        pair.value.clone(),
                    );
                }
            }
        }
        for entry in items("patchesJson6902") {
            self.enter(entry);
            self.patch_entry(of, entry, part);
        }
        for entry in items("replacements") {
            self.enter(entry);
            let loaded = match entry.get("path") {
                Some(path) => self.load(of, path),
                None => vec![entry.clone()],
            };
            for replacement in &loaded {
                // A file has one or a list.
                match &replacement.content {
                    Content::List(all) => all
                        .iter()
                        .for_each(|it| replace::replace(&mut part.resources, it)),
                    _ => replace::replace(&mut part.resources, replacement),
                }
            }
        }
        for entry in items("transformers") {
            self.enter(entry);
            for transformer in self.load(of, entry) {
                self.transformer(of, &transformer, part);
            }
        }
    }

    fn transformer(&mut self, of: &str, transformer: &Node, part: &mut Part) {
        match kind(transformer) {
            "LabelTransformer"
            | "AnnotationsTransformer"
            | "ImageTagTransformer"
            | "ReplicaCountTransformer" => {}
            "PatchTransformer" | "PatchJson6902Transformer" => {
                self.patch_entry(of, transformer, part)
            }
            "NamespaceTransformer" => {
                let unset_only = transformer.get("unsetOnly").is_some_and(is_true);
                if let Some(namespace) = transformer.path(&["metadata", "namespace"]) {
                    move_all(namespace, unset_only, part);
                }
            }
            kind if part.resources.iter().any(|it| mentions(&it.node)) => {
                self.note(
                    &transformer.at,
                    format!("what the transformer {kind} changes"),
                    "it is no part of Kustomize that keyguard knows",
                );
            }
            _ => {}
        }
    }

    /// Remembers where the outermost kustomization names what comes now.
    fn enter(&mut self, entry: &Node) {
        if self.open.len() == 1 {
            self.via = entry.at.clone();
        }
    }

    pub(super) fn note(&mut self, at: &Position, what: String, why: &str) {
        // A component alone is no build.
        let alone = self
            .outermost
            .documents
            .first()
            .is_some_and(|it| kind(it) == "Component");
        let at = match self.outermost.selected && !self.tree.is_told(at) {
            true => &self.via,
            false => at,
        };
        if !alone {
            self.unseen.push(Unseen::at(at, what, why));
        }
    }

    /// Adds a file or folder that is named; what is in another repository is not known.
    fn resource(&mut self, of: &str, entry: &Node, part: &mut Part) {
        let Some(path) = entry.text().and_then(|text| resolve(of, text)) else {
            return;
        };
        if let Some(file) = self.tree.folders.get(&path) {
            self.kustomization(file, part);
        } else if let Some(file) = self.tree.files.get(path.as_str()) {
            self.taken.insert(Arc::clone(&file.path));
            let all = file.documents.iter().flat_map(objects);
            part.resources
                .extend(all.map(|it| Resource::new(it.clone(), self.via.clone())));
        }
    }

    /// The documents of a file that is named, or of a text.
    pub(super) fn load(&mut self, of: &str, entry: &Node) -> Vec<Node> {
        let Some(named) = entry.text() else {
            return Vec::new();
        };
        let file = resolve(of, named).and_then(|path| self.tree.files.get(path.as_str()));
        match file {
            Some(file) => {
                self.taken.insert(Arc::clone(&file.path));
                file.documents.clone()
            }
            None => self.inline(entry, &entry.at),
        }
    }

    /// The documents of a text; `key` is where its key stands.
    pub(super) fn inline(&self, entry: &Node, key: &Position) -> Vec<Node> {
        let block =
            entry.text().is_some_and(|text| text.contains('\n')) && key.line == entry.at.line;
        // A block in a list has no key: it begins in the line below its dash.
        let key = match block && entry.at.line > 1 {
            true => Position {
                line: key.line - 1,
                column: key.column.saturating_sub(2),
                ..key.clone()
            },
            false => key.clone(),
        };
        embedded_documents(entry, &key).unwrap_or_default()
    }

    fn generated(&mut self, generated: Option<Generated>, part: &mut Part) {
        let Some(Generated {
            resource,
            behavior,
            open,
        }) = generated
        else {
            return;
        };
        if open && resource.is_argocd_cm() {
            self.note(
                &resource.node.at,
                "the keys of ConfigMap \"argocd-cm\"".to_owned(),
                "a file has them",
            );
        }
        if behavior == Behavior::Create {
            part.resources.push(resource);
            return;
        }
        let is_meant = |known: &Resource| {
            let mut names = known.names();
            known.kind() == resource.kind()
                && names.any(|(name, of)| {
                    let wanted = resource.namespace();
                    name == resource.name() && (of == wanted || of.is_none() || wanted.is_none())
                })
        };
        let known = part.resources.iter_mut().find(|known| is_meant(known));
        match (known, behavior) {
            (Some(known), behavior) => {
                known.keep_unpatched();
                known.hash &= resource.hash;
                if kind(&resource.node) == GENERATOR {
                    known.node = unknown_secret(&known.node, &known.via).node;
                } else if behavior == Behavior::Merge {
                    let merged = merge(known.node.clone(), &resource.node, false);
                    known.node = merged.unwrap_or(resource.node);
                } else if let Some(data) = resource.node.get("data") {
                    put(&mut known.node, &["data"], data.clone());
                }
            }
            (None, Behavior::Merge) if resource.is_argocd_cm() => {
                let namespace = resource.namespace().map(str::to_owned);
                self.loose_argocd_cm(
                    Patch {
                        body: resource.node,
                    },
                    namespace,
                    part,
                );
            }
            (None, Behavior::Merge) if resource.kind() == "Secret" => {
                part.resources
                    .push(unknown_secret(&resource.node, &self.via));
            }
            (None, _) => part.resources.push(resource),
        }
    }
}

fn move_all(namespace: &Node, unset_only: bool, part: &mut Part) {
    let meant = part.resources.iter_mut();
    for resource in meant.filter(|it| !unset_only || it.namespace().is_none()) {
        resource.move_to(namespace);
    }
    if let Some(loose) = part
        .loose
        .as_mut()
        .filter(|it| !unset_only || it.namespace.is_none())
    {
        loose.namespace = namespace.text().map(str::to_owned);
    }
    for (_, document) in &mut part.charts {
        put(document, &["namespace"], namespace.clone());
        if let Some(charts) = get_mut(document, "helmCharts")
            && let Content::List(charts) = &mut charts.content
        {
            for chart in charts {
                put(chart, &["namespace"], namespace.clone());
            }
        }
    }
}
