//! What happens to `argocd-cm`, and what Argo CD makes of it before and after.

use std::collections::BTreeMap;

use crate::argocd::accounts::{Account, Accounts};
use crate::policy::cut::quoted;

/// The most accounts that a message names.
pub(super) const NAMED: usize = 12;

/// The label by which Argo CD's informer finds `argocd-cm`.
pub const PART_OF_LABEL: &str = "app.kubernetes.io/part-of";
/// That label's value.
pub const PART_OF_VALUE: &str = "argocd";

/// `argocd-cm` as far as accounts go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountsConfigMap {
    /// The keys of `data` that Argo CD reads accounts from, with their values.
    pub data: BTreeMap<String, String>,
    /// Whether it carries the label by which Argo CD finds it.
    pub labelled: bool,
}

impl AccountsConfigMap {
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.data.get(key).map(String::as_str)
    }
}

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

/// What Argo CD makes of a state.
pub(super) enum State<'a> {
    Readable(Accounts<'a>),
    /// Nothing, because of these keys.
    Unreadable(Vec<String>),
    /// Nothing, because it finds no `argocd-cm` without the label.
    Unseen,
}

impl<'a> State<'a> {
    pub(super) fn of(config_map: &'a AccountsConfigMap) -> State<'a> {
        match config_map.labelled {
            true => State::read(config_map),
            false => State::Unseen,
        }
    }

    /// As if it had the label.
    pub(super) fn read(config_map: &'a AccountsConfigMap) -> State<'a> {
        let data = config_map.data.iter();
        match Accounts::read(data.map(|(key, value)| (key.as_str(), value.as_str()))) {
            Ok(accounts) => State::Readable(accounts),
            Err(unreadable) => State::Unreadable(unreadable.keys),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Account<'a>> {
        match self {
            State::Readable(accounts) => accounts.get(name),
            State::Unreadable(_) | State::Unseen => None,
        }
    }

    pub(super) fn can_use_api_key(&self, name: &str) -> bool {
        self.get(name).is_some_and(Account::can_use_api_key)
    }

    pub(super) fn can_log_in(&self, name: &str) -> bool {
        self.get(name).is_some_and(Account::can_log_in)
    }
}

/// The names of accounts, as a message has them.
pub(super) fn accounts(names: &[&str]) -> String {
    let noun = match names {
        [_] => "account",
        _ => "accounts",
    };
    let shown: Vec<String> = names.iter().take(NAMED).map(|name| quoted(name)).collect();
    let more = match names.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{noun} {}{more}", shown.join(", "))
}
