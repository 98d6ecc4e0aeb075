//! The keys of `argocd-cm` that decide about an account, as messages name them.

use crate::argocd::accounts::{Account, capabilities, capability_keys};
use crate::policy::accounts_change::{AccountsConfigMap, PART_OF_LABEL};
use crate::policy::cut::{data_field, quoted};

/// The key that decides whether an account is switched on, or the one that could.
pub(super) fn switch_key(account: &Account<'_>, name: &str) -> String {
    account
        .switch
        .map_or_else(|| format!("accounts.{name}.enabled"), str::to_owned)
}

/// The usual key of an account's capabilities.
pub(super) fn capabilities_key(name: &str) -> String {
    let [usual, _] = capability_keys(name);
    usual
}

/// The key by whose change an account is switched off: `admin` has two, and the one that decided before
/// may go and leave the decision to the other.
pub(super) fn changed_switch_key(
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
pub(super) fn key_of_capability(name: &str, capability: &str, old: &AccountsConfigMap) -> String {
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

/// A key with its value before and after.
pub(super) fn transition(old: &AccountsConfigMap, new: &AccountsConfigMap, key: &str) -> String {
    format!(
        "{}: {} → {}",
        data_field(key),
        value(old, key),
        value(new, key)
    )
}

/// The value of a key, as a message has it.
pub(super) fn value(config_map: &AccountsConfigMap, key: &str) -> String {
    config_map
        .get(key)
        .map_or_else(|| "not set".to_owned(), quoted)
}

/// Where the label stands by which Argo CD finds `argocd-cm`.
pub(super) fn label_field() -> String {
    format!("metadata.labels[\"{PART_OF_LABEL}\"]")
}
