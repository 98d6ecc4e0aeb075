//! What is guarded besides `argocd-cm` and workloads: each needs more rights, so each is switched on by itself.

/// What is guarded on request, and where it is looked for who uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// Secrets that a workload of their namespace refers to.
    pub secrets: bool,
    /// Accounts that the token of a workload names, in `argocd-cm`.
    pub accounts_in_use: bool,
    /// Argo CD's own Secret, as far as the tokens of workloads depend on it.
    pub argocd_secret: bool,
    /// The namespaces of the Runtimes; when there are none, every namespace is looked through.
    pub runtime_namespaces: Vec<String>,
}

impl Guard {
    /// Whether a Runtime may be in a namespace.
    pub fn is_runtime(&self, namespace: &str) -> bool {
        self.runtime_namespaces.is_empty()
            || self.runtime_namespaces.iter().any(|name| name == namespace)
    }
}
