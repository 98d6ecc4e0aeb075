//! The AdmissionReview as it comes, of which only what is read is deserialized.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::argocd::accounts::is_account_key;
use crate::policy::accounts_change::PART_OF_VALUE;
use crate::policy::argocd_secret::CLUSTER_TYPE;
use crate::policy::break_glass::ANNOTATION_BYTES;
use crate::policy::cut::cut;
use crate::runtime::controller::Controller;
use crate::runtime::json_object::{EXPECTED, Object};
use crate::runtime::name::Name;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Review<'a> {
    #[serde(borrow, default)]
    pub(super) api_version: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) request: Option<Object<Request<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request<'a> {
    #[serde(borrow, default)]
    pub(super) uid: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) kind: Option<Object<GroupVersionKind<'a>>>,
    #[serde(borrow, default)]
    pub(super) sub_resource: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) namespace: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) operation: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) user_info: Option<Object<UserInfo<'a>>>,
    #[serde(borrow, default)]
    pub(super) object: Option<Object<Guarded<'a>>>,
    #[serde(borrow, default)]
    pub(super) old_object: Option<Object<Guarded<'a>>>,
    #[serde(default)]
    pub(super) dry_run: Option<bool>,
    #[serde(borrow, default)]
    pub(super) options: Option<Object<Options<'a>>>,
}

/// The options of the operation.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Options<'a> {
    #[serde(borrow, default)]
    pub(super) field_manager: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct GroupVersionKind<'a> {
    #[serde(borrow, default)]
    group: Option<Text<'a>>,
    #[serde(borrow, default)]
    version: Option<Text<'a>>,
    #[serde(borrow, default)]
    kind: Option<Text<'a>>,
}

impl GroupVersionKind<'_> {
    /// Group, version and kind; the core group is empty, the others never are.
    pub(super) fn names(&self) -> Option<(&str, &str, &str)> {
        Some((
            self.group.as_deref().unwrap_or_default(),
            self.version.as_deref().filter(|text| !text.is_empty())?,
            self.kind.as_deref().filter(|text| !text.is_empty())?,
        ))
    }
}

#[derive(Default, Deserialize)]
pub(super) struct UserInfo<'a> {
    #[serde(borrow, default)]
    pub(super) username: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) groups: Option<Vec<Text<'a>>>,
    #[serde(borrow, default)]
    pub(super) extra: Option<Object<Extra<'a>>>,
}

/// What the API server knows of the credential of a user.
#[derive(Deserialize)]
pub(super) struct Extra<'a> {
    #[serde(borrow, default, rename = "authentication.kubernetes.io/credential-id")]
    pub(super) credential_id: Option<Vec<Text<'a>>>,
    #[serde(borrow, default, rename = "authentication.kubernetes.io/pod-name")]
    pub(super) pod: Option<Vec<Text<'a>>>,
}

/// The object itself, as far as it is decided on.
#[derive(Deserialize)]
pub(super) struct Guarded<'a> {
    #[serde(borrow, default)]
    pub(super) metadata: Option<Object<Metadata<'a>>>,
    #[serde(borrow, default)]
    pub(super) data: Option<AccountData<'a>>,
    #[serde(borrow, default)]
    pub(super) spec: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata<'a> {
    #[serde(borrow, default)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) namespace: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) labels: Option<Object<Labels<'a>>>,
    #[serde(borrow, default)]
    pub(super) annotations: Option<Object<Annotations<'a>>>,
    #[serde(default)]
    pub(super) deletion_timestamp: Option<IgnoredAny>,
    #[serde(default)]
    pub(super) owner_references: Option<Vec<Object<OwnerReference>>>,
}

impl Metadata<'_> {
    pub(super) fn labelled(&self) -> bool {
        let label = self
            .labels
            .as_ref()
            .and_then(|labels| labels.0.part_of.as_deref());
        label == Some(PART_OF_VALUE)
    }

    /// Whether Argo CD takes a Secret for the description of a cluster.
    pub(super) fn is_of_a_cluster(&self) -> bool {
        let label = self
            .labels
            .as_ref()
            .and_then(|labels| labels.0.secret_type.as_deref());
        label == Some(CLUSTER_TYPE)
    }

    pub(super) fn allow(&self) -> Option<String> {
        let text = self.annotations.as_ref()?.0.allow.as_deref()?;
        Some(cut(text, ANNOTATION_BYTES).into_owned())
    }

    /// The owner that controls the object, of which the API server lets there be one.
    pub(super) fn controller(&self) -> Option<Controller> {
        let mut owners = self.owner_references.as_deref().unwrap_or_default().iter();
        let owner = owners.find(|owner| owner.0.controller == Some(true))?;
        let OwnerReference {
            api_version,
            kind,
            name,
            ..
        } = &owner.0;
        Some(Controller {
            group: match api_version.split_once('/') {
                Some((group, _)) => group.to_owned(),
                None => String::new(),
            },
            kind: Name::from(kind.as_str()),
            name: Name::from(name.as_str()),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OwnerReference {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    controller: Option<bool>,
}

/// The labels by which Argo CD finds its own, and those of Flux.
#[derive(Deserialize)]
pub(super) struct Labels<'a> {
    #[serde(borrow, default, rename = "app.kubernetes.io/part-of")]
    part_of: Option<Text<'a>>,
    #[serde(borrow, default, rename = "argocd.argoproj.io/secret-type")]
    secret_type: Option<Text<'a>>,
    #[serde(borrow, default, rename = "kustomize.toolkit.fluxcd.io/name")]
    pub(super) flux_kustomization: Option<Text<'a>>,
    #[serde(borrow, default, rename = "helm.toolkit.fluxcd.io/name")]
    pub(super) flux_helm_release: Option<Text<'a>>,
}

/// The annotation that lifts rules, and those of Argo CD and Helm.
#[derive(Deserialize)]
pub(super) struct Annotations<'a> {
    #[serde(borrow, default, rename = "keyguard.dev/allow")]
    allow: Option<Text<'a>>,
    #[serde(borrow, default, rename = "argocd.argoproj.io/tracking-id")]
    pub(super) argocd_tracking_id: Option<Text<'a>>,
    #[serde(borrow, default, rename = "meta.helm.sh/release-name")]
    pub(super) helm_release: Option<Text<'a>>,
}

/// `data`, reduced to the keys that Argo CD reads accounts from, each once, sorted.
///
/// Borrowed from the body: when the object turns out to be a Secret, no copy of a value is left behind.
#[derive(Default)]
pub(super) struct AccountData<'a>(Vec<(Cow<'a, str>, Option<Text<'a>>)>);

impl AccountData<'_> {
    /// The keys with their texts; `None` when one has none, which no ConfigMap can have.
    pub(super) fn texts(&self) -> Option<BTreeMap<String, String>> {
        let mut texts = BTreeMap::new();
        for (key, text) in &self.0 {
            texts.insert(key.as_ref().to_owned(), (**text.as_ref()?).to_owned());
        }
        Some(texts)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for AccountData<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DataVisitor;
        impl<'de> Visitor<'de> for DataVisitor {
            type Value = AccountData<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(EXPECTED)
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<AccountData<'de>, A::Error> {
                let mut data = Vec::new();
                while let Some(Text(key)) = map.next_key()? {
                    if !is_account_key(&key) {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    data.push((key, map.next_value()?));
                }
                data.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
                let twice = data.windows(2).any(|pair| match pair {
                    [(one, _), (other, _)] => one == other,
                    _ => false,
                });
                match twice {
                    true => Err(A::Error::custom("a key of data stands twice")),
                    false => Ok(AccountData(data)),
                }
            }
        }
        deserializer.deserialize_map(DataVisitor)
    }
}

/// Text borrowed from the body where it has no escapes; a `Cow` inside an `Option` would be copied.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::accounts_change::PART_OF_LABEL;
    use crate::policy::argocd_secret::TYPE_LABEL;
    use crate::policy::break_glass::ANNOTATION;

    #[test]
    fn the_names_that_are_read_are_those_of_the_rules() {
        let metadata = format!(
            r#"{{"labels": {{"{PART_OF_LABEL}": "{PART_OF_VALUE}", "{TYPE_LABEL}": "{CLUSTER_TYPE}", "other": 1}},
                "annotations": {{"{ANNOTATION}": "text", "other": "more"}}}}"#
        );
        let metadata: Metadata<'_> = serde_json::from_str(&metadata).unwrap();
        assert!(metadata.labelled() && metadata.is_of_a_cluster());
        assert_eq!(metadata.allow().as_deref(), Some("text"));
    }
}
