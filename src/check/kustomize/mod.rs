//! The objects that `kustomize build` makes of the files of a tree, each part with the place where a person edits it.
//! Nothing here opens a file.
//!
//! ```text
//! resources → generators → components → patches → namespace → names → labels → replacements → hashes
//! ```
//!
//! What Kustomize refuses is built as far as it can be: a person sees it there.

mod apply;
mod build;
mod builder;
mod edit;
mod generate;
mod json;
mod merge;
mod names;
mod patch;
mod replace;
mod resource;
mod select;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub(crate) use names::Renamed;

use crate::check::files::File;
use crate::report::Unseen;
use crate::sources::values::{folder, resolve};
use builder::{Builder, Part};
use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::document::{Node, Position};
use keyguard_core::runtime::mode;
use patch::Patch;
use resource::Resource;

/// What comes of all kustomizations that no other one in the tree names.
#[derive(Default)]
pub(crate) struct Built {
    /// The objects, by the file of the kustomization.
    pub(crate) documents: HashMap<Arc<str>, Vec<Document>>,
    /// The files whose documents are no objects of their own.
    pub(crate) taken: HashSet<Arc<str>>,
    /// Kustomizations with `helmCharts`, by their file, with the namespace that an outer one gives them.
    pub(crate) charts: HashMap<Arc<str>, Vec<Node>>,
    /// Changes of an argocd-cm that is not in the tree.
    pub(crate) changes: Vec<Change>,
    /// Secrets with another name than the one that is written.
    pub(crate) renamed: Renamed,
    /// What would have been needed.
    pub(crate) unseen: Vec<Unseen>,
}

/// An object.
pub(crate) struct Document {
    /// What it is.
    pub(crate) node: Node,
    /// What it is without patches, of an argocd-cm that has some.
    pub(crate) unpatched: Option<Node>,
    /// Whether findings in it are to be told.
    pub(crate) selected: bool,
}

/// What a build does to an argocd-cm that is not in the tree.
pub(crate) struct Change {
    /// The namespace, if one is named.
    pub(crate) namespace: Option<String>,
    /// Where the first patch stands.
    pub(crate) at: Position,
    /// Whether findings in it are to be told.
    pub(crate) selected: bool,
    patches: Vec<Patch>,
}

impl Change {
    /// What becomes of `before`; `None` when it is deleted.
    pub(crate) fn over(&self, before: &Node) -> Option<Node> {
        let mut patches = self.patches.iter();
        patches.try_fold(before.clone(), |node, patch| patch.apply(node))
    }
}

/// Builds every kustomization among `files` that no other one names.
pub(crate) fn build(files: &[File]) -> Built {
    let tree = Tree::of(files);
    let kustomizations = files.iter().filter(|file| tree.is_kustomization(file));
    let mut inner: HashSet<&str> = HashSet::new();
    for (file, document) in kustomizations
        .clone()
        .filter_map(|it| Some((it, it.documents.first()?)))
    {
        for key in ["resources", "bases", "components"] {
            let named = document.get(key).map_or(&[][..], Node::items).iter();
            let paths = named.filter_map(|it| resolve(folder(&file.path), it.text()?));
            inner.extend(
                paths
                    .filter_map(|path| tree.folders.get(&path))
                    .map(|it| &*it.path),
            );
        }
    }
    let mut built = Built::default();
    for file in kustomizations.filter(|file| !inner.contains(&*file.path)) {
        let mut builder = Builder::new(&tree, file);
        let mut part = Part::default();
        builder.kustomization(file, &mut part);
        names::add_hashes(&mut part.resources);
        let place = |via: &Position| {
            let via = via.clone();
            let tree = &tree;
            // A finding is told for files that are checked: it is in the one that asks for what is in another.
            move |at: &Position| match file.selected && !tree.is_told(at) {
                true => via.clone(),
                false => at.clone(),
            }
        };
        let selected = |at: &Position| file.selected || tree.is_told(at);
        for resource in &part.resources {
            built.renamed.add(resource, &file.path);
        }
        let kept = part.resources.into_iter().filter(is_kept);
        let documents = kept.map(|resource| {
            let Resource {
                mut node,
                mut unpatched,
                via,
                ..
            } = resource;
            let selected = selected(&node.at);
            edit::moved(&mut node, &place(&via));
            unpatched
                .iter_mut()
                .for_each(|it| edit::moved(it, &place(&via)));
            Document {
                node,
                unpatched,
                selected,
            }
        });
        built
            .documents
            .insert(Arc::clone(&file.path), documents.collect());
        if let Some(change) = part.loose {
            let at = place(&change.via)(&change.at);
            let patches = change
                .patches
                .into_iter()
                .map(|patch| patch.moved(&place(&change.via)));
            built.changes.push(Change {
                namespace: change.namespace,
                selected: selected(&change.at),
                patches: patches.collect(),
                at,
            });
        }
        for (path, document) in part.charts {
            built.charts.entry(path).or_default().push(document);
        }
        built.taken.extend(builder.taken);
        built.unseen.extend(builder.unseen);
    }
    built
}

/// Other generated ConfigMaps stand for files, which are looked for under the generator.
fn is_kept(resource: &Resource) -> bool {
    let names = [CONFIG_MAP_NAME, mode::CONFIG_MAP_NAME];
    !resource.generated || resource.kind() != "ConfigMap" || names.contains(&resource.name())
}

/// The files, and which of them Kustomize finds in a folder.
struct Tree<'a> {
    files: HashMap<&'a str, &'a File>,
    folders: HashMap<String, &'a File>,
}

impl<'a> Tree<'a> {
    fn of(files: &'a [File]) -> Tree<'a> {
        let mut folders: HashMap<String, &File> = HashMap::new();
        for name in KUSTOMIZATIONS {
            for file in files
                .iter()
                .filter(|file| file.path.rsplit('/').next() == Some(name))
            {
                let kustomization = file.documents.first().filter(|it| is_of_kustomize(it));
                if kustomization.is_some() {
                    folders.entry(folder(&file.path).to_owned()).or_insert(file);
                }
            }
        }
        Tree {
            files: files.iter().map(|file| (&*file.path, file)).collect(),
            folders,
        }
    }

    fn is_kustomization(&self, file: &File) -> bool {
        let found = self.folders.get(folder(&file.path));
        found.is_some_and(|found| found.path == file.path)
    }

    fn is_told(&self, at: &Position) -> bool {
        self.files.get(&*at.file).is_some_and(|file| file.selected)
    }
}

/// The names that Kustomize looks for, in its order.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Flux has objects of the same kind.
fn is_of_kustomize(document: &Node) -> bool {
    match document.text_at(&["apiVersion"]) {
        None => document.get("kind").is_none() || resource::kind(document) == "Kustomization",
        Some(version) => version.starts_with("kustomize.config.k8s.io/"),
    }
}
