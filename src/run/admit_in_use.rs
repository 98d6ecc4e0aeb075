//! The pipeline for what others use: who does is looked up, and the verdict names them.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use tokio::time::{Duration, Instant, timeout};

use super::admit::{Admission, Outcome, outcome, unix_now};
use crate::edge::metrics::ReadOutcome;
use crate::edge::source::{SecretRead, Source};
use crate::policy::accounts_in_use::{AccountsUse, account_of};
use crate::policy::facts::{ModeFact, Unread};
use crate::policy::in_use::{InUse, Search, Unlisted, Users};
use crate::policy::plan::is_object_name;
use crate::policy::secrets_in_use::{SecretUse, compare, suspects};
use crate::review::request::Request;
use crate::review::secret::SecretChange;
use crate::runtime::name::Name;
use crate::runtime::user::User;
use crate::runtime::value::Role;

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
        let mut secrets = Vec::new();
        let in_use = match search {
            Search::Secret { name, mode } => {
                InUse::Secret(self.secret_use(namespace, &name, mode, change, limit).await)
            }
            Search::Accounts => InUse::Accounts(self.accounts_use(limit, &mut secrets).await),
        };
        let verdict = self.policy.decide_in_use(&request.case, &in_use);
        Outcome {
            request,
            secrets,
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

    /// Whose token names which account, in the namespaces of the Runtimes.
    async fn accounts_use(&self, limit: Duration, secrets: &mut Vec<Name>) -> AccountsUse {
        let deadline = Instant::now() + limit;
        let left = || deadline.saturating_duration_since(Instant::now());
        let namespaces = &self.policy.guard.runtime_namespaces;
        let mut known = AccountsUse::default();
        let mut found = Vec::new();
        let mut places: Vec<Option<&str>> =
            namespaces.iter().map(|name| Some(name.as_str())).collect();
        if places.is_empty() {
            places.push(None);
        }
        for namespace in places {
            let users = self.users(namespace, left()).await;
            found.extend(users.found);
            known.unlisted.extend(users.unlisted);
        }
        let mut wanted = tokens(&found);
        while wanted.len() > self.policy.max_secret_reads {
            wanted.pop_last();
            known.unread = Some(Unread::TooMany);
        }
        let limit = left();
        let reads = join_all(wanted.iter().map(|((namespace, secret), keys)| async move {
            let keys: Vec<&str> = keys.keys().map(|key| key.as_str()).collect();
            self.read_secret(namespace, secret.as_str(), &keys, limit)
                .await
        }));
        for (((_, secret), keys), read) in wanted.iter().zip(reads.await) {
            secrets.push((*secret).clone());
            let values = match read {
                SecretRead::Missing => continue,
                SecretRead::Unread(unread) => {
                    known.unread = known.unread.or(Some(unread));
                    continue;
                }
                SecretRead::Found(values) => values,
            };
            for (key, users) in keys {
                let Some(account) = values.get(key.as_str()).and_then(account_of) else {
                    continue;
                };
                let those = known.users.entry(account).or_default();
                for user in users {
                    if !those.contains(user) {
                        those.push((*user).clone());
                    }
                }
            }
        }
        known
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

/// The Secrets that hold tokens, by namespace and name, with each key and who refers to it.
type Tokens<'a> = BTreeMap<(&'a str, &'a Name), BTreeMap<&'a Name, Vec<&'a User>>>;

fn tokens(users: &[User]) -> Tokens<'_> {
    let mut tokens = Tokens::new();
    for user in users {
        let references = user.references.iter();
        for reference in references.filter(|reference| reference.role == Role::Token) {
            // No Secret can have another name, and none must be put into a path.
            if is_object_name(reference.secret.as_str()) {
                let keys = tokens
                    .entry((&user.namespace, &reference.secret))
                    .or_default();
                keys.entry(&reference.key).or_default().push(user);
            }
        }
    }
    tokens
}
