//! The sources of an Application, and which of them are this checkout.

use keyguard_core::document::Node;
use keyguard_core::runtime::chart::auth::{is_template, is_true};

use super::layers::Layers;
use super::release::Context;
use super::tree::{Files, is_same_repository, resolve};

/// The sources of one Application.
pub(super) struct Sources<'a> {
    pub(super) files: &'a Files,
    context: &'a Context,
    sources: Vec<&'a Node>,
}

impl<'a> Sources<'a> {
    /// `spec.sources`, or else `spec.source`.
    pub(super) fn of(spec: &'a Node, files: &'a Files, context: &'a Context) -> Sources<'a> {
        let several = spec.get("sources").map_or(&[][..], Node::items);
        let sources = match several {
            [] => spec.get("source").into_iter().collect(),
            several => several.iter().collect(),
        };
        Sources {
            files,
            context,
            sources,
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &'a Node> + '_ {
        self.sources.iter().copied()
    }

    /// The folder of a source in this checkout, if there is a chart in it.
    pub(super) fn folder_here(&self, source: &Node) -> Option<String> {
        let folder = self.folder(source)?;
        let chart = resolve(&folder, "Chart.yaml")?;
        self.files.contains_key(&chart).then_some(folder)
    }

    fn folder(&self, source: &Node) -> Option<String> {
        let path = source.get("path").filter(|path| !is_template(path))?;
        resolve("", path.text()?)
    }

    fn is_known(&self, source: &Node) -> bool {
        let address = source.text_at(&["repoURL"]).unwrap_or_default();
        let mut known = self.context.repositories.iter();
        known.any(|known| is_same_repository(known, address))
    }

    /// Whether a source is this checkout: by its address, or by that of another whose folder is in the tree.
    fn is_here(&self, source: &Node) -> bool {
        let address = source.text_at(&["repoURL"]).unwrap_or_default();
        let mut others = self.sources.iter().filter(|other| {
            let same = other.text_at(&["repoURL"]).unwrap_or_default();
            is_same_repository(same, address)
        });
        self.is_known(source) || others.any(|other| self.has_folder(other))
    }

    fn has_folder(&self, source: &Node) -> bool {
        let Some(folder) = self.folder(source) else {
            return false;
        };
        let below = format!("{folder}/");
        let first = self.files.range(below.clone()..).next();
        !folder.is_empty() && first.is_some_and(|(path, _)| path.starts_with(&below))
    }

    /// Lays a file of `helm.valueFiles` over the rest. `folder` is that of the chart, if the chart is in this checkout.
    pub(super) fn add_value_file(
        &self,
        helm: &Node,
        file: &Node,
        folder: Option<&str>,
        layers: &mut Layers,
    ) {
        let Some(path) = file.text() else {
            return;
        };
        let may_be_absent = helm.get("ignoreMissingValueFiles").is_some_and(is_true);
        if is_template(file) {
            layers.miss(
                &file.at,
                "a values file",
                "its path is filled in by a template",
            );
            return;
        }
        let resolved = match (path.strip_prefix('$'), folder) {
            (Some(reference), _) => {
                let (name, inside) = reference.split_once('/').unwrap_or((reference, ""));
                let source = self.named(name);
                match source {
                    Some(source) if self.is_here(source) => resolve("", inside),
                    Some(_) => {
                        layers.miss(&file.at, format!("the values file {path}"), "it is in another repository, or that this is its checkout is not known");
                        return;
                    }
                    None => {
                        layers.miss(
                            &file.at,
                            format!("the values file {path}"),
                            format!("no source has ref: {name}"),
                        );
                        return;
                    }
                }
            }
            (None, _) if path.contains("://") => {
                layers.miss(&file.at, "a values file", "it is at an address");
                return;
            }
            (None, Some(folder)) => resolve(folder, path),
            (None, None) => {
                layers.miss(
                    &file.at,
                    format!("the values file {path}"),
                    "it is inside the chart, which is not downloaded",
                );
                return;
            }
        };
        match resolved {
            Some(path) if may_be_absent => {
                layers.add_file(self.files, &path);
            }
            resolved => layers.add_named_file(self.files, resolved, &file.at),
        }
    }

    fn named(&self, name: &str) -> Option<&'a Node> {
        let mut sources = self.sources.iter();
        sources
            .find(|source| source.text_at(&["ref"]) == Some(name))
            .copied()
    }
}
