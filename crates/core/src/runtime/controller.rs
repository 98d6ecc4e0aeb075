//! The controller that owns an object.

use std::fmt;

use super::name::Name;
use super::workload::WorkloadKind;

/// The owner that controls an object, as its `ownerReferences` tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// The API group, without the version; empty for the core group.
    pub group: String,
    /// The kind. Shown only when a name can be: the author of the object writes it.
    pub kind: Name,
    /// The name.
    pub name: Name,
}

/// Kind and name, such as `ExternalSecret "argocd-token"`.
impl fmt::Display for Controller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.kind.shown(), self.name)
    }
}

/// The controllers that have a template of their own, which is judged instead: each with its group, and the kind that
/// it makes.
pub const JUDGED_IN: [(WorkloadKind, &str, &str); 7] = [
    (WorkloadKind::Pod, "apps", "ReplicaSet"),
    (WorkloadKind::Pod, "apps", "StatefulSet"),
    (WorkloadKind::Pod, "apps", "DaemonSet"),
    (WorkloadKind::Pod, "batch", "Job"),
    (WorkloadKind::ReplicaSet, "apps", "Deployment"),
    (WorkloadKind::ReplicaSet, "argoproj.io", "Rollout"),
    (WorkloadKind::Job, "batch", "CronJob"),
];

impl WorkloadKind {
    /// Whether an object of this kind is passed over because the template of its controller was judged.
    pub fn is_judged_in(self, controller: &Controller) -> bool {
        let owner = (controller.group.as_str(), controller.kind.as_str());
        let mut judged = JUDGED_IN.iter();
        judged.any(|(kind, group, name)| *kind == self && owner == (*group, *name))
    }
}
