//! Workloads of the cluster, page by page and up to a bound; of each, only what it refers to is kept.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::sources::cluster::Cluster;
use crate::sources::source::{Bound, WorkloadsRead};
use keyguard_core::policy::facts::Unread;
use keyguard_core::runtime::json_object::Object;
use keyguard_core::runtime::user::{KINDS, User};
use keyguard_core::runtime::workload::WorkloadKind;

/// Workloads of one answer: some 10 KB each.
const PAGE: usize = 100;

/// Looks through one namespace, or all. The caller has checked that `namespace` is an object name.
///
/// One kind after the other and one page after the other, so that no more than a page is in memory at once.
pub(crate) async fn read(
    cluster: &Cluster,
    namespace: Option<&str>,
    bound: Bound,
) -> WorkloadsRead {
    let mut search = Search {
        users: Vec::new(),
        left: bound,
    };
    let mut unread = None;
    for kind in KINDS {
        if let Err(why) = search.kind(cluster, namespace, kind).await {
            unread = Some((kind, why));
            break;
        }
    }
    WorkloadsRead {
        users: search.users,
        unread,
    }
}

struct Search {
    users: Vec<User>,
    left: Bound,
}

impl Search {
    async fn kind(
        &mut self,
        cluster: &Cluster,
        namespace: Option<&str>,
        kind: WorkloadKind,
    ) -> Result<(), Unread> {
        let mut next = String::new();
        loop {
            // One more than there is room for, to know whether there is more.
            let limit = PAGE.min(self.left.workloads + 1);
            let path = path(kind, namespace, limit, &next);
            // A kind that the cluster does not have has no workloads.
            let Some(json) = cluster.reading_up_to(self.left.bytes).get(&path).await? else {
                return Ok(());
            };
            self.left.bytes -= json.len().min(self.left.bytes);
            match self.page(kind, &json)? {
                Some(more) => next = more,
                None => return Ok(()),
            }
        }
    }

    /// Takes what is needed from one answer; what to ask for the next with, if there is one.
    fn page(&mut self, kind: WorkloadKind, json: &[u8]) -> Result<Option<String>, Unread> {
        let list: Object<List<'_>> = serde_json::from_slice(json).map_err(|_| Unread::Garbled)?;
        let list = list.0;
        let items = list.items.unwrap_or_default();
        let room = self.left.workloads.checked_sub(items.len());
        self.left.workloads = room.ok_or(Unread::TooMany)?;
        self.users
            .extend(items.iter().filter_map(|item| item.user(kind)));
        let next = list.metadata.and_then(|metadata| metadata.next);
        match next.filter(|next| !next.is_empty()) {
            Some(next) if !is_url_safe(&next) => Err(Unread::Garbled),
            next => Ok(next),
        }
    }
}

fn path(kind: WorkloadKind, namespace: Option<&str>, limit: usize, next: &str) -> String {
    let (group, version, _, resource) = kind.names();
    let place = namespace.map_or_else(String::new, |name| format!("/namespaces/{name}"));
    let mut path = format!("/apis/{group}/{version}{place}/{resource}?limit={limit}");
    if !next.is_empty() {
        path.push_str("&continue=");
        path.push_str(next);
    }
    path
}

/// Whether a text needs no escapes in a query, as the API server's tokens do not.
pub(super) fn is_url_safe(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=.~".contains(&byte);
    text.bytes().all(allowed)
}

#[derive(Deserialize)]
struct List<'a> {
    metadata: Option<ListMetadata>,
    #[serde(borrow)]
    items: Option<Vec<Item<'a>>>,
}

#[derive(Deserialize)]
struct ListMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    deletion_timestamp: Option<IgnoredAny>,
}

impl Item<'_> {
    fn user(&self, kind: WorkloadKind) -> Option<User> {
        let metadata = &self.metadata;
        match metadata.deletion_timestamp {
            Some(_) => None,
            None => User::of(kind, &metadata.namespace, &metadata.name, self.spec?.get()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn search(workloads: usize) -> Search {
        Search {
            users: Vec::new(),
            left: Bound {
                workloads,
                bytes: 1 << 20,
            },
        }
    }

    fn deployment(name: &str, variable: &str) -> Value {
        let env =
            json!([{"name": variable, "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]);
        json!({
            "metadata": {"name": name, "namespace": "gitops"},
            "spec": {"template": {"spec": {"containers": [{"env": env}]}}},
        })
    }

    fn page(
        search: &mut Search,
        items: &[Value],
        next: Option<&str>,
    ) -> Result<Option<String>, Unread> {
        let json = json!({"metadata": {"continue": next}, "items": items}).to_string();
        search.page(WorkloadKind::Deployment, json.as_bytes())
    }

    #[test]
    fn of_a_page_only_the_users_that_stay_are_kept() {
        let mut leaving = deployment("leaving", "ARGO_CD_TOKEN");
        leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let items = [
            deployment("user", "ARGO_CD_TOKEN"),
            deployment("other", "OTHER"),
            leaving,
            json!({"metadata": {"name": "empty"}}),
        ];
        let mut search = search(10);
        assert_eq!(page(&mut search, &items, None), Ok(None));
        let names: Vec<String> = search.users.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["Deployment \"user\""]);
        assert_eq!(search.users[0].namespace, "gitops");
        assert_eq!(search.left.workloads, 6);
    }

    #[test]
    fn beyond_the_bound_nothing_is_taken() {
        let items = vec![deployment("user", "ARGO_CD_TOKEN"); 3];
        assert_eq!(page(&mut search(3), &items, None), Ok(None));
        assert_eq!(page(&mut search(2), &items, None), Err(Unread::TooMany));
        assert_eq!(page(&mut search(0), &[], None), Ok(None));
        let mut search = search(3);
        let next = page(&mut search, &items, Some("eyJ2_-9"));
        assert_eq!(next, Ok(Some("eyJ2_-9".to_owned())));
        assert_eq!(page(&mut search, &items[..1], None), Err(Unread::TooMany));
    }

    #[test]
    fn what_is_no_list_is_not_taken_for_an_empty_one() {
        for json in [
            "",
            "[]",
            r#"{"items":1}"#,
            r#"{"items":[{"metadata":{"name":1}}]}"#,
        ] {
            let read = search(10).page(WorkloadKind::Deployment, json.as_bytes());
            assert_eq!(read, Err(Unread::Garbled), "{json}");
        }
        let next = page(&mut search(10), &[], Some("a&b"));
        assert_eq!(next, Err(Unread::Garbled));
    }

    #[test]
    fn a_page_of_one_namespace_or_of_all_is_asked_for() {
        let table = [
            (
                WorkloadKind::Deployment,
                Some("gitops"),
                "",
                "/apis/apps/v1/namespaces/gitops/deployments?limit=5",
            ),
            (
                WorkloadKind::CronJob,
                None,
                "abc",
                "/apis/batch/v1/cronjobs?limit=5&continue=abc",
            ),
        ];
        for (kind, namespace, next, expected) in table {
            assert_eq!(path(kind, namespace, 5, next), expected);
        }
    }
}
