//! Patches of an `argocd-cm`: as changes of what it is without them.

use std::sync::Arc;

use serde_json::Value;

use crate::check::found::Told;
use crate::check::judge::{ARGOCD_NAMESPACE, Judge};
use crate::check::kustomize::Change;
use crate::check::object::Object;
use crate::sources::source::{ConfigMap, ConfigMapRead};
use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::document::layers::set;
use keyguard_core::document::{Node, Position};
use keyguard_core::policy::accounts_change::{PART_OF_LABEL, PART_OF_VALUE};

impl Judge {
    /// Everything that is wrong with one of the tree that has patches, and is `unpatched` without: over the one of the
    /// cluster, else as a change of it, and as a new object.
    pub(crate) async fn patched_accounts(
        &self,
        object: &Object,
        unpatched: &Node,
        told: &mut Told,
    ) {
        let before = told.found.len() + told.unseen.len();
        if self.known(object.namespace.as_deref()).await.is_none() {
            let old = unpatched.to_json();
            self.change(object, &object.node, &old, told).await;
        }
        if told.found.len() + told.unseen.len() == before {
            self.accounts(object, None, told).await;
        }
    }

    /// Everything that is wrong with patches of one that is not in the tree: over the one of the cluster, else over
    /// `accounts`.
    pub(crate) async fn changed_accounts(&self, change: &Change, accounts: Node, told: &mut Told) {
        let before = match self.known(change.namespace.as_deref()).await {
            Some(ConfigMapRead::Found(found)) => config_map(&found, &change.at),
            Some(ConfigMapRead::Unread(unread)) => {
                let what = format!("ConfigMap {CONFIG_MAP_NAME:?} as it is in the cluster");
                told.unseen(&change.at, what, unread.what());
                accounts
            }
            _ => accounts,
        };
        let Some(node) = change.over(&before) else {
            return;
        };
        let object = Object {
            api_version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            namespace: change.namespace.clone(),
            name: CONFIG_MAP_NAME.to_owned(),
            node,
            file: Arc::clone(&change.at.file),
            selected: change.selected,
        };
        let old: Value = before.to_json();
        self.change(&object, &object.node, &old, told).await;
    }

    async fn known(&self, namespace: Option<&str>) -> Option<ConfigMapRead> {
        let namespace = namespace.unwrap_or(ARGOCD_NAMESPACE);
        let read = self
            .world
            .config_map_before(namespace, CONFIG_MAP_NAME)
            .await?;
        (!matches!(read, ConfigMapRead::Missing)).then_some(read)
    }
}

/// As a document that is all at one place.
fn config_map(read: &ConfigMap, at: &Position) -> Node {
    let node = Node::empty_map(at.clone());
    let node = match read.labelled {
        true => set(
            node,
            &["metadata", "labels", PART_OF_LABEL],
            Node::of_text(PART_OF_VALUE, at),
        ),
        false => node,
    };
    let data = read.data.iter();
    data.fold(node, |node, (key, value)| {
        set(node, &["data", key], Node::of_text(value, at))
    })
}
