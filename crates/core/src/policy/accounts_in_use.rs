//! Accounts that workloads use: protected in `argocd-cm` without being listed.

use std::collections::BTreeMap;

use crate::argocd::claims::Capability;
use crate::policy::accounts_change::{Change, NAMED, State, accounts};
use crate::policy::credentials::OnError;
use crate::policy::cut::data_field;
use crate::policy::facts::{ModeFact, Unread};
use crate::policy::rules::Rule;
use crate::policy::users::{Gap, Unlisted};
use crate::policy::verdict::{Finding, Severity};
use crate::runtime::mode::Mode;
use crate::runtime::user::User;

/// Who uses which account of one Argo CD, as far as could be found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountsUse {
    /// The workloads that use an account, by its name, and what they need besides its API key: a password needs login.
    pub users: BTreeMap<String, Vec<(User, Capability)>>,
    /// The workloads that may do without, or whose credential does not work as it is: nothing is lost for them.
    pub uncertain: BTreeMap<String, Vec<User>>,
    /// Where workloads could not be looked through.
    pub unlisted: Vec<Unlisted>,
    /// Why a token that a workload refers to could not be read.
    pub unread: Option<Unread>,
}

impl AccountsUse {
    /// Notes who uses an account; a second time changes nothing.
    pub fn add(&mut self, account: String, user: &User, needed: Capability) {
        let users = self.users.entry(account).or_default();
        if !users
            .iter()
            .any(|known| known.0 == *user && known.1 == needed)
        {
            users.push((user.clone(), needed));
        }
    }

    /// Notes who may use an account; a second time changes nothing.
    pub fn add_uncertain(&mut self, account: String, user: &User) {
        let users = self.uncertain.entry(account).or_default();
        if !users.contains(user) {
            users.push(user.clone());
        }
    }

    /// Whether there may be others.
    pub(super) fn is_incomplete(&self) -> bool {
        !self.unlisted.is_empty() || self.unread.is_some()
    }
}

/// The namespace of the Argo CD that a workload of `namespace` talks to, when no signature tells: its own, of a Runtime
/// that has one or is too old to say, else `configured` (`verify.argocdNamespace`); `None` when it cannot be told.
pub fn argocd_namespace<'a>(
    namespace: &'a str,
    mode: &ModeFact,
    configured: Option<&'a str>,
) -> Option<&'a str> {
    match mode {
        ModeFact::Known(Mode::BuiltIn | Mode::BuiltInToken | Mode::Password | Mode::Unknown) => {
            Some(namespace)
        }
        _ => configured,
    }
}

/// The accounts whose API key or login no longer works after a change, in the order of their names.
pub fn losers(change: Change<'_>) -> Vec<String> {
    let (old, new) = match change {
        Change::Create(_) => return Vec::new(),
        Change::Update(old, new) => (old, Some(new)),
        Change::Delete(old) => (old, None),
    };
    let State::Readable(before) = State::of(old) else {
        return Vec::new();
    };
    let after = new.map_or(State::Unseen, State::of);
    let loses = |(name, account): &(&str, &_)| {
        let account: &crate::argocd::accounts::Account<'_> = account;
        (account.can_use_api_key() && !after.can_use_api_key(name))
            || (account.can_log_in() && !after.can_log_in(name))
    };
    let losers = before.iter().filter(loses);
    losers.map(|(name, _)| name.to_owned()).collect()
}

/// What is wrong with a change when not everybody was found who may use what it takes away.
pub fn unknown_use(
    change: Change<'_>,
    protected: &[String],
    known: &AccountsUse,
    on_error: OnError,
) -> Option<Finding> {
    let gap = Gap::of(&known.unlisted, known.unread.as_ref())?;
    let losers = losers(change);
    let told = |name: &String| protected.contains(name) || known.users.contains_key(name);
    let losers: Vec<&str> = losers
        .iter()
        .filter(|name| !told(name))
        .map(String::as_str)
        .collect();
    if losers.is_empty() {
        return None;
    }
    let refused = !gap.is_beyond_the_bound && on_error == OnError::Deny;
    let fields = losers.iter().take(NAMED);
    Some(Finding {
        rule: Rule::InUseUnknown,
        severity: if refused {
            Severity::Refusal
        } else {
            Severity::Warning
        },
        what: format!("{} would stop to work, and {}", accounts(&losers), gap.what),
        mend: gap.mend.to_owned(),
        fields: fields
            .map(|name| data_field(&format!("accounts.{name}")))
            .collect(),
    })
}

#[cfg(test)]
#[path = "accounts_in_use_tests.rs"]
mod tests;
