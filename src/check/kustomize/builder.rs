//! What a build of a kustomization knows so far.

use std::collections::HashSet;
use std::sync::Arc;

use keyguard_core::document::{Node, Position};

use super::Tree;
use super::patch::Patch;
use super::resource::Resource;
use crate::check::files::File;
use crate::report::Unseen;

/// What has come of some kustomizations.
#[derive(Default)]
pub(super) struct Part {
    pub(super) resources: Vec<Resource>,
    pub(super) loose: Option<Loose>,
    pub(super) charts: Vec<(Arc<str>, Node)>,
}

/// Patches of an argocd-cm that is not in the tree.
pub(super) struct Loose {
    pub(super) namespace: Option<String>,
    pub(super) at: Position,
    pub(super) via: Position,
    pub(super) patches: Vec<Patch>,
}

/// Builds one kustomization that no other one names.
pub(super) struct Builder<'a> {
    pub(super) tree: &'a Tree<'a>,
    pub(super) outermost: &'a File,
    pub(super) open: Vec<&'a str>,
    pub(super) count: usize,
    /// Where the outermost kustomization names what is being built.
    pub(super) via: Position,
    pub(super) taken: HashSet<Arc<str>>,
    pub(super) unseen: Vec<Unseen>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(tree: &'a Tree<'a>, outermost: &'a File) -> Builder<'a> {
        Builder {
            tree,
            outermost,
            open: Vec::new(),
            count: 0,
            via: Position {
                file: Arc::clone(&outermost.path),
                line: 1,
                column: 1,
                end_line: 1,
                end_column: 1,
            },
            taken: HashSet::new(),
            unseen: Vec::new(),
        }
    }
}
