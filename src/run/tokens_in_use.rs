//! The tokens that workloads use: found in the namespaces of the Runtimes, and read, within bounds.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use tokio::time::{Duration, Instant, timeout};

use super::admit::{Admission, outcome};
use crate::edge::metrics::ReadOutcome;
use crate::edge::source::{SecretRead, Source};
use keyguard_core::policy::facts::Unread;
use keyguard_core::policy::in_use::{Unlisted, Users};
use keyguard_core::policy::plan::is_object_name;
use keyguard_core::runtime::credential::Reference;
use keyguard_core::runtime::name::Name;
use keyguard_core::runtime::secret_bytes::SecretBytes;
use keyguard_core::runtime::user::User;
use keyguard_core::runtime::value::Role;

/// The tokens that workloads use, as far as they could be found and read.
#[derive(Default)]
pub(super) struct TokensInUse {
    /// Each token with the workloads that read it.
    pub(super) found: Vec<TokenInUse>,
    /// The Secrets that were asked for.
    pub(super) secrets: Vec<Name>,
    /// Where workloads could not be looked through.
    pub(super) unlisted: Vec<Unlisted>,
    /// Why a Secret could not be read.
    pub(super) unread: Option<Unread>,
}

/// A token, and who reads it by which reference.
pub(super) struct TokenInUse {
    pub(super) value: SecretBytes,
    pub(super) users: Vec<(User, Reference)>,
}

impl<S: Source> Admission<S> {
    /// Looks for them in the namespaces of the Runtimes, or in every one when none is named.
    pub(super) async fn tokens_in_use(&self, limit: Duration) -> TokensInUse {
        let deadline = Instant::now() + limit;
        let left = || deadline.saturating_duration_since(Instant::now());
        let namespaces = &self.policy.guard.runtime_namespaces;
        let mut tokens = TokensInUse::default();
        let mut users = Vec::new();
        let mut places: Vec<Option<&str>> =
            namespaces.iter().map(|name| Some(name.as_str())).collect();
        if places.is_empty() {
            places.push(None);
        }
        for namespace in places {
            let in_one = self.users(namespace, left()).await;
            users.extend(in_one.found);
            tokens.unlisted.extend(in_one.unlisted);
        }
        let mut wanted = wanted(&users);
        while wanted.len() > self.policy.max_secret_reads {
            wanted.pop_last();
            tokens.unread = Some(Unread::TooMany);
        }
        let limit = left();
        let reads = join_all(wanted.iter().map(|((namespace, secret), keys)| async move {
            let keys: Vec<&str> = keys.keys().map(|key| key.as_str()).collect();
            self.read_secret(namespace, secret.as_str(), &keys, limit)
                .await
        }));
        for (((_, secret), keys), read) in wanted.iter().zip(reads.await) {
            tokens.secrets.push((*secret).clone());
            let mut values = match read {
                SecretRead::Missing => continue,
                SecretRead::Unread(unread) => {
                    tokens.unread = tokens.unread.or(Some(unread));
                    continue;
                }
                SecretRead::Found(values) => values,
            };
            let found = keys.iter().filter_map(|(key, users)| {
                let users = users.iter();
                Some(TokenInUse {
                    value: values.remove(key.as_str())?,
                    users: users
                        .map(|(user, reference)| ((*user).clone(), (*reference).clone()))
                        .collect(),
                })
            });
            tokens.found.extend(found);
        }
        tokens
    }

    /// The workloads of one namespace, or of all, that refer to a credential.
    pub(super) async fn users(&self, namespace: Option<&str>, limit: Duration) -> Users {
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
}

/// The Secrets that hold tokens, by namespace and name, with each key and who refers to it.
type Wanted<'a> = BTreeMap<(&'a str, &'a Name), BTreeMap<&'a Name, Vec<(&'a User, &'a Reference)>>>;

fn wanted(users: &[User]) -> Wanted<'_> {
    let mut wanted = Wanted::new();
    for user in users {
        let references = user.references.iter();
        for reference in references.filter(|reference| reference.role == Role::Token) {
            // No Secret can have another name, and none must be put into a path.
            if is_object_name(reference.secret.as_str()) {
                let keys = wanted
                    .entry((&user.namespace, &reference.secret))
                    .or_default();
                keys.entry(&reference.key)
                    .or_default()
                    .push((user, reference));
            }
        }
    }
    wanted
}
