//! Kubernetes objects in files.

use std::sync::Arc;

use crate::report::ObjectReference;
use keyguard_core::argocd::accounts;
use keyguard_core::document::Node;
use keyguard_core::document::Position;
use keyguard_core::runtime::mode;
use keyguard_core::runtime::workload::WorkloadKind;

/// An object in a file.
#[derive(Debug)]
pub(crate) struct Object {
    /// Its group and version.
    pub(crate) api_version: String,
    /// Its kind.
    pub(crate) kind: String,
    /// Its namespace; `None` when it names none.
    pub(crate) namespace: Option<String>,
    /// Its name.
    pub(crate) name: String,
    /// What is written.
    pub(crate) node: Node,
    /// Whether findings in its file are to be told.
    pub(crate) selected: bool,
    /// The folder that it is applied from, without a `/` at the end.
    pub(crate) folder: Arc<str>,
}

impl Object {
    /// The objects in `document`, itself or the items of a list, that keyguard looks at; `count` counts all.
    /// `namespace` is theirs when they name none.
    pub(crate) fn all(
        document: &Node,
        selected: bool,
        namespace: Option<&str>,
        folder: &Arc<str>,
        count: &mut usize,
    ) -> Vec<Arc<Object>> {
        let text = |keys: &[&str]| document.text_at(keys).unwrap_or_default().to_owned();
        let (api_version, kind) = (text(&["apiVersion"]), text(&["kind"]));
        if kind.is_empty() {
            return Vec::new();
        }
        if let (true, Some(items)) = (kind.ends_with("List"), document.get("items")) {
            let items = items.items().iter();
            return items
                .flat_map(|item| Object::all(item, selected, namespace, folder, count))
                .collect();
        }
        *count += 1;
        let name = text(&["metadata", "name"]);
        if !is_looked_at(&kind, &name) {
            return Vec::new();
        }
        let own = document.text_at(&["metadata", "namespace"]);
        let own = own.filter(|own| !own.is_empty() && !own.contains("{{"));
        let object = Object {
            api_version,
            kind,
            namespace: own.or(namespace).map(str::to_owned),
            name,
            selected,
            folder: Arc::clone(folder),
            node: document.clone(),
        };
        vec![Arc::new(object)]
    }

    /// Its file.
    pub(crate) fn file(&self) -> &Arc<str> {
        let Position { file, .. } = &self.node.at;
        file
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
        "Kustomization",
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
