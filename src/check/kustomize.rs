//! What a `kustomization.yaml` says of the files beside it: their namespace, and which are patches.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::check::files::File;
use crate::sources::values::resolve;
use keyguard_core::document::Node;

/// What is known of files by their path.
#[derive(Debug, Default)]
pub(crate) struct Kustomizations {
    namespaces: HashMap<String, String>,
    patches: HashSet<String>,
}

impl Kustomizations {
    /// Reads every `kustomization.yaml` among `files`.
    pub(crate) fn of(files: &[File]) -> Kustomizations {
        let paths: HashSet<&str> = files.iter().map(|file| &*file.path).collect();
        let mut all = Kustomizations::default();
        for file in files {
            if let Some(folder) = folder_of_kustomization(&file.path) {
                for document in &file.documents {
                    all.add(document, folder, &file.path, &paths);
                }
            }
        }
        all
    }

    fn add(&mut self, kustomization: &Node, folder: &str, own: &Arc<str>, paths: &HashSet<&str>) {
        let items = |key| kustomization.get(key).map_or(&[][..], Node::items).iter();
        let in_folder = |path: &str| resolve(folder, path);
        if let Some(namespace) = kustomization.text_at(&["namespace"]) {
            let resources = items("resources")
                .filter_map(Node::text)
                .filter_map(in_folder);
            let resources = resources.filter(|path| paths.contains(path.as_str()));
            for path in resources.chain([own.to_string()]) {
                self.namespaces.insert(path, namespace.to_owned());
            }
        }
        let strategic = items("patchesStrategicMerge").filter_map(Node::text);
        let patches = items("patches").filter_map(|patch| patch.text_at(&["path"]));
        self.patches
            .extend(strategic.chain(patches).filter_map(in_folder));
    }

    /// The namespace that Kustomize gives to what is in a file.
    pub(crate) fn namespace(&self, path: &str) -> Option<&str> {
        self.namespaces.get(path).map(String::as_str)
    }

    /// Whether a file is a patch of something, and no object of its own.
    pub(crate) fn is_patch(&self, path: &str) -> bool {
        self.patches.contains(path)
    }
}

/// The folder of a file that Kustomize reads.
fn folder_of_kustomization(path: &str) -> Option<&str> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    matches!(
        name,
        "kustomization.yaml" | "kustomization.yml" | "Kustomization"
    )
    .then_some(folder)
}
