//! What is judged: an operation on something guarded, reduced to plain facts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use crate::policy::accounts_change::AccountsConfigMap;
use crate::runtime::controller::Controller;
use crate::runtime::credential::References;
use crate::runtime::name::Name;

/// An operation of the API server.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    IntoStaticStr,
    VariantArray,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "UPPERCASE")]
#[strum(serialize_all = "UPPERCASE")]
#[schemars(inline)]
pub enum Operation {
    /// CREATE
    Create,
    /// UPDATE, which PATCH and server-side apply are too
    Update,
    /// DELETE, also of each object of a collection
    Delete,
    /// CONNECT
    Connect,
}

impl Operation {
    /// The name on the wire, in logs and in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What the operation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Nothing that keyguard guards.
    NotGuarded,
    /// `argocd-cm` as it was and as it will be.
    Accounts {
        /// As it was; `None` on CREATE.
        old: Option<AccountsConfigMap>,
        /// As it will be; `None` on DELETE.
        new: Option<AccountsConfigMap>,
    },
    /// A Secret; what it holds is no part of what is judged by.
    Secret {
        /// Its name.
        name: Name,
    },
    /// Argo CD's own Secret.
    ArgocdSecret {
        /// Whether a label hides it from Argo CD, and did not before.
        hidden: bool,
    },
    /// A workload on its way in.
    Workload {
        /// What its containers refer to.
        references: References,
        /// Whether a controller owns it whose own template is judged instead.
        controlled: bool,
        /// Whether an UPDATE leaves the pods as they are.
        unchanged: bool,
    },
    /// A workload on its way in that may refer to a credential, and whose pod template is not one.
    Malformed {
        /// Its kind.
        kind: &'static str,
        /// Where it is wrong, such as `spec.template.spec.containers[0].env[1].value`.
        field: String,
        /// Whether a controller owns it whose own template is judged instead.
        controlled: bool,
        /// Whether an UPDATE leaves the template as it is.
        unchanged: bool,
    },
}

/// One request, as far as the decision goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The operation.
    pub operation: Operation,
    /// Who asks.
    pub user: String,
    /// The groups of the user.
    pub groups: Vec<String>,
    /// Where the object is; empty for a cluster-scoped one.
    pub namespace: String,
    /// Whether the object carries a `deletionTimestamp`.
    pub being_deleted: bool,
    /// What the object's annotation [`break_glass::ANNOTATION`](crate::policy::break_glass::ANNOTATION)
    /// says: of the object as it will be, or of the one that goes.
    pub allow: Option<String>,
    /// Whether nothing is stored.
    pub dry_run: bool,
    /// The controller that owns the object, if one does.
    pub controller: Option<Controller>,
    /// Whether the API server asks for the record only, because of the namespace.
    pub for_the_record: bool,
    /// What it is about.
    pub subject: Subject,
}
