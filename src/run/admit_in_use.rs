//! The pipeline for what others use: who does is looked up, and the verdict names them.

use tokio::time::{Duration, Instant, timeout};

use super::admit::{Admission, Outcome, outcome, unix_now};
use crate::edge::metrics::ReadOutcome;
use crate::edge::source::Source;
use crate::policy::facts::{ModeFact, Unread};
use crate::policy::in_use::{InUse, Search, Unlisted, Users};
use crate::policy::plan::is_object_name;
use crate::policy::secrets_in_use::{SecretUse, compare, suspects};
use crate::review::request::Request;
use crate::review::secret::SecretChange;
use crate::runtime::name::Name;

impl<S: Source> Admission<S> {
    /// Decides on a request whose verdict depends on who uses what it changes.
    pub(super) async fn admit_in_use(
        &self,
        request: Request,
        change: SecretChange,
        search: Search,
        answer_by: Option<Instant>,
    ) -> Outcome {
        let limit = self.limit(answer_by);
        let namespace = &request.case.namespace;
        let in_use = match search {
            Search::Secret { name, mode } => {
                InUse::Secret(self.secret_use(namespace, &name, mode, change, limit).await)
            }
        };
        let verdict = self.policy.decide_in_use(&request.case, &in_use);
        Outcome {
            request,
            secrets: Vec::new(),
            verdict,
        }
    }

    async fn secret_use(
        &self,
        namespace: &str,
        name: &Name,
        mode: bool,
        change: SecretChange,
        limit: Duration,
    ) -> SecretUse {
        let (users, namespace_ends, mode) = tokio::join!(
            self.users(Some(namespace), limit),
            self.namespace_ends(namespace, limit),
            async {
                match mode {
                    true => self.mode(namespace, true, limit).await,
                    false => ModeFact::NotNeeded,
                }
            }
        );
        let now = unix_now();
        let old = change.old.unwrap_or_default();
        let new = change.new.as_ref();
        SecretUse {
            values: compare(name, &users.found, &old, new, now),
            suspects: match users.unlisted {
                Some(_) => suspects(name, &old, new, now),
                None => Default::default(),
            },
            users,
            namespace_ends,
            mode,
        }
    }

    /// The workloads of one namespace, or of all, that refer to a credential.
    async fn users(&self, namespace: Option<&str>, limit: Duration) -> Users {
        let unlisted = |kind, why| Unlisted {
            kind,
            namespace: namespace.map(str::to_owned),
            why,
        };
        let users = if namespace.is_none_or(is_object_name) {
            let search = async {
                let _turn = self.searches.acquire().await;
                self.source.workloads(namespace, self.bound).await
            };
            match timeout(limit, search).await {
                Ok(read) => Users {
                    found: read.users,
                    unlisted: read.unread.map(|(kind, why)| unlisted(Some(kind), why)),
                },
                Err(_) => Users {
                    found: Vec::new(),
                    unlisted: Some(unlisted(None, Unread::Timeout)),
                },
            }
        } else {
            Users {
                found: Vec::new(),
                unlisted: Some(unlisted(None, Unread::Garbled)),
            }
        };
        self.metrics.workloads_searched(match &users.unlisted {
            Some(Unlisted {
                why: Unread::TooMany,
                ..
            }) => ReadOutcome::TooLarge,
            Some(unlisted) => outcome(&unlisted.why),
            None if users.found.is_empty() => ReadOutcome::Missing,
            None => ReadOutcome::Found,
        });
        users
    }

    async fn namespace_ends(&self, namespace: &str, limit: Duration) -> bool {
        is_object_name(namespace)
            && timeout(limit, self.source.namespace_ends(namespace))
                .await
                .unwrap_or(false)
    }
}
