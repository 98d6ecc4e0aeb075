//! Changes of Argo CD's own Secret: whether the token of a workload stops to work.

use std::collections::BTreeMap;

use crate::argocd::accounts::ADMIN;
use crate::argocd::revocation::{Entries, may_revoke};
use crate::argocd::settings::{SECRET_NAME, SIGNING_KEY, SettingsError, is_settings_key, key};
use crate::argocd::shown::Shown;
use crate::argocd::token::{TokenDefect, inspect};
use crate::argocd::verification::{Rejection, State};
use crate::policy::credentials::OnError;
use crate::policy::cut::quoted;
use crate::policy::facts::Unread;
use crate::policy::in_use::{Gap, Need, Unlisted, named_with_namespace};
use crate::policy::rules::Rule;
use crate::policy::verdict::{Finding, Severity};
use crate::runtime::secret_bytes::{SecretBytes, SecretData};
use crate::runtime::user::User;

const LIFT: &str = "If it has to be, lift this rule for the one change by the annotation keyguard.dev/allow, and give \
                    these workloads a new API key at once: argocd account generate-token";

/// What is known when a change of `argocd-secret` is judged; of what it holds, only what comes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArgocdSecretUse {
    /// Whether the namespace is known to be on its way out.
    pub namespace_ends: bool,
    /// The tokens that workloads use, and that Argo CD accepts before the change and not after.
    pub lost: Vec<Lost>,
    /// Where workloads could not be looked through.
    pub unlisted: Vec<Unlisted>,
    /// Why a token that a workload refers to could not be read.
    pub unread: Option<Unread>,
    /// Why `argocd-cm`, by which Argo CD knows its accounts, could not be read.
    pub config_map: Option<Unread>,
}

/// A token that Argo CD accepts before the change and not after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Why Argo CD refuses it then.
    pub rejections: Vec<Rejection>,
    /// The workloads that read it, and how much they need it.
    pub users: Vec<(User, Need)>,
}

/// A change of `argocd-secret`, whose entries are looked at and never kept.
pub struct Change<'a> {
    old: Entries<'a>,
    new: Entries<'a>,
}

impl<'a> Change<'a> {
    /// The change from `old` to `new`, which is `None` when the Secret is deleted.
    pub fn of(old: &'a SecretData, new: Option<&'a SecretData>) -> Change<'a> {
        let entries = |data: &'a SecretData| -> Entries<'a> {
            data.iter()
                .map(|(key, value)| (key, value.expose()))
                .collect()
        };
        Change {
            old: entries(old),
            new: new.map(entries).unwrap_or_default(),
        }
    }

    /// Whether some token may stop to work, so that it is worth while to look for who uses one.
    pub fn may_revoke(&self) -> bool {
        may_revoke(&self.old, &self.new)
    }

    /// Argo CD's state before and after, with the accounts of `argocd-cm`.
    pub fn states(&self, config_map: Option<&'a BTreeMap<String, String>>) -> [State<'a>; 2] {
        [&self.old, &self.new].map(|entries| {
            let config_map = config_map.map(|data| {
                let data = data.iter();
                data.map(|(key, value)| (key.as_str(), value.as_str()))
            });
            State::read(
                entries.iter().map(|(key, value)| (*key, *value)),
                config_map,
            )
        })
    }
}

/// Why Argo CD refuses a token after a change, at `now` in Unix seconds; nothing when it does not, or did before.
pub fn lost(token: &SecretBytes, [before, after]: &[State<'_>; 2], now: f64) -> Vec<Rejection> {
    let Ok(token) = std::str::from_utf8(token.expose()) else {
        return Vec::new();
    };
    // Argo CD accepts these, though they are no credentials to stay.
    let accepted = |defect: &TokenDefect| {
        use TokenDefect::{Expires, LoginSession, NoSubject};
        matches!(defect, LoginSession | Expires | NoSubject)
    };
    if !inspect(token, now).iter().all(accepted) || !before.verify(token).is_empty() {
        return Vec::new();
    }
    after.verify(token)
}

/// Everything that is wrong with a change of `argocd-secret` in `namespace`; without facts nothing is assumed good.
pub fn judge(
    namespace: &str,
    deleted: bool,
    facts: Option<&ArgocdSecretUse>,
    on_error: OnError,
) -> Vec<Finding> {
    let secret = format!("Secret \"{SECRET_NAME}\" in namespace {namespace:?}");
    let Some(facts) = facts else {
        let unlisted = [Unlisted::nothing()];
        return Vec::from_iter(
            Gap::of(&unlisted, None).map(|gap| unknown(&secret, &gap, on_error)),
        );
    };
    if facts.namespace_ends {
        return Vec::new();
    }
    let mut causes: BTreeMap<(Rule, Option<&Rejection>), Vec<&(User, Need)>> = BTreeMap::new();
    for lost in &facts.lost {
        for rejection in &lost.rejections {
            let cause = match (deleted, rule(rejection)) {
                (true, _) => (Rule::ArgocdSecretDeleted, None),
                (false, Some(rule)) => (rule, Some(rejection)),
                (false, None) => continue,
            };
            causes.entry(cause).or_default().extend(&lost.users);
        }
    }
    let causes = causes.into_iter();
    let mut findings: Vec<Finding> = causes
        .filter_map(|((rule, rejection), users)| stopped(&secret, rule, rejection, &users))
        .collect();
    let refused = findings
        .iter()
        .any(|finding| finding.severity == Severity::Refusal);
    if !refused {
        findings.extend(
            Gap::of(&facts.unlisted, facts.unread.as_ref())
                .map(|gap| unknown(&secret, &gap, on_error)),
        );
        findings.extend(facts.config_map.as_ref().map(|unread| {
            let gap = Gap {
                what: format!(
                    "ConfigMap \"argocd-cm\" beside it could not be read ({})",
                    unread.what()
                ),
                mend: unread.mend(),
                is_beyond_the_bound: false,
            };
            unknown(&secret, &gap, on_error)
        }));
    }
    findings
}

/// The rule for what a change of the Secret can come to; the rest is `argocd-cm`'s.
fn rule(rejection: &Rejection) -> Option<Rule> {
    match rejection {
        Rejection::NoSigningKey(_) | Rejection::Signature(_) => Some(Rule::ArgocdSecretKeyChanged),
        Rejection::Revoked(_) => Some(Rule::ArgocdSecretTokenRevoked),
        Rejection::PasswordChanged(_) => Some(Rule::ArgocdSecretPasswordChanged),
        Rejection::Accounts(_) => Some(Rule::ArgocdSecretUnreadable),
        Rejection::AccountMissing(_)
        | Rejection::AccountDisabled(..)
        | Rejection::Capability(..)
        | Rejection::UserNameTooLong(_)
        | Rejection::WrongPassword(_) => None,
    }
}

fn stopped(
    secret: &str,
    rule: Rule,
    rejection: Option<&Rejection>,
    users: &[&(User, Need)],
) -> Option<Finding> {
    let those = |wanted: Need| {
        let mut those: Vec<&User> = Vec::new();
        for (user, need) in users {
            if *need == wanted && !those.contains(&user) {
                those.push(user);
            }
        }
        those
    };
    let (severity, those) = match those(Need::Certain) {
        certain if certain.is_empty() => (Severity::Warning, those(Need::Uncertain)),
        certain => (Severity::Refusal, certain),
    };
    if those.is_empty() {
        return None;
    }
    let users = named_with_namespace(&those);
    let (what, mend, field) = match rejection {
        None => (
            format!(
                "{secret} would be deleted; tokens that its server.secretkey signed are in use by {users}"
            ),
            "Delete these workloads first, or give them a token of another Argo CD.".to_owned(),
            None,
        ),
        Some(Rejection::Revoked(account)) => (
            format!("an API key of {account} would be revoked in {secret}; in use by {users}"),
            format!(
                "Give these workloads another API key first, in the Secret that they read it from: argocd account \
                 generate-token --account {}.",
                account.argument()
            ),
            account_key(account, "tokens"),
        ),
        Some(Rejection::PasswordChanged(account)) => (
            format!(
                "the password of {account} would be newer in {secret} than its API key; in use by {users}"
            ),
            format!("{LIFT} --account {}.", account.argument()),
            account_key(account, "passwordMtime"),
        ),
        Some(Rejection::Accounts(error)) => (
            format!("{error}; tokens are in use by {users}"),
            "Write it as Argo CD does, or leave it as it is.".to_owned(),
            match error {
                SettingsError::AdminTokens => Some(key(ADMIN, "tokens")),
                SettingsError::PasswordTime(key) => {
                    Some(key.clone()).filter(|key| is_settings_key(key))
                }
                SettingsError::NoConfigMap | SettingsError::Switch(_) => None,
            },
        ),
        Some(Rejection::NoSigningKey(account) | Rejection::Signature(account)) => (
            format!(
                "server.secretkey would be replaced or removed in {secret}; tokens that it signed are in use by {users}"
            ),
            format!("{LIFT} --account {}.", account.argument()),
            Some(SIGNING_KEY.to_owned()),
        ),
        Some(_) => return None,
    };
    Some(Finding {
        rule,
        severity,
        what,
        mend,
        fields: vec![field.map_or_else(
            || "data".to_owned(),
            |key| format!("data[{}]", quoted(&key)),
        )],
    })
}

fn account_key(account: &Shown, suffix: &str) -> Option<String> {
    Some(key(account.name()?, suffix))
}

fn unknown(secret: &str, gap: &Gap, on_error: OnError) -> Finding {
    let refused = !gap.is_beyond_the_bound && on_error == OnError::Deny;
    Finding {
        rule: Rule::ArgocdSecretUnknown,
        severity: if refused {
            Severity::Refusal
        } else {
            Severity::Warning
        },
        what: format!(
            "tokens would stop to work by this change of {secret}, and {}",
            gap.what
        ),
        mend: gap.mend.to_owned(),
        fields: vec!["data".to_owned()],
    }
}

#[cfg(test)]
#[path = "argocd_secret_tests.rs"]
mod tests;
