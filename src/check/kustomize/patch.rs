//! Patches, of whichever kind.

use keyguard_core::document::{Content, Node, Position};

use super::edit::{moved, put};
use super::resource::{is_of_kubernetes, mentions};
use super::{json, merge};

/// What a strategic merge patch does not change: which object it is.
const IDENTITY: [&[&str]; 4] = [
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
];

/// A patch.
#[derive(Clone)]
pub(super) struct Patch {
    pub(super) body: Node,
}

impl Patch {
    /// What becomes of an object; `None` when it is deleted.
    pub(super) fn apply(&self, mut node: Node) -> Option<Node> {
        match self.body.content {
            Content::List(_) => {
                json::apply(&mut node, &self.body);
                Some(node)
            }
            _ => {
                let lists = is_of_kubernetes(&node);
                let identity = IDENTITY.map(|keys| node.path(keys).cloned());
                let mut merged = merge::merge(node, &self.body, lists)?;
                for (keys, value) in IDENTITY.into_iter().zip(identity) {
                    if let Some(value) = value {
                        put(&mut merged, keys, value);
                    }
                }
                Some(merged)
            }
        }
    }

    /// Whether it is a strategic merge patch that deletes all of an object.
    pub(super) fn deletes(&self) -> bool {
        self.body.text_at(&["$patch"]) == Some("delete")
    }

    /// Whether it concerns a credential or the accounts of Argo CD.
    pub(super) fn matters(&self) -> bool {
        !self.deletes() && mentions(&self.body)
    }

    pub(super) fn moved(mut self, place: &impl Fn(&Position) -> Position) -> Patch {
        moved(&mut self.body, place);
        self
    }
}
