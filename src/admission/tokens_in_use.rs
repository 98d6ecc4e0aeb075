//! The tokens that workloads use: found in the namespaces of the Runtimes, and read, within bounds.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use futures_util::future::join_all;
use tokio::time::{Duration, Instant, timeout, timeout_at};
use tracing::Instrument as _;
use zeroize::Zeroizing;

use crate::admission::lookups::{Admission, outcome};
use crate::sources::source::Source;
use crate::telemetry::labels::ReadOutcome;
use crate::telemetry::spans;
use keyguard_core::policy::accounts_in_use::argocd_namespace;
use keyguard_core::policy::facts::Unread;
use keyguard_core::policy::plan::is_object_name;
use keyguard_core::policy::users::{Unlisted, Users};
use keyguard_core::runtime::credential::Reference;
use keyguard_core::runtime::name::Name;
use keyguard_core::runtime::secret_bytes::SecretBytes;
use keyguard_core::runtime::user::User;
use keyguard_core::runtime::user_name::{Holder, UserName};
use keyguard_core::runtime::value::Role;

/// The tokens that workloads use, as far as they could be found and read.
#[derive(Default)]
pub(crate) struct TokensInUse {
    /// Each token with the workloads that read it.
    pub(crate) found: Vec<TokenInUse>,
    /// All workloads that refer to a credential.
    pub(crate) users: Vec<User>,
    /// The Secrets that were asked for.
    pub(crate) secrets: Vec<Name>,
    /// Where workloads could not be looked through.
    pub(crate) unlisted: Vec<Unlisted>,
    /// Why a Secret could not be read.
    pub(crate) unread: Option<Unread>,
}

/// The accounts that workloads log in as.
#[derive(Default)]
pub(crate) struct Logins {
    /// A workload, its reference to the password, and the account. The name may be anything that a person wrote.
    pub(crate) found: Vec<(User, Reference, String)>,
    /// Why the name of an account could not be read.
    pub(crate) unread: Option<Unread>,
}

/// A token, and who reads it by which reference.
pub(crate) struct TokenInUse {
    pub(crate) value: SecretBytes,
    pub(crate) users: Vec<(User, Reference)>,
}

/// The names of accounts that were read, by namespace, object and key.
type Names<'a> =
    BTreeMap<(&'a str, Holder, &'a str, &'a str), Result<Option<Zeroizing<String>>, Unread>>;

impl<S: Source> Admission<S> {
    /// Looks for them in the namespaces of the Runtimes, or in every one when none is named.
    pub(crate) async fn tokens_in_use(&self, limit: Duration) -> TokensInUse {
        let deadline = Instant::now() + limit;
        let left = || deadline.saturating_duration_since(Instant::now());
        let namespaces = self.policy.guard.runtime_namespaces.iter();
        let mut places: Vec<Option<&str>> = namespaces.map(|name| Some(name.as_str())).collect();
        if places.is_empty() {
            places.push(None);
        }
        let mut tokens = TokensInUse::default();
        let mut users = Vec::new();
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
            let mut values = match read.found() {
                Ok(values) => values.unwrap_or_default(),
                Err(unread) => {
                    tokens.unread = tokens.unread.or(Some(unread));
                    continue;
                }
            };
            let found = keys.iter().filter_map(|(key, users)| {
                let users = users.iter();
                let owned = users.map(|(user, reference)| ((*user).clone(), (*reference).clone()));
                Some(TokenInUse {
                    value: values.remove(key.as_str())?,
                    users: owned.collect(),
                })
            });
            tokens.found.extend(found);
        }
        tokens.users = users;
        tokens
    }

    /// The accounts that these workloads log in as with a password, as far as they can be told.
    pub(crate) async fn logins(&self, users: &[User], deadline: Instant) -> Logins {
        let mut logins = Logins::default();
        let mut names = Names::new();
        for user in users {
            let references = user.references.iter();
            // What is read as the token too is no password.
            for reference in references.filter(|it| !it.made_by_a_person) {
                let Some(user_name) = &reference.user_name else {
                    continue;
                };
                let account = self.account(&user.namespace, user_name, &mut names, deadline);
                match account.await {
                    Ok(Some(account)) if !account.is_empty() => {
                        let login = (user.clone(), reference.clone(), account.to_string());
                        logins.found.push(login);
                    }
                    Ok(_) => {}
                    Err(unread) => logins.unread = Some(unread),
                }
            }
        }
        logins
    }

    /// The account of this name, read once for all that refer to it.
    async fn account<'a>(
        &self,
        namespace: &'a str,
        user_name: &'a UserName,
        names: &mut Names<'a>,
        deadline: Instant,
    ) -> Result<Option<Zeroizing<String>>, Unread> {
        let (holder, object, key) = match user_name {
            UserName::Plain(name) => return Ok(Some(Zeroizing::new(name.as_str().to_owned()))),
            UserName::From(holder, object, key) => (*holder, object.as_str(), key.as_str()),
            UserName::Untold => return Ok(None),
        };
        if !is_object_name(object) {
            return Ok(None);
        }
        let is_full = names.len() >= self.policy.max_secret_reads;
        match names.entry((namespace, holder, object, key)) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(_) if is_full => Err(Unread::TooMany),
            Entry::Vacant(place) => {
                let read = self.user_name(namespace, holder, object, key);
                let read = timeout_at(deadline, read).await;
                place.insert(read.unwrap_or(Err(Unread::Timeout))).clone()
            }
        }
    }

    /// Whether these workloads talk to the Argo CD in `namespace`, by the namespace of each; `None` where it cannot be told.
    pub(crate) async fn talk_to(
        &self,
        namespace: &str,
        users: &[&User],
        deadline: Instant,
    ) -> BTreeMap<String, Option<bool>> {
        let mut known = BTreeMap::new();
        for user in users {
            let place = &user.namespace;
            if known.contains_key(place) {
                continue;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let mode = self.mode(place, true, left).await;
            let configured = self.policy.argocd_namespace.as_deref();
            let argocd = argocd_namespace(place, &mode, configured);
            known.insert(place.clone(), argocd.map(|argocd| argocd == namespace));
        }
        known
    }

    /// The workloads of one namespace, or of all, that refer to a credential.
    pub(crate) async fn users(&self, namespace: Option<&str>, limit: Duration) -> Users {
        let unlisted = |kind, why| Unlisted {
            kind,
            namespace: namespace.map(str::to_owned),
            why,
        };
        let found = match namespace.is_none_or(is_object_name) {
            true => timeout(limit, self.searches.workloads(namespace))
                .instrument(spans::step("look through workloads"))
                .await
                .map_err(|_| Unread::Timeout),
            false => Err(Unread::Garbled),
        };
        let users = match found {
            Ok(read) => Users {
                found: read.users.clone(),
                unlisted: (read.unread.clone()).map(|(kind, why)| unlisted(Some(kind), why)),
            },
            Err(why) => Users {
                found: Vec::new(),
                unlisted: Some(unlisted(None, why)),
            },
        };
        self.metrics.workload_searches.inc(match &users.unlisted {
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
