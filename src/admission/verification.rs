//! Asking Argo CD's own state: what is read for it, at the same time as everything else, and what comes of it.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;
use zeroize::Zeroizing;

use crate::admission::argocd_read::{ArgocdRead, SERVER_TLS, SERVER_TLS_KEYS};
use crate::admission::lookups::{Admission, within};
use crate::admission::password_checks::Candidate;
use crate::sources::source::{SecretRead, Source};
use crate::telemetry::spans;
use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::argocd::settings::is_settings_key;
use keyguard_core::argocd::verification::State;
use keyguard_core::credential::{Credential, is_to_be_asked_about, rejections, to_compare};
use keyguard_core::policy::facts::{CredentialFact, CredentialKey, ModeFact, Unread};
use keyguard_core::policy::facts::{Untold, Unverified, Verification, Verified, VerifiedKey};
use keyguard_core::policy::plan::Lookups;
use keyguard_core::runtime::name::Name;
use keyguard_core::runtime::user_name::{Holder, UserName};
use keyguard_core::runtime::value::{Role, ValueDefect};

/// The names of accounts by what holds them, as they were read. They may be anything.
pub(crate) type UserNames =
    BTreeMap<(Holder, Name, Name), Result<Option<Zeroizing<String>>, Unread>>;

/// What was read for one review.
pub(crate) struct Reads<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) secrets: &'a BTreeMap<Name, SecretRead>,
    pub(crate) credentials: &'a BTreeMap<CredentialKey, CredentialFact>,
    pub(crate) user_names: &'a UserNames,
    pub(crate) mode: &'a ModeFact,
}

impl<S: Source> Admission<S> {
    /// Reads Argo CD's own state in this namespace.
    pub(crate) async fn argocd(&self, namespace: &str, deadline: Instant) -> ArgocdRead {
        let left = deadline.saturating_duration_since(Instant::now());
        let secret = async {
            let _turn = self.reads.acquire().await;
            self.source.argocd_secret(namespace, is_settings_key).await
        };
        let secret = async {
            let read = within(left, namespace, secret).await;
            self.count_secret(&read);
            read
        };
        let config_map = self.config_map(namespace, CONFIG_MAP_NAME, left);
        let server_tls = self.server_tls(namespace, deadline);
        ArgocdRead::read(namespace, secret, config_map, server_tls).await
    }

    /// Reads the Secret whose certificate argocd-server takes first.
    pub(crate) async fn server_tls(&self, namespace: &str, deadline: Instant) -> SecretRead {
        let left = deadline.saturating_duration_since(Instant::now());
        self.read_secret(namespace, SERVER_TLS, &SERVER_TLS_KEYS, left)
            .await
    }

    /// Reads the names of the accounts whose passwords are to be verified.
    pub(crate) async fn user_names(
        &self,
        namespace: &str,
        lookups: &Lookups,
        deadline: Instant,
    ) -> UserNames {
        let wanted = lookups.user_names(self.policy.max_secret_reads).into_iter();
        let names = wanted.map(|(holder, object, key)| async move {
            let read = self.user_name(namespace, holder, object.as_str(), key.as_str());
            let read = timeout_at(deadline, read).await;
            ((holder, object, key), read.unwrap_or(Err(Unread::Timeout)))
        });
        join_all(names).await.into_iter().collect()
    }

    pub(crate) async fn user_name(
        &self,
        namespace: &str,
        holder: Holder,
        object: &str,
        key: &str,
    ) -> Result<Option<Zeroizing<String>>, Unread> {
        match holder {
            Holder::ConfigMap => {
                let read = self.source.config_map(namespace, object).await;
                self.count_config_map(&read);
                let found = read.found()?;
                let name = found.and_then(|mut found| found.data.remove(key));
                Ok(name.map(Zeroizing::new))
            }
            Holder::Secret => {
                let _turn = self.reads.acquire().await;
                let read = self.source.secret(namespace, object, &[key]).await;
                self.count_secret(&read);
                let found = read.found()?;
                let value = found.as_ref().and_then(|found| found.get(key));
                let text = value.and_then(|value| std::str::from_utf8(value.expose()).ok());
                Ok(text.map(|text| Zeroizing::new(text.to_owned())))
            }
        }
    }

    /// What Argo CD's own state says of everything that `lookups` asks it about.
    pub(crate) async fn verification(
        &self,
        lookups: &Lookups,
        argocd: Option<ArgocdRead>,
        reads: &Reads<'_>,
        deadline: Instant,
    ) -> Verification {
        let Some(argocd) = argocd.filter(|it| it.is_of(reads.namespace, reads.mode)) else {
            return Verification::NotAsked;
        };
        let state = match argocd.state() {
            Ok(state) => state,
            Err((_, None)) => return Verification::NotFound(argocd.namespace.clone()),
            Err((object, Some(unread))) => {
                let namespace = argocd.namespace.clone();
                return Verification::Unread(object, namespace, unread.clone());
            }
        };
        let verified = lookups.verified.iter();
        let verified = verified.map(|key| async {
            let verified = self.verified(key, &state, reads, deadline).await;
            Some((key.clone(), verified?))
        });
        let verified = join_all(verified).await;
        Verification::Known(verified.into_iter().flatten().collect())
    }

    /// What Argo CD's state says of one credential; `None` when there is nothing to ask it about.
    async fn verified(
        &self,
        ((name, data_key, role), user_name): &VerifiedKey,
        state: &State<'_>,
        reads: &Reads<'_>,
        deadline: Instant,
    ) -> Option<Verified> {
        let SecretRead::Found(found) = reads.secrets.get(name)? else {
            return None;
        };
        let value = found.get(data_key.as_str())?;
        let named = (name.clone(), data_key.clone(), *role);
        let CredentialFact::Value(values) = reads.credentials.get(&named)? else {
            return None;
        };
        if *role == Role::Token {
            let rejections = rejections(&Credential::Token(value), values, state);
            return rejections.map(Verified::Judged);
        }
        if !is_to_be_asked_about(*role, values) {
            return None;
        }
        let user = match user(user_name.as_ref(), reads.user_names) {
            Ok(user) => user,
            Err(untold) => return Some(untold),
        };
        let candidate = Candidate {
            namespace: reads.namespace,
            key: data_key.as_str(),
            password: value,
        };
        let matches = self.matches(user, values, state, &candidate, deadline);
        match matches.await {
            Err(unverified) => Some(Verified::Unread(unverified)),
            Ok(matches) => {
                let password = Credential::Password {
                    user,
                    value,
                    matches,
                };
                rejections(&password, values, state).map(Verified::Judged)
            }
        }
    }

    /// Whether a password is the one of this account; `None` when comparing it would change nothing.
    pub(crate) async fn matches(
        &self,
        user: &str,
        values: &[ValueDefect],
        state: &State<'_>,
        candidate: &Candidate<'_>,
        deadline: Instant,
    ) -> Result<Option<bool>, Unverified> {
        let Some(hash) = to_compare(user, values, state) else {
            return Ok(None);
        };
        let compared = timeout_at(deadline, self.passwords.matches(hash, candidate));
        let compared = compared.instrument(spans::step("compare a password"));
        compared.await.unwrap_or(Err(Unverified::Time)).map(Some)
    }
}

/// Whose password it is.
fn user<'a>(user_name: Option<&'a UserName>, known: &'a UserNames) -> Result<&'a str, Verified> {
    let (holder, object, key) = match user_name {
        None | Some(UserName::Untold) => return Err(Verified::UserNameUntold(Untold::Template)),
        Some(UserName::Plain(name)) => return Ok(name.as_str()),
        Some(UserName::From(holder, object, key)) => (*holder, object.clone(), key.clone()),
    };
    match known.get(&(holder, object, key)) {
        Some(Ok(Some(name))) if !name.is_empty() => Ok(name.as_str()),
        Some(Err(unread)) => Err(Verified::Unread(Unverified::UserName(unread.clone()))),
        Some(Ok(_)) | None => Err(Verified::UserNameUntold(Untold::Missing)),
    }
}

#[cfg(test)]
#[path = "verification_tests.rs"]
mod tests;
