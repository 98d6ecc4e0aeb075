//! By what a change came: the field manager, and what stands behind the object.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::cut::cut;

/// By what the change came, as far as the review tells
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct Tool {
    /// Who is to own the fields, such as `kubectl-edit`, `argocd-controller` or `helm`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_manager: Option<String>,
    /// The application of Argo CD that the object belongs to
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argocd_application: Option<String>,
    /// The Helm release that the object belongs to
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm_release: Option<String>,
    /// The Kustomization of Flux that the object belongs to
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flux_kustomization: Option<String>,
    /// The HelmRelease of Flux that the object belongs to
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flux_helm_release: Option<String>,
}

impl Tool {
    /// Whether the review tells nothing of it.
    pub(crate) fn is_unknown(&self) -> bool {
        *self == Tool::default()
    }

    /// The same with names of at most `most` bytes.
    pub(crate) fn cut(&self, most: usize) -> Tool {
        let name = |text: &Option<String>| Some(cut(text.as_deref()?, most).into_owned());
        Tool {
            field_manager: name(&self.field_manager),
            argocd_application: name(&self.argocd_application),
            helm_release: name(&self.helm_release),
            flux_kustomization: name(&self.flux_kustomization),
            flux_helm_release: name(&self.flux_helm_release),
        }
    }
}
