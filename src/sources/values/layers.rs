//! Layers of values, laid over one another in order.

use keyguard_core::document::layers::merge;
use keyguard_core::document::{Node, Position};

use super::tree::{Files, first};
use crate::report::Unseen;

/// Values that are being laid over one another.
pub(super) struct Layers {
    pub(super) values: Node,
    pub(super) files: Vec<String>,
    pub(super) unseen: Vec<Unseen>,
    /// Whether all layers could be seen.
    pub(super) is_complete: bool,
}

impl Layers {
    /// Nothing yet; `at` is the place of the values as long as there are none.
    pub(super) fn new(at: Position) -> Layers {
        Layers {
            values: Node::empty_map(at),
            files: Vec::new(),
            unseen: Vec::new(),
            is_complete: true,
        }
    }

    /// Lays a mapping over the rest. Anything else is no values.
    pub(super) fn add(&mut self, layer: &Node) {
        if !layer.entries().is_empty() {
            self.replace_with(|values| merge(values, layer.clone()));
        }
    }

    /// Changes the values as a whole.
    pub(super) fn replace_with(&mut self, change: impl FnOnce(Node) -> Node) {
        let at = self.values.at.clone();
        let values = std::mem::replace(&mut self.values, Node::empty_map(at));
        self.values = change(values);
    }

    /// Lays the values of a file over the rest, if it is among the files.
    pub(super) fn add_file(&mut self, files: &Files, path: &str) -> bool {
        let found = files.contains_key(path);
        if found {
            self.files.push(path.to_owned());
            if let Some(layer) = first(files, path) {
                self.add(layer);
            }
        }
        found
    }

    /// The same of a file that must be there: `at` names it.
    pub(super) fn add_named_file(&mut self, files: &Files, path: Option<String>, at: &Position) {
        match path {
            Some(path) if self.add_file(files, &path) => {}
            Some(path) => self.miss(
                at,
                format!("the values file {path}"),
                "it is not among the files that were read",
            ),
            None => self.miss(at, "a values file", "its path leads out of the root"),
        }
    }

    /// Notes that a layer could not be seen.
    pub(super) fn miss(&mut self, at: &Position, what: impl Into<String>, why: impl Into<String>) {
        self.is_complete = false;
        self.unseen.push(Unseen::at(at, what, why));
    }
}
