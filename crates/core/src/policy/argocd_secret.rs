//! Changes of Argo CD's own Secret: whether the token of a workload stops to work.

use std::collections::BTreeMap;

use crate::argocd::accounts::ADMIN;
use crate::argocd::certificate::CERTIFICATE;
use crate::argocd::settings::{SECRET_NAME, SIGNING_KEY, SettingsError, is_settings_key, key};
use crate::argocd::shown::Shown;
use crate::argocd::verification::Rejection;
use crate::policy::break_glass::ANNOTATION;
use crate::policy::credentials::OnError;
use crate::policy::cut::data_field;
use crate::policy::facts::Unread;
use crate::policy::rules::Rule;
use crate::policy::users::{Gap, Need, Unlisted, named_with_namespace};
use crate::policy::verdict::{Finding, Severity};
use crate::runtime::credential::Reference;
use crate::runtime::user::User;

const INSTEAD: &str = "Give these workloads an API key of another account first, or a new one at once afterwards: argocd \
                       account generate-token";

/// What is known when a change of `argocd-secret` is judged; of what it holds, only what comes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArgocdSecretUse {
    /// Whether the namespace is known to be on its way out.
    pub namespace_ends: bool,
    /// The tokens that workloads use, and that Argo CD accepts before the change and not after.
    pub lost: Vec<Lost>,
    /// The workloads that log in with a password which the change replaces, with the account.
    pub logins: Vec<(User, Reference, Shown)>,
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
    /// Why Argo CD refuses it then, or after its next start.
    pub rejections: Vec<Rejection>,
    /// Whether the next start of argocd-server would have ended it before the change as well.
    pub doomed: bool,
    /// The workloads that read it, and how much they need it.
    pub users: Vec<(User, Need)>,
}

/// What becomes of `argocd-secret`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It holds something else.
    Changed,
    /// It gets the label of the Secrets that describe clusters, which Argo CD leaves out since 3.5.
    Hidden,
    /// It goes.
    Deleted,
}

/// The label that tells a Secret's part for Argo CD.
pub const TYPE_LABEL: &str = "argocd.argoproj.io/secret-type";
/// The value with which Argo CD does not take a Secret for its own.
pub const CLUSTER_TYPE: &str = "cluster";

/// Everything that is wrong with a change of `argocd-secret` in `namespace`; without facts nothing is assumed good.
pub fn judge(
    namespace: &str,
    fate: Fate,
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
    let mut causes: BTreeMap<(Rule, Option<&Rejection>, bool), Vec<&(User, Need)>> =
        BTreeMap::new();
    for lost in &facts.lost {
        for rejection in &lost.rejections {
            let cause = match (fate, rule(rejection)) {
                (Fate::Deleted | Fate::Hidden, _) => (Rule::ArgocdSecretDeleted, None),
                (Fate::Changed, Some(rule)) => (rule, Some(rejection)),
                (Fate::Changed, None) => continue,
            };
            let cause = (cause.0, cause.1, lost.doomed);
            causes.entry(cause).or_default().extend(&lost.users);
        }
    }
    let mut findings: Vec<Finding> = Vec::new();
    for ((rule, rejection, doomed), users) in causes {
        let mut found = stopped(&secret, fate, (rule, rejection), &users);
        if let Some(finding) = found.as_mut().filter(|_| doomed) {
            finding.severity = Severity::Warning;
        }
        findings.extend(found);
    }
    findings.extend(
        facts
            .logins
            .iter()
            .map(|login| login_changed(&secret, login)),
    );
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

/// Adds to the advice of a refusal how a member of `breakGlassGroups` can make the change.
pub fn offer_the_glass(finding: &mut Finding) {
    if finding.severity == Severity::Refusal {
        finding.mend.push_str(&format!(
            " For this one change, a member of breakGlassGroups can annotate the Secret with {ANNOTATION}: \"{}: \
             <reason>\".",
            finding.rule.id()
        ));
    }
}

/// The rule for what a change of the Secret can come to; the rest is `argocd-cm`'s.
fn rule(rejection: &Rejection) -> Option<Rule> {
    match rejection {
        Rejection::NoSigningKey(_) | Rejection::Signature(_) => Some(Rule::ArgocdSecretKeyChanged),
        Rejection::Revoked(_) => Some(Rule::ArgocdSecretTokenRevoked),
        Rejection::PasswordChanged(_) | Rejection::NextStart(_) | Rejection::WrongPassword(_) => {
            Some(Rule::ArgocdSecretPasswordChanged)
        }
        Rejection::Accounts(_) => Some(Rule::ArgocdSecretUnreadable),
        Rejection::AccountMissing(_)
        | Rejection::AccountDisabled(..)
        | Rejection::Capability(..)
        | Rejection::UserNameTooLong(_) => None,
    }
}

/// A warning: the Secret that the workload reads its password from can only be changed after.
fn login_changed(secret: &str, (user, reference, account): &(User, Reference, Shown)) -> Finding {
    let key = account_key(account, "password").unwrap_or_else(|| "password".to_owned());
    Finding {
        rule: Rule::ArgocdSecretPasswordChanged,
        severity: Severity::Warning,
        what: format!(
            "the password of {account} changes; {} logs in with the one in Secret {}, key {}",
            named_with_namespace(&[user]),
            reference.secret,
            reference.key
        ),
        // A warning may be cut at its end.
        mend: format!("Put the new one there next, after this change of {secret}."),
        fields: vec![data_field(&key)],
    }
}

fn stopped(
    secret: &str,
    fate: Fate,
    (rule, rejection): (Rule, Option<&Rejection>),
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
        None if fate == Fate::Hidden => (
            format!(
                "{secret} gets the label {TYPE_LABEL}: {CLUSTER_TYPE}, with which Argo CD (3.5 and later) does not find \
                 it; tokens that its server.secretkey signed are in use by {users}"
            ),
            format!("Leave the label {TYPE_LABEL} out."),
            None,
        ),
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
            format!("{INSTEAD} --account {}.", account.argument()),
            account_key(account, "passwordMtime"),
        ),
        Some(Rejection::WrongPassword(account)) => (
            format!("the password of {account} would go from {secret}; in use by {users}"),
            "Keep it; to change the password, put the hash of another in its place.".to_owned(),
            account_key(account, "password"),
        ),
        Some(Rejection::NextStart(account)) => (
            format!(
                "argocd-server would set the time of the password of {account} anew at its next start, which ends its API \
                 key; {secret} has no password or no time of it that can be read; in use by {users}"
            ),
            "Keep admin.password, and admin.passwordMtime as in RFC 3339 (such as 2026-01-01T00:00:00Z).".to_owned(),
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
                SettingsError::Certificate => Some(CERTIFICATE.to_owned()),
                SettingsError::NoConfigMap | SettingsError::Switch(_) => None,
            },
        ),
        Some(Rejection::NoSigningKey(account) | Rejection::Signature(account)) => (
            format!(
                "server.secretkey would be replaced or removed in {secret}; tokens that it signed are in use by {users}"
            ),
            format!(
                "Keep it. When it has to be replaced, let this rule only warn meanwhile, and give these workloads a new API \
                 key at once: argocd account generate-token --account {}.",
                account.argument()
            ),
            Some(SIGNING_KEY.to_owned()),
        ),
        Some(_) => return None,
    };
    Some(Finding {
        rule,
        severity,
        what,
        mend,
        fields: vec![match (field, fate) {
            (Some(key), _) => data_field(&key),
            (None, Fate::Hidden) => format!("metadata.labels[\"{TYPE_LABEL}\"]"),
            (None, _) => "data".to_owned(),
        }],
    })
}

fn account_key(account: &Shown, suffix: &str) -> Option<String> {
    Some(key(account.name()?, suffix))
}

fn unknown(secret: &str, gap: &Gap, on_error: OnError) -> Finding {
    let refused = !gap.is_beyond_the_bound && on_error == OnError::Deny;
    Finding {
        rule: Rule::InUseUnknown,
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
