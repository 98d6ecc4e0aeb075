//! Accounts that the token of a workload names: protected in `argocd-cm` without being listed.

use std::collections::BTreeMap;

use crate::argocd::claims::{Capability, Subject};
use crate::argocd::token::Token;
use crate::policy::accounts::{self, Change, State};
use crate::policy::credentials::OnError;
use crate::policy::cut::quoted;
use crate::policy::facts::Unread;
use crate::policy::in_use::{Gap, Unlisted, named_with_namespace};
use crate::policy::rules::Rule;
use crate::policy::verdict::{Finding, Severity};
use crate::runtime::secret_bytes::SecretBytes;
use crate::runtime::user::User;

/// The most accounts that a message names.
const NAMED: usize = 5;

/// Who uses which account, as far as could be found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountsUse {
    /// The workloads whose token names an account, by its name.
    pub users: BTreeMap<String, Vec<User>>,
    /// Where workloads could not be looked through.
    pub unlisted: Vec<Unlisted>,
    /// Why a token that a workload refers to could not be read.
    pub unread: Option<Unread>,
}

/// The account that a token names, whoever signed it; `None` when it names none.
pub fn account_of(value: &SecretBytes) -> Option<String> {
    let text = std::str::from_utf8(value.expose()).ok()?;
    let token = Token::read(text.trim()).ok()?;
    match token.claims()?.subject() {
        Subject::Account(name, Capability::ApiKey) if !name.is_empty() => Some(name.to_owned()),
        _ => None,
    }
}

/// The accounts whose API keys no longer work after a change.
pub fn losers(change: Change<'_>) -> Vec<String> {
    let (old, new) = match change {
        Change::Create(_) => return Vec::new(),
        Change::Update(old, new) => (old, (!old.labelled || new.labelled).then_some(new)),
        Change::Delete(old) => (old, None),
    };
    let State::Readable(before) = State::of(old) else {
        return Vec::new();
    };
    let after = new.map(State::of);
    let works_after = |name: &str| {
        after
            .as_ref()
            .is_some_and(|after| after.can_use_api_key(name))
    };
    before
        .iter()
        .filter(|(name, account)| account.can_use_api_key() && !works_after(name))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Everything that is wrong with a change, for the accounts that are `protected` and for those in use.
pub fn judge(
    change: Change<'_>,
    protected: &[String],
    known: &AccountsUse,
    on_error: OnError,
) -> Vec<Finding> {
    let losers = losers(change);
    let lost = |name: &String| losers.binary_search(name).is_ok();
    let used: BTreeMap<&String, &Vec<User>> =
        known.users.iter().filter(|(name, _)| lost(name)).collect();
    let mut names = protected.to_vec();
    names.extend(
        used.keys()
            .filter(|name| !protected.contains(name))
            .map(|name| (*name).clone()),
    );
    let listed = accounts::judge(change, protected);
    let mut findings = accounts::judge(change, &names);
    // Whoever uses a token does not log in.
    findings.retain(|finding| finding.rule != Rule::LoginRemoved || listed.contains(finding));
    for finding in &mut findings {
        name_users(finding, change, &used);
    }
    let unknown = losers.iter().filter(|name| !names.contains(name));
    findings.extend(unknown_use(&unknown.collect::<Vec<_>>(), known, on_error));
    findings
}

/// Says in a finding who uses the accounts that it is about.
fn name_users(finding: &mut Finding, change: Change<'_>, used: &BTreeMap<&String, &Vec<User>>) {
    if finding.severity != Severity::Refusal {
        return;
    }
    let is_about = |name: &String| {
        let alone = accounts::judge(change, std::slice::from_ref(name));
        alone.iter().any(|other| {
            let mut fields = other.fields.iter();
            other.rule == finding.rule && fields.any(|field| finding.fields.contains(field))
        })
    };
    let mut users: Vec<&User> = Vec::new();
    for (_, those) in used.iter().filter(|(name, _)| is_about(name)) {
        users.extend(those.iter());
    }
    if !users.is_empty() {
        finding.what.push_str("; in use by ");
        finding.what.push_str(&named_with_namespace(&users));
    }
}

fn unknown_use(losers: &[&String], known: &AccountsUse, on_error: OnError) -> Option<Finding> {
    let gap = Gap::of(&known.unlisted, known.unread.as_ref())?;
    let names: Vec<String> = losers.iter().take(NAMED).map(|name| quoted(name)).collect();
    let more = match losers.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let refused = !gap.is_beyond_the_bound && on_error == OnError::Deny;
    (!losers.is_empty()).then(|| Finding {
        rule: Rule::AccountsInUseUnknown,
        severity: if refused {
            Severity::Refusal
        } else {
            Severity::Warning
        },
        what: format!(
            "API keys of {}{more} would stop to work, and {}",
            names.join(", "),
            gap.what
        ),
        mend: gap.mend.to_owned(),
        fields: losers
            .iter()
            .take(NAMED)
            .map(|name| format!("data[{}]", quoted(&format!("accounts.{name}"))))
            .collect(),
    })
}

#[cfg(test)]
#[path = "accounts_in_use_tests.rs"]
mod tests;
