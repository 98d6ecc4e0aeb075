//! Changes of `argocd-cm`: whether a protected account loses its API key or its login.

use std::collections::BTreeMap;

use crate::argocd::accounts::{
    ADMIN, API_KEY, Account, Accounts, LOGIN, capabilities, capability_keys,
};
use crate::policy::cut::quoted;
use crate::policy::rules::Rule;
use crate::policy::verdict::{Finding, Severity};

/// `argocd-cm` as far as accounts go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountsConfigMap {
    /// The keys of `data` that Argo CD reads accounts from, with their values.
    pub data: BTreeMap<String, String>,
    /// Whether it carries the label by which Argo CD finds it.
    pub labelled: bool,
}

impl AccountsConfigMap {
    fn get(&self, key: &str) -> Option<&str> {
        self.data.get(key).map(String::as_str)
    }
}

/// The most unreadable keys that are told; one is enough to lose every account.
const MOST_KEYS: usize = 100;

/// The label by which Argo CD's informer finds `argocd-cm`.
pub const PART_OF_LABEL: &str = "app.kubernetes.io/part-of";
/// That label's value.
pub const PART_OF_VALUE: &str = "argocd";

/// What happens to `argocd-cm`.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// It comes into being.
    Create(&'a AccountsConfigMap),
    /// It changes from the first to the second.
    Update(&'a AccountsConfigMap, &'a AccountsConfigMap),
    /// It goes.
    Delete(&'a AccountsConfigMap),
}

impl<'a> Change<'a> {
    /// From one state to the other, of which at least one is there.
    pub fn of(
        old: Option<&'a AccountsConfigMap>,
        new: Option<&'a AccountsConfigMap>,
    ) -> Option<Change<'a>> {
        match (old, new) {
            (Some(old), Some(new)) => Some(Change::Update(old, new)),
            (Some(old), None) => Some(Change::Delete(old)),
            (None, Some(new)) => Some(Change::Create(new)),
            (None, None) => None,
        }
    }
}

/// Everything that is wrong with a change, for the accounts that are `protected`.
pub fn judge(change: Change<'_>, protected: &[String]) -> Vec<Finding> {
    match change {
        Change::Create(new) => missing(new, protected),
        Change::Update(old, new) => update(old, new, protected),
        Change::Delete(old) => delete(old, protected),
    }
}

fn update(old: &AccountsConfigMap, new: &AccountsConfigMap, protected: &[String]) -> Vec<Finding> {
    let before = State::of(old);
    // Most updates are about something else.
    let after = match old.data == new.data {
        true => before.clone(),
        false => State::of(new),
    };
    let mut findings = Vec::new();
    let losers: Vec<&str> = protected
        .iter()
        .map(String::as_str)
        .filter(|name| before.can_use_api_key(name) || before.can_log_in(name))
        .collect();
    if old.labelled && !new.labelled && !losers.is_empty() {
        findings.push(label_removed(&losers));
    }
    match &after {
        State::Unreadable(keys) if !losers.is_empty() => {
            let keys = keys.iter().take(MOST_KEYS);
            findings.extend(keys.map(|key| unreadable(new, key, &losers)));
        }
        State::Unreadable(_) => findings.extend(missing(new, protected)),
        State::Readable(_) => {
            for name in protected {
                let losses = losses(name, (old, &before), (new, &after));
                if losses.is_empty() && !after.can_use_api_key(name) {
                    findings.push(not_usable(name, &after, new));
                }
                findings.extend(losses);
            }
        }
    }
    findings
}

/// What one account loses when both states can be read, or only the second can.
fn losses(
    name: &str,
    (old, before): (&AccountsConfigMap, &State<'_>),
    (new, after): (&AccountsConfigMap, &State<'_>),
) -> Vec<Finding> {
    let lost_api_key = before.can_use_api_key(name) && !after.can_use_api_key(name);
    let lost_login = before.can_log_in(name) && !after.can_log_in(name);
    let mut findings = Vec::new();
    if !lost_api_key && !lost_login {
        return findings;
    }
    let account = after.get(name);
    if let Some(account) = account.filter(|account| !account.enabled) {
        let key = changed_switch_key(name, before.get(name), account, old, new);
        findings.push(Finding {
            rule: Rule::AccountDisabled,
            severity: Severity::Refusal,
            what: format!(
                "account {} is switched off ({})",
                quoted(name),
                transition(old, new, &key)
            ),
            mend: format!("Keep it on: {} must be \"true\".", data_field(&key)),
            fields: vec![data_field(&key)],
        });
    }
    if lost_api_key && !account.is_some_and(|account| account.api_key) {
        let key = key_of_capability(name, API_KEY, old);
        findings.push(capability_removed(
            Rule::ApiKeyRemoved,
            API_KEY,
            name,
            &key,
            (old, new),
        ));
    }
    if lost_login && !account.is_some_and(|account| account.login) {
        let key = key_of_capability(name, LOGIN, old);
        findings.push(capability_removed(
            Rule::LoginRemoved,
            LOGIN,
            name,
            &key,
            (old, new),
        ));
    }
    findings
}

fn capability_removed(
    rule: Rule,
    capability: &str,
    name: &str,
    key: &str,
    (old, new): (&AccountsConfigMap, &AccountsConfigMap),
) -> Finding {
    Finding {
        rule,
        severity: Severity::Refusal,
        what: format!(
            "account {} loses {capability} ({})",
            quoted(name),
            transition(old, new, key)
        ),
        mend: format!("Keep {capability} in {}.", data_field(key)),
        fields: vec![data_field(key)],
    }
}

fn delete(old: &AccountsConfigMap, protected: &[String]) -> Vec<Finding> {
    let before = State::of(old);
    let losers: Vec<&str> = protected
        .iter()
        .map(String::as_str)
        .filter(|name| before.can_use_api_key(name))
        .collect();
    if losers.is_empty() {
        return Vec::new();
    }
    vec![Finding {
        rule: Rule::ConfigMapDeleted,
        severity: Severity::Refusal,
        what: format!(
            "argocd-cm gives {} its API key and would be deleted",
            accounts(&losers)
        ),
        mend: "Keep argocd-cm; change it in place instead of deleting it.".to_owned(),
        fields: losers
            .iter()
            .map(|name| data_field(&capabilities_key(name)))
            .collect(),
    }]
}

fn label_removed(losers: &[&str]) -> Finding {
    let field = format!("metadata.labels[\"{PART_OF_LABEL}\"]");
    Finding {
        rule: Rule::LabelRemoved,
        severity: Severity::Refusal,
        what: format!(
            "argocd-cm, which {} comes from, loses its label ({field})",
            accounts(losers)
        ),
        mend: format!("Keep the label {PART_OF_LABEL}: {PART_OF_VALUE}."),
        fields: vec![field],
    }
}

fn unreadable(new: &AccountsConfigMap, key: &str, losers: &[&str]) -> Finding {
    Finding {
        rule: Rule::Unreadable,
        severity: Severity::Refusal,
        what: format!(
            "Argo CD cannot parse {} ({}), which takes {} with it",
            data_field(key),
            value(new, key),
            accounts(losers)
        ),
        mend: format!("Write \"true\" or \"false\" into {}.", data_field(key)),
        fields: vec![data_field(key)],
    }
}

/// Warnings for what is wrong without anything being lost.
fn missing(new: &AccountsConfigMap, protected: &[String]) -> Vec<Finding> {
    let state = State::of(new);
    if let State::Unreadable(keys) = &state {
        return keys
            .iter()
            .take(MOST_KEYS)
            .map(|key| Finding {
                rule: Rule::ApiKeyMissing,
                severity: Severity::Warning,
                what: format!(
                    "Argo CD cannot parse {} and so reads no account",
                    data_field(key)
                ),
                mend: format!("Write \"true\" or \"false\" into {}.", data_field(key)),
                fields: vec![data_field(key)],
            })
            .collect();
    }
    protected
        .iter()
        .filter(|name| !state.can_use_api_key(name))
        .map(|name| not_usable(name, &state, new))
        .collect()
}

fn not_usable(name: &str, state: &State<'_>, data: &AccountsConfigMap) -> Finding {
    let (what, mend, key) = match state.get(name) {
        Some(account) if !account.enabled => {
            let key = switch_key(account, name);
            (
                format!("account {} is switched off", quoted(name)),
                format!("Set {} to \"true\".", data_field(&key)),
                key,
            )
        }
        _ => {
            let key = capabilities_key(name);
            let list = value(data, &key);
            (
                format!(
                    "account {} has no apiKey ({}: {list})",
                    quoted(name),
                    data_field(&key)
                ),
                format!("Set {} to \"apiKey, login\".", data_field(&key)),
                key,
            )
        }
    };
    Finding {
        rule: Rule::ApiKeyMissing,
        severity: Severity::Warning,
        what,
        mend,
        fields: vec![data_field(&key)],
    }
}

/// What Argo CD makes of a state.
#[derive(Clone)]
pub(super) enum State<'a> {
    Readable(Accounts<'a>),
    /// Nothing, because of these keys.
    Unreadable(Vec<String>),
}

impl<'a> State<'a> {
    pub(super) fn of(config_map: &'a AccountsConfigMap) -> State<'a> {
        let data = config_map
            .data
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        match Accounts::read(data) {
            Ok(accounts) => State::Readable(accounts),
            Err(unreadable) => State::Unreadable(unreadable.keys),
        }
    }

    fn get(&self, name: &str) -> Option<&Account<'a>> {
        match self {
            State::Readable(accounts) => accounts.get(name),
            State::Unreadable(_) => None,
        }
    }

    pub(super) fn can_use_api_key(&self, name: &str) -> bool {
        self.get(name).is_some_and(Account::can_use_api_key)
    }

    /// `admin` always has login; its loss is never judged.
    fn can_log_in(&self, name: &str) -> bool {
        name != ADMIN && self.get(name).is_some_and(Account::can_log_in)
    }
}

fn switch_key(account: &Account<'_>, name: &str) -> String {
    account
        .switch
        .map_or_else(|| format!("accounts.{name}.enabled"), str::to_owned)
}

fn capabilities_key(name: &str) -> String {
    let [usual, _] = capability_keys(name);
    usual
}

/// The key by whose change an account is switched off: `admin` has two, and the one that decided before
/// may go and leave the decision to the other.
fn changed_switch_key(
    name: &str,
    before: Option<&Account<'_>>,
    after: &Account<'_>,
    old: &AccountsConfigMap,
    new: &AccountsConfigMap,
) -> String {
    let key = switch_key(after, name);
    if old.get(&key) != new.get(&key) {
        return key;
    }
    let decided = before.and_then(|account| account.switch);
    let decided = decided.filter(|key| old.get(key) != new.get(key));
    decided.map_or(key, str::to_owned)
}

/// The key that gave an account a capability.
fn key_of_capability(name: &str, capability: &str, old: &AccountsConfigMap) -> String {
    let [usual, dotted] = capability_keys(name);
    let gives = |key: &str| {
        let list = old.get(key).unwrap_or_default();
        capabilities(list).any(|item| item == capability)
    };
    if !gives(&usual) && gives(&dotted) {
        dotted
    } else {
        usual
    }
}

fn data_field(key: &str) -> String {
    format!("data[{}]", quoted(key))
}

fn transition(old: &AccountsConfigMap, new: &AccountsConfigMap, key: &str) -> String {
    format!(
        "{}: {} → {}",
        data_field(key),
        value(old, key),
        value(new, key)
    )
}

fn value(config_map: &AccountsConfigMap, key: &str) -> String {
    config_map
        .get(key)
        .map_or_else(|| "not set".to_owned(), quoted)
}

fn accounts(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    let noun = if names.len() == 1 {
        "account"
    } else {
        "accounts"
    };
    format!("{noun} {}", names.join(", "))
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
