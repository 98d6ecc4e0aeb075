//! The sources of an Application, and which of them are this checkout.

use std::collections::BTreeSet;

use globset::GlobBuilder;

use keyguard_core::document::Node;
use keyguard_core::runtime::chart::auth::{is_filled_in, is_template, is_true};

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

    /// The folder of a source in this checkout, if there is a chart in it. When no address of the checkout is known, a
    /// folder of the same path is taken for it.
    pub(super) fn folder_here(&self, source: &Node) -> Option<String> {
        if !self.context.repositories.is_empty() && !self.is_known(source) {
            return None;
        }
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

    /// Lays the files of `helm.valueFiles` over the rest. `folder` is that of the chart, if it is in this checkout.
    ///
    /// Source: Argo CD `reposerver/repository/repository.go`, `getResolvedValueFiles`: a file that a pattern finds and
    /// another entry names has the place of that entry, and each file counts once, where it comes first.
    pub(super) fn add_value_files(&self, helm: &Node, folder: Option<&str>, layers: &mut Layers) {
        let may_be_absent = helm.get("ignoreMissingValueFiles").is_some_and(is_true);
        let entries = helm.get("valueFiles").map_or(&[][..], Node::items).iter();
        let resolved: Vec<(&Node, Result<Option<String>, Elsewhere>)> = entries
            .filter_map(|file| Some((file, self.resolved(file.text()?, folder))))
            .collect();
        let plain = |path: &String| !is_pattern(path);
        let named: BTreeSet<String> = resolved
            .iter()
            .filter_map(|(_, path)| path.as_ref().ok()?.clone().filter(plain))
            .collect();
        let mut seen = BTreeSet::new();
        for (file, path) in resolved {
            let path = match path {
                Ok(path) => path,
                Err(Elsewhere(what, why)) => {
                    layers.miss(&file.at, what, why);
                    continue;
                }
            };
            let pattern = path.as_deref().filter(|path| is_pattern(path));
            let Some(pattern) = pattern else {
                match path {
                    Some(path) if !seen.insert(path.clone()) => {}
                    Some(path) if may_be_absent => drop(layers.add_file(self.files, &path)),
                    path => layers.add_named_file(self.files, path, &file.at),
                }
                continue;
            };
            let matching = matching(self.files, pattern);
            if matching.is_empty() && !may_be_absent {
                let what = format!("the values files {pattern}");
                layers.miss(&file.at, what, "none is among the files that were read");
            }
            for path in matching {
                if !named.contains(path) && seen.insert(path.clone()) {
                    layers.add_file(self.files, path);
                }
            }
        }
    }

    /// The path of a values file or a pattern in this checkout; `None` when it leads out of it.
    fn resolved(&self, path: &str, folder: Option<&str>) -> Result<Option<String>, Elsewhere> {
        let elsewhere = |what: &str, why: &str| Err(Elsewhere(what.to_owned(), why.to_owned()));
        // Here $NAME is a source of the application.
        let inside = path.strip_prefix('$').unwrap_or(path);
        if is_filled_in(inside) || inside.starts_with(['{', '(']) {
            return elsewhere("a values file", "its path is filled in by a template");
        }
        let what = format!("the values file {path}");
        match (path.strip_prefix('$'), folder) {
            (Some(reference), _) => {
                let (name, inside) = reference.split_once('/').unwrap_or((reference, ""));
                match self.named(name) {
                    Some(source) if self.is_here(source) => Ok(resolve("", inside)),
                    Some(_) => elsewhere(
                        &what,
                        "it is in another repository, or that this is its checkout is not known",
                    ),
                    None => elsewhere(&what, &format!("no source has ref: {name}")),
                }
            }
            (None, _) if path.contains("://") => elsewhere("a values file", "it is at an address"),
            (None, Some(folder)) => Ok(resolve(folder, path)),
            (None, None) => elsewhere(&what, "it is inside the chart, which is not downloaded"),
        }
    }

    fn named(&self, name: &str) -> Option<&'a Node> {
        let mut sources = self.sources.iter();
        sources
            .find(|source| source.text_at(&["ref"]) == Some(name))
            .copied()
    }
}

/// What could not be seen, and why.
struct Elsewhere(String, String);

fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The files that a pattern finds, in their order. A pattern that is none finds nothing.
fn matching<'a>(files: &'a Files, pattern: &str) -> Vec<&'a String> {
    let pattern = GlobBuilder::new(pattern).literal_separator(true).build();
    let Ok(pattern) = pattern.map(|pattern| pattern.compile_matcher()) else {
        return Vec::new();
    };
    files.keys().filter(|path| pattern.is_match(path)).collect()
}
