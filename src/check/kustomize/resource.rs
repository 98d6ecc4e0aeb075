//! An object on its way through the kustomizations that change it.

use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::document::{Content, Entry, Node, Position};
use keyguard_core::runtime::workload::WorkloadKind;

use super::edit::put;

/// What generates a Secret of which not all keys are known: what `generators` names, and what stands here for it.
pub(super) const GENERATOR: &str = "SecretGenerator";

/// An object.
#[derive(Clone)]
pub(super) struct Resource {
    pub(super) node: Node,
    /// The names that it had, with the namespace of that time.
    pub(super) before: Vec<(String, Option<String>)>,
    /// Whether a hash is added to its name at the end.
    pub(super) hash: bool,
    /// Whether it is of a generator.
    pub(super) generated: bool,
    /// An argocd-cm before patches changed it.
    pub(super) unpatched: Option<Node>,
    /// Where the outermost kustomization names what it comes from.
    pub(super) via: Position,
}

impl Resource {
    pub(super) fn new(node: Node, via: Position) -> Resource {
        Resource {
            node,
            before: Vec::new(),
            hash: false,
            generated: false,
            unpatched: None,
            via,
        }
    }

    pub(super) fn name(&self) -> &str {
        self.node.text_at(&["metadata", "name"]).unwrap_or_default()
    }

    pub(super) fn namespace(&self) -> Option<&str> {
        namespace(&self.node)
    }

    /// The kind by which others refer to it.
    pub(super) fn kind(&self) -> &str {
        match kind(&self.node) {
            GENERATOR => "Secret",
            kind => kind,
        }
    }

    /// Every name that it has or had, with its namespace.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let before = self
            .before
            .iter()
            .map(|(name, of)| (name.as_str(), of.as_deref()));
        before.chain([(self.name(), self.namespace())])
    }

    pub(super) fn is_argocd_cm(&self) -> bool {
        (self.kind(), self.name()) == ("ConfigMap", CONFIG_MAP_NAME)
    }

    /// Remembers what it is before something changes it.
    pub(super) fn keep_unpatched(&mut self) {
        if self.is_argocd_cm() && self.unpatched.is_none() {
            self.unpatched = Some(self.node.clone());
        }
    }

    pub(super) fn rename(&mut self, name: &str, at: &Position) {
        self.before
            .push((self.name().to_owned(), self.namespace().map(str::to_owned)));
        put(
            &mut self.node,
            &["metadata", "name"],
            Node::of_text(name, at),
        );
    }

    pub(super) fn move_to(&mut self, namespace: &Node) {
        self.before
            .push((self.name().to_owned(), self.namespace().map(str::to_owned)));
        put(
            &mut self.node,
            &["metadata", "namespace"],
            namespace.clone(),
        );
    }
}

pub(super) fn kind(node: &Node) -> &str {
    node.text_at(&["kind"]).unwrap_or_default()
}

pub(super) fn namespace(node: &Node) -> Option<&str> {
    node.text_at(&["metadata", "namespace"])
        .filter(|it| !it.is_empty())
}

/// The API group and version.
pub(super) fn version(node: &Node) -> (&str, &str) {
    let version = node.text_at(&["apiVersion"]).unwrap_or_default();
    version.split_once('/').unwrap_or(("", version))
}

/// Whether Kubernetes itself has this kind, so that Kustomize knows its lists and references.
pub(super) fn is_of_kubernetes(node: &Node) -> bool {
    let (group, version) = version(node);
    !group.contains('.') && WorkloadKind::of(group, version, kind(node)).is_some()
}

/// Whether something in it concerns a credential or the accounts of Argo CD.
pub(super) fn mentions(node: &Node) -> bool {
    const KEYS: [&str; 6] = [
        "argo-cd",
        "external-argo-cd",
        "external-arg-cd",
        "gitops-runtime",
        "secretKeyRef",
        "admin.enabled",
    ];
    let says = |text: &str| {
        text.contains("ARGO_CD_") || text.starts_with("accounts.") || KEYS.contains(&text)
    };
    let operation = |text: &str| {
        let mut tokens = text.split('/').skip(1);
        tokens.any(|token| {
            says(token) || matches!(token, "env" | "envFrom" | "values" | "valuesObject")
        })
    };
    match &node.content {
        Content::Map(entries) => entries.iter().any(|Entry { key, value, .. }| {
            let path = key == "path" && value.text().is_some_and(operation);
            path || says(key) || mentions(value)
        }),
        Content::List(items) => items.iter().any(mentions),
        Content::Scalar(scalar) => says(&scalar.text),
    }
}

/// The objects of a document: itself, or the items of a list.
pub(super) fn objects(document: &Node) -> Vec<&Node> {
    match document.get("items") {
        Some(items) if kind(document).ends_with("List") => items.items().iter().collect(),
        _ => vec![document],
    }
}
