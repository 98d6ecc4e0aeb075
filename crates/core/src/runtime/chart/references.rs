//! The credentials that the chart's workloads will refer to when it is rendered with some values.

use super::auth::is_true;
use super::overrides::Component;
use super::version::Generation;
use crate::document::{Node, Position};
use crate::runtime::name::Name;
use crate::runtime::value::Role;

/// Who makes a Secret that the chart's workloads refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretMaker {
    /// A person, or what a person installs: it must be there before the workload.
    Person,
    /// The chart, from a plain value.
    Chart,
    /// App Proxy, after it has started.
    AppProxy,
    /// argocd-server, at its first start.
    ArgoCd,
}

/// One reference of one component. The Secret is in the namespace of the release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartReference {
    /// The component.
    pub component: Component,
    /// The versions that render it so.
    pub generation: Generation,
    /// What the value is used as.
    pub role: Role,
    /// The Secret's name.
    pub secret: Name,
    /// The key in its data.
    pub key: Name,
    /// Who makes the Secret.
    pub maker: SecretMaker,
    /// Whether the container starts without it.
    pub optional: bool,
    /// Whether the values name it, so that it is not the chart's default.
    pub is_written: bool,
    /// Where it is written; of a default, where the release says that its Argo CD is external, or where its values begin.
    pub at: Position,
    /// The path of it among the values, or of the default that counts.
    pub path: String,
}

/// Whether the values say that Argo CD is not the one of the chart.
pub fn is_external(values: &Node) -> bool {
    values
        .path(&["argo-cd", "enabled"])
        .is_some_and(|enabled| !is_true(enabled))
}
