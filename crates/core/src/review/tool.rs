//! By what and with which credential a change came: the field manager, and what stands behind the object.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::wire;
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
    /// Reads it from the options of a request and from the object.
    pub(super) fn of(request: &wire::Request<'_>, metadata: Option<&wire::Metadata<'_>>) -> Tool {
        fn owned(text: Option<&wire::Text<'_>>) -> Option<String> {
            Some((**text?).to_owned()).filter(|text| !text.is_empty())
        }
        let labels = metadata.and_then(|metadata| Some(&metadata.labels.as_ref()?.0));
        let annotations = metadata.and_then(|metadata| Some(&metadata.annotations.as_ref()?.0));
        let options = request.options.as_ref();
        Tool {
            field_manager: owned(options.and_then(|options| options.0.field_manager.as_ref())),
            // The application, before the group, kind and name of the object.
            argocd_application: annotations
                .and_then(|annotations| annotations.argocd_tracking_id.as_ref())
                .and_then(|id| id.split_once(':'))
                .map(|(application, _)| application.to_owned()),
            helm_release: owned(annotations.and_then(|it| it.helm_release.as_ref())),
            flux_kustomization: owned(labels.and_then(|it| it.flux_kustomization.as_ref())),
            flux_helm_release: owned(labels.and_then(|it| it.flux_helm_release.as_ref())),
        }
    }

    /// The most telling name of it: what stands behind the object, else the field manager; empty when nothing is known.
    pub fn name(&self) -> &str {
        let known = [
            &self.argocd_application,
            &self.helm_release,
            &self.flux_helm_release,
            &self.flux_kustomization,
            &self.field_manager,
        ];
        let mut known = known.into_iter().flatten();
        known.next().map_or("", String::as_str)
    }

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

/// What the API server knows of the credential that was used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsedCredential {
    /// The id of the credential, such as `JTI=…`.
    pub id: Option<String>,
    /// The pod that a ServiceAccount token was made for.
    pub pod: Option<String>,
}

impl UsedCredential {
    /// Reads it from what the API server says of a user.
    pub(super) fn of(user: Option<&wire::UserInfo<'_>>) -> UsedCredential {
        let extra = user.and_then(|user| user.extra.as_ref());
        let first = |values: &Option<Vec<wire::Text<'_>>>| {
            let value = values.as_ref()?.first()?;
            Some((**value).to_owned())
        };
        UsedCredential {
            id: extra.and_then(|extra| first(&extra.0.credential_id)),
            pod: extra.and_then(|extra| first(&extra.0.pod)),
        }
    }
}
