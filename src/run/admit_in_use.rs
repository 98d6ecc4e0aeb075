//! The pipeline for what others use: who does is looked up, and the verdict names them.

use futures_util::future::join_all;
use tokio::time::{Duration, Instant, timeout};

use super::admit::{Admission, Outcome, unix_now};
use crate::edge::source::{ConfigMapRead, Source};
use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::policy::accounts_in_use::{AccountsUse, account_of};
use keyguard_core::policy::argocd_secret::{ArgocdSecretUse, Change, Lost, lost};
use keyguard_core::policy::facts::ModeFact;
use keyguard_core::policy::in_use::{InUse, Need, Search, need};
use keyguard_core::policy::plan::is_object_name;
use keyguard_core::policy::secrets_in_use::{SecretUse, compare, mode_matters, suspects};
use keyguard_core::review::request::Request;
use keyguard_core::review::secret::SecretChange;
use keyguard_core::runtime::credential::Reference;
use keyguard_core::runtime::mode::Mode;
use keyguard_core::runtime::name::Name;
use keyguard_core::runtime::user::User;

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
            Search::ArgocdSecret => {
                let known = self.argocd_secret_use(namespace, change, limit, &mut secrets);
                InUse::ArgocdSecret(known.await)
            }
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
        let tokens = self.tokens_in_use(limit).await;
        secrets.extend(tokens.secrets);
        let mut known = AccountsUse {
            unlisted: tokens.unlisted,
            unread: tokens.unread,
            ..AccountsUse::default()
        };
        for token in tokens.found {
            let Some(account) = account_of(&token.value) else {
                continue;
            };
            let those = known.users.entry(account).or_default();
            for (user, _) in token.users {
                if !those.contains(&user) {
                    those.push(user);
                }
            }
        }
        known
    }

    /// Whose token Argo CD accepts now, and will not after the change.
    async fn argocd_secret_use(
        &self,
        namespace: &str,
        change: SecretChange,
        limit: Duration,
        secrets: &mut Vec<Name>,
    ) -> ArgocdSecretUse {
        let deadline = Instant::now() + limit;
        let old = change.old.unwrap_or_default();
        let change = Change::of(&old, change.new.as_ref());
        if !change.may_revoke() {
            return ArgocdSecretUse::default();
        }
        let (config_map, namespace_ends, tokens) = tokio::join!(
            self.config_map(namespace, CONFIG_MAP_NAME, limit),
            self.namespace_ends(namespace, limit),
            self.tokens_in_use(limit),
        );
        secrets.extend(tokens.secrets);
        let mut known = ArgocdSecretUse {
            namespace_ends,
            unlisted: tokens.unlisted,
            unread: tokens.unread,
            ..ArgocdSecretUse::default()
        };
        let config_map = match config_map {
            ConfigMapRead::Found(data) => Some(data),
            ConfigMapRead::Missing => None,
            ConfigMapRead::Unread(unread) => {
                known.config_map = Some(unread);
                return known;
            }
        };
        let states = change.states(config_map.as_ref());
        let now = unix_now();
        let left = deadline.saturating_duration_since(Instant::now());
        let found = tokens.found.into_iter().filter_map(|token| {
            let rejections = lost(&token.value, &states, now);
            (!rejections.is_empty()).then_some((rejections, token.users))
        });
        let found = found.map(|(rejections, users)| async move {
            let users = self.needed(users, left).await;
            Lost { rejections, users }
        });
        known.lost = join_all(found).await;
        known
    }

    /// How much each of these workloads needs the token that it refers to.
    async fn needed(&self, users: Vec<(User, Reference)>, limit: Duration) -> Vec<(User, Need)> {
        let depends = |reference: &Reference| mode_matters(reference.secret.as_str());
        // All of them read one Secret, so that they are in one namespace.
        let mode = match users.iter().find(|(_, reference)| depends(reference)) {
            Some((user, _)) => self.mode(&user.namespace, true, limit).await.mode(),
            None => Mode::Unknown,
        };
        let users = users.into_iter();
        users
            .filter_map(|(user, reference)| Some((user, need(&reference, mode)?)))
            .collect()
    }

    async fn namespace_ends(&self, namespace: &str, limit: Duration) -> bool {
        is_object_name(namespace)
            && timeout(limit, self.source.namespace_ends(namespace))
                .await
                .unwrap_or(false)
    }
}
