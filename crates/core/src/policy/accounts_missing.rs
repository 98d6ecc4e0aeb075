//! `argocd-cm` without an account that could use an API key: warnings, as nothing is lost.

use crate::policy::accounts_change::{AccountsConfigMap, PART_OF_LABEL, PART_OF_VALUE, State};
use crate::policy::accounts_keys::{capabilities_key, label_field, switch_key, value};
use crate::policy::cut::{data_field, quoted};
use crate::policy::rules::Rule;
use crate::policy::verdict::{Finding, Severity};

/// The most unreadable keys that are told; one is enough to lose every account.
pub(super) const MOST_KEYS: usize = 100;

/// Warnings for what is wrong without anything being lost.
pub(super) fn missing(
    namespace: &str,
    protected: &[String],
    new: &AccountsConfigMap,
) -> Vec<Finding> {
    if !new.labelled {
        return match new.data.is_empty() {
            true => Vec::new(),
            false => vec![unlabelled(namespace)],
        };
    }
    let state = State::of(new);
    if let State::Unreadable(keys) = &state {
        let keys = keys.iter().take(MOST_KEYS);
        return keys
            .map(|key| Finding {
                rule: Rule::ApiKeyMissing,
                severity: Severity::Warning,
                what: format!(
                    "Argo CD in namespace {:?} cannot parse {} and so reads no account",
                    namespace,
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
        .map(|name| not_usable(namespace, name, &state, new))
        .collect()
}

/// A warning: an account cannot use an API key.
pub(super) fn not_usable(
    namespace: &str,
    name: &str,
    state: &State<'_>,
    data: &AccountsConfigMap,
) -> Finding {
    let subject = format!("account {} in namespace {:?}", quoted(name), namespace);
    let (what, mend, key) = match state.get(name) {
        Some(account) if !account.enabled => {
            let key = switch_key(account, name);
            (
                format!("{subject} is switched off"),
                format!("Set {} to \"true\".", data_field(&key)),
                key,
            )
        }
        _ => {
            let key = capabilities_key(name);
            let list = value(data, &key);
            (
                format!("{subject} has no apiKey ({}: {list})", data_field(&key)),
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

/// A warning: a person who writes accounts there thinks that Argo CD reads them.
pub(super) fn unlabelled(namespace: &str) -> Finding {
    Finding {
        rule: Rule::LabelMissing,
        severity: Severity::Warning,
        what: format!(
            "Argo CD does not see argocd-cm in namespace {:?}, which lacks its label ({})",
            namespace,
            label_field()
        ),
        mend: format!("Add the label {PART_OF_LABEL}: {PART_OF_VALUE}."),
        fields: vec![label_field()],
    }
}
