//! Kubernetes objects in files.

use std::sync::Arc;

use crate::report::ObjectReference;
use crate::sources::values::folder;
use keyguard_core::argocd::accounts;
use keyguard_core::document::Node;
use keyguard_core::runtime::chart::auth::is_filled_in;
use keyguard_core::runtime::mode;
use keyguard_core::runtime::workload::WorkloadKind;

/// An object in a file.
#[derive(Debug)]
pub(crate) struct Object {
    /// Its group and version.
    pub(crate) api_version: String,
    /// Its kind.
    pub(crate) kind: String,
    /// Its namespace; `None` when it names none, or one that is filled in later.
    pub(crate) namespace: Option<String>,
    /// Its name.
    pub(crate) name: String,
    /// What is written.
    pub(crate) node: Node,
    /// The file from which it is applied: of what Kustomize builds, the kustomization.
    pub(crate) file: Arc<str>,
    /// Whether findings in its file are to be told.
    pub(crate) selected: bool,
}

impl Object {
    /// The objects in `document`, itself or the items of a list, that keyguard looks at; `count` counts all.
    pub(crate) fn all(
        document: &Node,
        file: &Arc<str>,
        selected: bool,
        count: &mut usize,
    ) -> Vec<Arc<Object>> {
        let text = |key| document.text_at(&[key]).unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let (Some(of), Some(items)) = (kind.strip_suffix("List"), document.get("items")) else {
            let object = Object::of(document, (api_version, kind), file, selected, count);
            return object.into_iter().collect();
        };
        let items = items.items().iter();
        items
            .flat_map(|item| match item.get("kind") {
                // The items of a SecretList may leave it to the list what they are.
                None if !of.is_empty() => {
                    let object = Object::of(item, (api_version, of), file, selected, count);
                    object.into_iter().collect()
                }
                _ => Object::all(item, file, selected, count),
            })
            .collect()
    }

    fn of(
        document: &Node,
        (api_version, kind): (&str, &str),
        file: &Arc<str>,
        selected: bool,
        count: &mut usize,
    ) -> Option<Arc<Object>> {
        if kind.is_empty() {
            return None;
        }
        *count += 1;
        let name = document.text_at(&["metadata", "name"]).unwrap_or_default();
        if !is_looked_at(kind, name) {
            return None;
        }
        let namespace = document.text_at(&["metadata", "namespace"]);
        let namespace = namespace.filter(|it| !it.is_empty() && !is_filled_in(it));
        Some(Arc::new(Object {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            node: document.clone(),
            file: Arc::clone(file),
            selected,
        }))
    }

    /// The file from which it is applied.
    pub(crate) fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// The folder of that file, without a `/` at the end.
    pub(crate) fn folder(&self) -> &str {
        folder(&self.file)
    }

    /// What a report calls it.
    pub(crate) fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: self.api_version.clone(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone().unwrap_or_default(),
            name: self.name.clone(),
        }
    }

    /// An annotation.
    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.node.text_at(&["metadata", "annotations", name])
    }

    /// The wave of Argo CD in which it is applied.
    pub(crate) fn wave(&self) -> i64 {
        let wave = self.annotation("argocd.argoproj.io/sync-wave");
        wave.and_then(|wave| wave.trim().parse().ok()).unwrap_or(0)
    }

    /// Whether it is applied before all that is no hook.
    pub(crate) fn is_hook_before(&self) -> bool {
        let before = |annotation, phase| {
            self.annotation(annotation)
                .is_some_and(|phases| phases.split(',').any(|it| it.trim() == phase))
        };
        before("argocd.argoproj.io/hook", "PreSync") || before("helm.sh/hook", "pre-install")
    }
}

fn is_looked_at(kind: &str, name: &str) -> bool {
    const MAKERS: [&str; 8] = [
        "SealedSecret",
        "ExternalSecret",
        "ClusterExternalSecret",
        "VaultStaticSecret",
        "VaultDynamicSecret",
        "VaultPKISecret",
        "SecretProviderClass",
        "SecretGenerator",
    ];
    match kind {
        "Secret" => true,
        "ConfigMap" => [accounts::CONFIG_MAP_NAME, mode::CONFIG_MAP_NAME].contains(&name),
        kind => {
            MAKERS.contains(&kind)
                || WorkloadKind::ALL
                    .iter()
                    .any(|known| known.names().2 == kind)
        }
    }
}
