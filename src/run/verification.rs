//! Asking Argo CD's own state: what is read for it, at the same time as everything else, and what comes of it.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::admit::Admission;
use super::password_checks::{Candidate, NotCompared};
use crate::edge::source::{ConfigMapRead, SecretRead, Source};
use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::argocd::certificate::{CERTIFICATE, PRIVATE_KEY};
use keyguard_core::argocd::password::PasswordHash;
use keyguard_core::argocd::settings::{has_readable_certificate, is_settings_key};
use keyguard_core::argocd::verification::{Rejection, State, shown_user};
use keyguard_core::policy::facts::{CredentialFact, CredentialKey, Unread};
use keyguard_core::policy::plan::Lookups;
use keyguard_core::policy::verification::{Untold, Unverified, Verification, Verified};
use keyguard_core::runtime::mode::Mode;
use keyguard_core::runtime::name::Name;
use keyguard_core::runtime::secret_bytes::SecretBytes;
use keyguard_core::runtime::user_name::{Holder, UserName};
use keyguard_core::runtime::value::{Role, ValueDefect};

/// The Secret whose certificate argocd-server takes before that of `argocd-secret`.
const SERVER_TLS: &str = "argocd-server-tls";

/// Argo CD's own state as it was read.
pub(super) struct ArgocdRead {
    pub(super) namespace: String,
    pub(super) secret: SecretRead,
    pub(super) config_map: ConfigMapRead,
}

impl ArgocdRead {
    /// The state, or what could not be read, and why; `None` for the why when there is no `argocd-secret`.
    pub(super) fn state(&self) -> Result<State<'_>, (&'static str, Option<&Unread>)> {
        let secret = match &self.secret {
            SecretRead::Missing => return Err((SECRET, None)),
            SecretRead::Unread(cause) => return Err((SECRET, Some(cause))),
            SecretRead::Found(found) => found,
        };
        let config_map = match &self.config_map {
            ConfigMapRead::Unread(cause) => {
                return Err(("ConfigMap \"argocd-cm\"", Some(cause)));
            }
            // Argo CD finds it by its label only.
            ConfigMapRead::Found(found) => found.labelled.then_some(&found.data),
            ConfigMapRead::Missing => None,
        };
        Ok(State::read(
            secret
                .iter()
                .map(|(key, value)| (key.as_str(), value.expose())),
            config_map.map(|data| {
                data.iter()
                    .map(|(key, value)| (key.as_str(), value.as_str()))
            }),
        ))
    }
}

const SECRET: &str = "Secret \"argocd-secret\"";

/// The names of accounts by what holds them, as they were read. They may be anything.
pub(super) type UserNames =
    BTreeMap<(Holder, Name, Name), Result<Option<Zeroizing<String>>, Unread>>;

/// What was read for one review.
pub(super) struct Reads<'a> {
    pub(super) namespace: &'a str,
    pub(super) secrets: &'a BTreeMap<Name, SecretRead>,
    pub(super) credentials: &'a BTreeMap<CredentialKey, CredentialFact>,
    pub(super) user_names: &'a UserNames,
    pub(super) mode: Mode,
}

impl<S: Source> Admission<S> {
    /// Reads Argo CD's own state in this namespace.
    pub(super) async fn argocd(&self, namespace: &str, deadline: Instant) -> ArgocdRead {
        let secret = async {
            let _turn = self.reads.acquire().await;
            self.source.argocd_secret(namespace, is_settings_key).await
        };
        let config_map = self.source.config_map(namespace, CONFIG_MAP_NAME);
        let (secret, config_map) = tokio::join!(
            timeout_at(deadline, secret),
            timeout_at(deadline, config_map)
        );
        let mut secret = secret.unwrap_or(SecretRead::Unread(Unread::Timeout));
        let config_map = config_map.unwrap_or(ConfigMapRead::Unread(Unread::Timeout));
        self.count_secret(&secret);
        self.count_config_map(&config_map);
        if let SecretRead::Found(found) = &mut secret {
            let entries = found
                .iter()
                .map(|(key, value)| (key.as_str(), value.expose()));
            if !has_readable_certificate(&entries.collect())
                && self.has_other_certificate(namespace, deadline).await
            {
                found.remove(CERTIFICATE);
                found.remove(PRIVATE_KEY);
            }
        }
        ArgocdRead {
            namespace: namespace.to_owned(),
            secret,
            config_map,
        }
    }

    /// Whether `argocd-server-tls` has a certificate in the place of the one in `argocd-secret`.
    pub(super) async fn has_other_certificate(&self, namespace: &str, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let keys = [CERTIFICATE, PRIVATE_KEY];
        match self.read_secret(namespace, SERVER_TLS, &keys, left).await {
            SecretRead::Found(found) => {
                let entries = found
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.expose()));
                found.len() == keys.len() && has_readable_certificate(&entries.collect())
            }
            // Not knowing is no reason to say that Argo CD cannot work.
            SecretRead::Unread(_) => true,
            SecretRead::Missing => false,
        }
    }

    /// Reads the names of the accounts whose passwords are to be verified.
    pub(super) async fn user_names(
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

    pub(super) async fn user_name(
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
                match read {
                    ConfigMapRead::Missing => Ok(None),
                    ConfigMapRead::Unread(unread) => Err(unread),
                    ConfigMapRead::Found(mut found) => {
                        Ok(found.data.remove(key).map(Zeroizing::new))
                    }
                }
            }
            Holder::Secret => {
                let _turn = self.reads.acquire().await;
                let read = self.source.secret(namespace, object, &[key]).await;
                self.count_secret(&read);
                match read {
                    SecretRead::Missing => Ok(None),
                    SecretRead::Unread(unread) => Err(unread),
                    SecretRead::Found(found) => Ok(found.get(key).and_then(|value| {
                        let text = std::str::from_utf8(value.expose()).ok()?;
                        Some(Zeroizing::new(text.to_owned()))
                    })),
                }
            }
        }
    }

    /// What Argo CD's own state says of everything that `lookups` asks it about.
    pub(super) async fn verification(
        &self,
        lookups: &Lookups,
        argocd: Option<ArgocdRead>,
        reads: &Reads<'_>,
        deadline: Instant,
    ) -> Verification {
        let Some(argocd) = argocd else {
            return Verification::NotAsked;
        };
        // A Runtime with an Argo CD of its own has it in its own namespace, and no other knows its credentials.
        if reads.mode.has_own_argocd() && reads.namespace != argocd.namespace {
            return Verification::NotAsked;
        }
        let (judged, compared) = match judge(lookups, &argocd, reads) {
            Ok(judged) => judged,
            Err(verification) => return verification,
        };
        drop(argocd);
        let compared = compared.into_iter().map(|comparison| async move {
            let Comparison {
                key,
                mut rejections,
                wrong,
                hash,
                candidate,
            } = comparison;
            let verified = match self.compared(hash, &candidate, deadline).await {
                Ok(matches) => {
                    rejections.extend((!matches).then_some(wrong));
                    Verified::Judged(rejections)
                }
                Err(unverified) => Verified::Unread(unverified),
            };
            (key, verified)
        });
        let compared = join_all(compared).await;
        Verification::Known(judged.into_iter().chain(compared).collect())
    }

    async fn compared(
        &self,
        hash: PasswordHash,
        candidate: &Candidate<'_>,
        deadline: Instant,
    ) -> Result<bool, Unverified> {
        match timeout_at(deadline, self.passwords.matches(hash, candidate)).await {
            Ok(Ok(matches)) => Ok(matches),
            Ok(Err(NotCompared::Cost(cost))) => Err(Unverified::Cost(cost)),
            Ok(Err(NotCompared::Busy)) => Err(Unverified::Busy),
            Ok(Err(NotCompared::Broken)) | Err(_) => Err(Unverified::Time),
        }
    }
}

type Key = keyguard_core::policy::verification::VerifiedKey;

/// A password that is still to be compared with its hash.
struct Comparison<'a> {
    key: Key,
    rejections: Vec<Rejection>,
    wrong: Rejection,
    hash: PasswordHash,
    candidate: Candidate<'a>,
}

type Judged<'a> = (Vec<(Key, Verified)>, Vec<Comparison<'a>>);

/// Everything that takes no time: what is left is to compare passwords.
fn judge<'a>(
    lookups: &'a Lookups,
    argocd: &ArgocdRead,
    reads: &Reads<'a>,
) -> Result<Judged<'a>, Verification> {
    let state = argocd.state().map_err(|(object, unread)| match unread {
        None => Verification::NotFound(argocd.namespace.clone()),
        Some(unread) => Verification::Unread(object, argocd.namespace.clone(), unread.clone()),
    })?;
    let (mut judged, mut comparisons) = (Vec::new(), Vec::new());
    for key in &lookups.verified {
        let ((name, data_key, role), user_name) = key;
        let Some(SecretRead::Found(found)) = reads.secrets.get(name) else {
            continue;
        };
        let Some(value) = found.get(data_key.as_str()) else {
            continue;
        };
        match role {
            _ if is_resolved_elsewhere(reads, &key.0) => {}
            Role::Token => {
                if let Ok(token) = std::str::from_utf8(value.expose()) {
                    judged.push((key.clone(), Verified::Judged(state.verify(token))));
                }
            }
            // What is certainly wrong need not be compared.
            Role::Password if is_certainly_wrong(reads, &key.0) => {}
            Role::Password => {
                let candidate = Candidate {
                    namespace: reads.namespace,
                    key: data_key.as_str(),
                    password: value,
                };
                match user(user_name.as_ref(), reads.user_names) {
                    Ok(user) => match login(&state, key, user, value, candidate) {
                        Ok(comparison) => comparisons.push(comparison),
                        Err(rejections) => {
                            judged.push((key.clone(), Verified::Judged(rejections)));
                        }
                    },
                    Err(verified) => judged.push((key.clone(), verified)),
                }
            }
        }
    }
    Ok((judged, comparisons))
}

fn login<'a>(
    state: &State<'_>,
    key: &Key,
    user: &str,
    value: &SecretBytes,
    candidate: Candidate<'a>,
) -> Result<Comparison<'a>, Vec<Rejection>> {
    let (rejections, hash) = state.login(user, value.expose());
    let Some(hash) = hash else {
        return Err(rejections);
    };
    Ok(Comparison {
        key: key.clone(),
        rejections,
        wrong: Rejection::WrongPassword(shown_user(user, value.expose())),
        hash,
        candidate,
    })
}

/// What only a container resolves cannot be verified.
fn is_resolved_elsewhere(reads: &Reads<'_>, key: &CredentialKey) -> bool {
    let fact = reads.credentials.get(key);
    matches!(fact, Some(CredentialFact::Value(defects)) if defects.contains(&ValueDefect::VaultReference))
}

fn is_certainly_wrong(reads: &Reads<'_>, key: &CredentialKey) -> bool {
    match reads.credentials.get(key) {
        Some(CredentialFact::Value(defects)) => {
            defects.iter().any(|defect| defect.is_certain(key.2))
        }
        _ => true,
    }
}

/// Whose password it is.
fn user<'a>(user_name: Option<&'a UserName>, known: &'a UserNames) -> Result<&'a str, Verified> {
    let missing = Verified::UserNameUntold(Untold::Missing);
    match user_name {
        None | Some(UserName::Untold) => Err(Verified::UserNameUntold(Untold::Template)),
        Some(UserName::Plain(name)) => Ok(name.as_str()),
        Some(UserName::From(holder, object, key)) => {
            match known.get(&(*holder, object.clone(), key.clone())) {
                Some(Ok(Some(name))) if !name.is_empty() => Ok(name.as_str()),
                Some(Ok(_)) | None => Err(missing),
                Some(Err(unread)) => Err(Verified::Unread(Unverified::UserName(unread.clone()))),
            }
        }
    }
}

#[cfg(test)]
#[path = "verification_tests.rs"]
mod tests;
