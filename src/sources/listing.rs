//! Objects of the cluster as they are, one page after the other: no more than a page is in memory at once.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::sources::workload_list::is_url_safe;
use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::policy::accounts_change::{PART_OF_LABEL, PART_OF_VALUE};
use keyguard_core::policy::facts::Unread;
use keyguard_core::runtime::json_object::Object;
use keyguard_core::runtime::workload::WorkloadKind;

/// Objects of one answer.
pub const PAGE: usize = 500;

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Workloads of one kind.
    Workloads(WorkloadKind),
    /// The ConfigMaps that Argo CD reads accounts from: `argocd-cm`, with its label.
    Accounts,
    /// Namespaces.
    Namespaces,
}

impl Listed {
    /// API group, version, kind and plural resource name.
    pub fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Listed::Workloads(kind) => kind.names(),
            Listed::Accounts => ("", "v1", "ConfigMap", "configmaps"),
            Listed::Namespaces => ("", "v1", "Namespace", "namespaces"),
        }
    }

    /// The resource as RBAC and messages name it, such as `deployments.apps`.
    pub fn resource(self) -> String {
        let (group, _, _, resource) = self.names();
        match group {
            "" => resource.to_owned(),
            group => format!("{resource}.{group}"),
        }
    }

    /// Group and version, such as `apps/v1`.
    pub fn api_version(self) -> String {
        let (group, version, ..) = self.names();
        match group {
            "" => version.to_owned(),
            group => format!("{group}/{version}"),
        }
    }

    fn selectors(self) -> String {
        match self {
            // '/' and '=' as a query has them.
            Listed::Accounts => format!(
                "&labelSelector={}%3D{PART_OF_VALUE}&fieldSelector=metadata.name%3D{CONFIG_MAP_NAME}",
                PART_OF_LABEL.replace('/', "%2F")
            ),
            Listed::Workloads(_) | Listed::Namespaces => String::new(),
        }
    }

    pub(super) fn path(self, namespace: Option<&str>, limit: usize, next: &str) -> String {
        let (group, version, _, resource) = self.names();
        let root = match group {
            "" => format!("/api/{version}"),
            group => format!("/apis/{group}/{version}"),
        };
        let place = namespace.map_or_else(String::new, |name| format!("/namespaces/{name}"));
        let more = match next {
            "" => String::new(),
            next => format!("&continue={next}"),
        };
        let selectors = self.selectors();
        format!("{root}{place}/{resource}?limit={limit}{selectors}{more}")
    }
}

/// One answer of the API server. Workloads may have secrets in plain text.
pub struct Page(pub(super) Zeroizing<Vec<u8>>);

/// An object of a page.
pub struct Item<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its namespace; empty when it is in none.
    pub namespace: Cow<'a, str>,
    /// All of it, in JSON. Lists leave out `apiVersion` and `kind`.
    pub json: &'a str,
}

impl Page {
    /// A page of objects, each in JSON.
    pub(super) fn of<'a>(objects: impl Iterator<Item = &'a str>) -> Page {
        let mut json = Zeroizing::new(br#"{"items":["#.to_vec());
        for (index, object) in objects.enumerate() {
            if index > 0 {
                json.push(b',');
            }
            json.extend_from_slice(object.as_bytes());
        }
        json.extend_from_slice(b"]}");
        Page(json)
    }

    /// The objects in it.
    ///
    /// # Errors
    /// When it is no list.
    pub fn items(&self) -> Result<Vec<Item<'_>>, Unread> {
        let items = self.list()?.items.unwrap_or_default().into_iter();
        items
            .map(|item| {
                let named: Object<Named<'_>> =
                    serde_json::from_str(item.get()).map_err(|_| Unread::Garbled)?;
                let Metadata { name, namespace } = named.0.metadata;
                Ok(Item {
                    name,
                    namespace,
                    json: item.get(),
                })
            })
            .collect()
    }

    /// What to ask for the next page with.
    pub(super) fn next(&self) -> Result<Option<String>, Unread> {
        let next = self.list()?.metadata.and_then(|metadata| metadata.next);
        match next.filter(|next| !next.is_empty()) {
            Some(next) if !is_url_safe(&next) => Err(Unread::Garbled),
            next => Ok(next),
        }
    }

    fn list(&self) -> Result<List<'_>, Unread> {
        let list: Object<List<'_>> =
            serde_json::from_slice(&self.0).map_err(|_| Unread::Garbled)?;
        Ok(list.0)
    }
}

#[derive(Deserialize)]
struct List<'a> {
    metadata: Option<ListMetadata>,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct ListMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_each_kind_is_asked_for_where_it_is() {
        use WorkloadKind::{Pod, Rollout};
        let table = [
            (Listed::Workloads(Pod), None, "", "/api/v1/pods?limit=500"),
            (
                Listed::Workloads(Rollout),
                Some("gitops"),
                "abc",
                "/apis/argoproj.io/v1alpha1/namespaces/gitops/rollouts?limit=500&continue=abc",
            ),
            (
                Listed::Accounts,
                None,
                "",
                "/api/v1/configmaps?limit=500&labelSelector=app.kubernetes.io%2Fpart-of%3Dargocd\
                 &fieldSelector=metadata.name%3Dargocd-cm",
            ),
        ];
        for (listed, namespace, next, expected) in table {
            assert_eq!(listed.path(namespace, PAGE, next), expected);
        }
        assert_eq!(
            Listed::Workloads(Rollout).resource(),
            "rollouts.argoproj.io"
        );
        assert_eq!(Listed::Workloads(Pod).resource(), "pods");
    }

    fn page(json: &str) -> Page {
        Page(Zeroizing::new(json.as_bytes().to_vec()))
    }

    #[test]
    fn items_keep_their_json_and_know_their_names() {
        let page = page(
            r#"{"metadata":{"continue":"eyJ2_-9"},"items":[{"metadata":{"name":"a","namespace":"n"},"spec":{}},{"metadata":{"name":"b"}}]}"#,
        );
        assert_eq!(page.next(), Ok(Some("eyJ2_-9".to_owned())));
        let items = page.items().unwrap();
        let named: Vec<_> = items
            .iter()
            .map(|item| (&*item.namespace, &*item.name))
            .collect();
        assert_eq!(named, [("n", "a"), ("", "b")]);
        assert_eq!(items[1].json, r#"{"metadata":{"name":"b"}}"#);
        let made = Page::of(items.iter().map(|item| item.json));
        assert_eq!(made.items().unwrap().len(), 2);
        assert_eq!(made.next(), Ok(None));
    }

    #[test]
    fn what_is_no_list_is_not_taken_for_an_empty_one() {
        for json in [
            "",
            "[]",
            r#"{"items":1}"#,
            r#"{"items":[{"metadata":{"name":1}}]}"#,
        ] {
            assert!(matches!(page(json).items(), Err(Unread::Garbled)), "{json}");
        }
        let next = page(r#"{"metadata":{"continue":"a&b"}}"#).next();
        assert_eq!(next, Err(Unread::Garbled));
    }
}
