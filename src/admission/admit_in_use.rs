//! The pipeline for what others use: who does is looked up, and the verdict names them.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use tokio::time::{Duration, Instant, timeout};

use crate::admission::argocd_read::{ArgocdRead, has_certificate};
use crate::admission::lookups::{Admission, Outcome, unix_now};
use crate::admission::password_checks::Candidate;
use crate::admission::tokens_in_use::TokenInUse;
use crate::sources::source::{ConfigMap, ConfigMapRead, SecretRead, Source};
use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::argocd::claims::Capability;
use keyguard_core::argocd::settings::SIGNING_KEY;
use keyguard_core::argocd::shown::Shown;
use keyguard_core::credential::{Credential, account_of_token, works};
use keyguard_core::policy::accounts_in_use::AccountsUse;
use keyguard_core::policy::argocd_secret::{ArgocdSecretUse, Lost};
use keyguard_core::policy::argocd_secret_change::{Change, lost, lost_login};
use keyguard_core::policy::facts::{ModeFact, Unread, Unverified};
use keyguard_core::policy::in_use::{InUse, Search};
use keyguard_core::policy::plan::is_object_name;
use keyguard_core::policy::secret_values::{Compared, compare, suspects};
use keyguard_core::policy::secrets_in_use::{SecretUse, Unasked, mode_matters};
use keyguard_core::policy::subject::{Case, Operation, Subject};
use keyguard_core::policy::users::{Need, need};
use keyguard_core::review::request::Request;
use keyguard_core::review::secret::SecretChange;
use keyguard_core::runtime::credential::Reference;
use keyguard_core::runtime::mode::{Mode, is_initial_password};
use keyguard_core::runtime::name::Name;
use keyguard_core::runtime::secret_bytes::SecretBytes;
use keyguard_core::runtime::user::User;
use keyguard_core::runtime::value::{Role, examine};

impl<S: Source> Admission<S> {
    /// Decides on a request whose verdict depends on who uses what it changes.
    pub(crate) async fn admit_in_use(
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
            Search::Accounts => {
                InUse::Accounts(self.accounts_use(&request.case, limit, &mut secrets).await)
            }
            Search::ArgocdSecret => {
                let known = self.argocd_secret_use(&request.case, change, limit, &mut secrets);
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
        let deadline = Instant::now() + limit;
        let configured = self.policy.argocd_namespace.as_deref();
        let (users, namespace_ends, mode, argocd) = tokio::join!(
            self.users(Some(namespace), limit),
            self.namespace_ends(namespace, limit),
            async {
                match mode || configured.is_some() {
                    true => self.mode(namespace, true, limit).await,
                    false => ModeFact::NotNeeded,
                }
            },
            async { Some(self.argocd(configured?, deadline).await) }
        );
        let now = unix_now();
        let argocd = argocd.filter(|it| it.is_of(namespace, &mode));
        let (old, new) = (change.old.unwrap_or_default(), change.new.as_ref());
        let states = argocd.as_ref().map(|argocd| {
            let state = || argocd.state().map_err(|why| unasked(argocd, why));
            Ok([state()?, state()?.after_start(now)])
        });
        let (states, mut unverified) = match states.transpose() {
            Ok(states) => (states, None),
            Err(unasked) => (None, Some(unasked)),
        };
        let mut compared = Compared::new();
        if let Some([state, _]) = &states {
            let logins = self.logins(&users.found, deadline).await;
            unverified = logins
                .unread
                .map(Unverified::UserName)
                .map(Unasked::Password);
            for (_, reference, user) in logins.found {
                let key = (reference.key, user);
                if reference.secret != *name || compared.contains_key(&key) {
                    continue;
                }
                let mut both = [None; 2];
                for (data, matches) in [Some(&old), new].into_iter().zip(&mut both) {
                    let Some(password) = data.and_then(|data| data.get(key.0.as_str())) else {
                        continue;
                    };
                    let values = examine(Role::Password, password, now);
                    let candidate = Candidate {
                        namespace,
                        key: key.0.as_str(),
                        password,
                    };
                    let found = self.matches(&key.1, &values, state, &candidate, deadline);
                    match found.await {
                        Ok(found) => *matches = found,
                        Err(why) => unverified = Some(Unasked::Password(why)),
                    }
                }
                compared.insert(key, both);
            }
        }
        let asked = states.as_ref().map(|states| (states, &compared));
        SecretUse {
            values: compare(name, &users.found, &old, new, asked, now),
            unverified,
            suspects: match users.unlisted {
                Some(_) => suspects(name, &old, new, now),
                None => Default::default(),
            },
            users,
            namespace_ends,
            mode,
        }
    }

    /// Who uses which account of the Argo CD whose `argocd-cm` changes.
    async fn accounts_use(
        &self,
        case: &Case,
        limit: Duration,
        secrets: &mut Vec<Name>,
    ) -> AccountsUse {
        let namespace = &case.namespace;
        let deadline = Instant::now() + limit;
        let (tokens, mut argocd) =
            tokio::join!(self.tokens_in_use(limit), self.argocd(namespace, deadline));
        if let Subject::Accounts { old: Some(old), .. } = &case.subject {
            argocd.config_map = ConfigMapRead::Found(ConfigMap {
                data: old.data.clone(),
                labelled: old.labelled,
            });
        }
        let state = match argocd.state() {
            Ok(state) => Some(state),
            // Without argocd-secret nothing works that could be lost.
            Err((_, None)) => return AccountsUse::default(),
            Err((_, Some(_))) => None,
        };
        secrets.extend(tokens.secrets);
        let logins = self.logins(&tokens.users, deadline).await;
        let key = match &argocd.secret {
            SecretRead::Found(found) => found.get(SIGNING_KEY).map(SecretBytes::expose),
            SecretRead::Missing | SecretRead::Unread(_) => None,
        };
        let mut asked: Vec<&User> = Vec::new();
        if state.is_none() {
            asked.extend(&tokens.users);
        }
        for (user, ..) in &logins.found {
            asked.push(user);
        }
        let ours = self.talk_to(namespace, &asked, deadline).await;
        let is_ours = |user: &User| ours.get(&user.namespace).copied().flatten();
        let mut known = AccountsUse {
            unlisted: tokens.unlisted,
            unread: tokens.unread.or(logins.unread),
            ..AccountsUse::default()
        };
        let now = unix_now();
        let left = deadline.saturating_duration_since(Instant::now());
        let signed_for = tokens_signed_for(&tokens.found, key);
        let found = tokens.found.into_iter().filter_map(|token| {
            let account = match (&state, key) {
                (Some(_), None) => None,
                (_, key) => account_of_token(&token.value, key),
            };
            // What does not work is not lost.
            let works = works(&Credential::Token(&token.value), state.as_ref(), now).is_ok();
            Some((account?, works, token.users))
        });
        let found = found.map(|(account, works, users)| async move {
            (account, works, self.needed(users, left).await)
        });
        for (account, works, users) in join_all(found).await {
            for (user, need) in users {
                match (&state, is_ours(&user)) {
                    (Some(_), _) | (None, Some(true)) => {}
                    (None, Some(false)) => continue,
                    (None, None) => {
                        if let SecretRead::Unread(unread) = &argocd.secret {
                            known.unread = Some(unread.clone());
                        }
                        continue;
                    }
                }
                match works && need == Need::Certain {
                    true => known.add(account.clone(), &user, Capability::ApiKey),
                    false => known.add_uncertain(account.clone(), &user),
                }
            }
        }
        for (user, reference, account) in logins.found {
            let ours = is_ours(&user).unwrap_or_else(|| signed_for.contains(&user.namespace));
            match (ours, reference.optional) {
                (true, false) => known.add(account, &user, Capability::Login),
                (true, true) => known.add_uncertain(account, &user),
                // Nobody is told who uses what of an Argo CD that may be another.
                (false, _) => {}
            }
        }
        known
    }

    /// Whose token Argo CD accepts now, and will not after the change; and who logs in with what changes.
    async fn argocd_secret_use(
        &self,
        case: &Case,
        change: SecretChange,
        limit: Duration,
        secrets: &mut Vec<Name>,
    ) -> ArgocdSecretUse {
        let namespace = &case.namespace;
        let deadline = Instant::now() + limit;
        let hidden = matches!(case.subject, Subject::ArgocdSecret { hidden: true });
        let old = change.old.unwrap_or_default();
        let mut change = Change::of(&old, change.new.as_ref().filter(|_| !hidden));
        if change.breaks_the_certificate()
            && has_certificate(&self.server_tls(namespace, deadline).await)
        {
            change = change.with_other_certificate();
        }
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
        let config_map = match config_map.found() {
            // Argo CD finds it by its label only.
            Ok(found) => found.filter(|it| it.labelled).map(|it| it.data),
            Err(unread) => {
                known.config_map = Some(unread);
                return known;
            }
        };
        let now = unix_now();
        let states = change.states(config_map.as_ref(), now);
        let left = deadline.saturating_duration_since(Instant::now());
        let key = old.get(SIGNING_KEY).map(SecretBytes::expose);
        let signed_for = tokens_signed_for(&tokens.found, key);
        let found = tokens.found.into_iter().filter_map(|token| {
            let (rejections, doomed) = lost(&token.value, &states, now)?;
            Some((rejections, doomed, token.users))
        });
        let found = found.map(|(rejections, doomed, users)| async move {
            Lost {
                rejections,
                doomed,
                users: self.needed(users, left).await,
            }
        });
        known.lost = join_all(found).await;
        let logins = self.logins(&tokens.users, deadline).await;
        known.unread = known.unread.or(logins.unread);
        let asked: Vec<&User> = logins.found.iter().map(|(user, ..)| user).collect();
        let ours = self.talk_to(namespace, &asked, deadline).await;
        for (user, reference, account) in logins.found {
            let told = ours.get(&user.namespace).copied().flatten();
            if !told.unwrap_or_else(|| signed_for.contains(&user.namespace)) {
                continue;
            }
            if let Some((rejections, doomed)) = lost_login(&account, &states) {
                // argocd-server itself writes the initial password again when it makes another.
                let need = match reference.optional || is_initial_password(&reference) {
                    true => Need::Uncertain,
                    false => Need::Certain,
                };
                known.lost.push(Lost {
                    rejections,
                    doomed,
                    users: vec![(user, need)],
                });
            } else if case.operation == Operation::Update && change.replaces_password(&account) {
                let account = Shown::of(&account, &[]);
                known.logins.push((user, reference, account));
            }
        }
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

/// Why Argo CD's own state cannot be asked.
fn unasked(argocd: &ArgocdRead, (object, cause): (&'static str, Option<&Unread>)) -> Unasked {
    let namespace = argocd.namespace.clone();
    match cause {
        None => Unasked::NotFound(namespace),
        Some(cause) => Unasked::Argocd(object, namespace, cause.clone()),
    }
}

/// The namespaces with a token that this key signed: where nothing else tells, their workloads talk to its Argo CD.
fn tokens_signed_for(tokens: &[TokenInUse], key: Option<&[u8]>) -> BTreeSet<String> {
    let signed = tokens
        .iter()
        .filter(|token| key.is_some() && account_of_token(&token.value, key).is_some());
    let users = signed.flat_map(|token| &token.users);
    users.map(|(user, _)| user.namespace.clone()).collect()
}
