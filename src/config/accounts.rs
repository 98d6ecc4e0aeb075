//! `protectedAccounts`: names that an account of Argo CD can have, each once, and one at least.

use super::section::Section;

const KEY: &str = "protectedAccounts";
/// What a ConfigMap's key may have, without the `accounts.` before the name and the `.enabled` after it.
const LONGEST: usize = 253 - "accounts..enabled".len();

/// Reads the list and tells what is wrong with it.
pub(super) fn read(root: &mut Section<'_>, accounts: &mut Vec<String>) {
    root.strings(KEY, accounts);
    if accounts.is_empty() {
        let problem = "must name at least one account; to refuse no change of argocd-cm, set the mode of the rules \
                       accounts/… to warn or audit instead";
        root.fault(KEY, problem);
    }
    for (index, account) in accounts.iter().enumerate() {
        if let Some(problem) = problem(account) {
            root.fault(KEY, &problem);
        } else if accounts.iter().take(index).any(|before| before == account) {
            root.fault(KEY, &format!("{account:?} is there twice; name it once"));
        }
    }
}

/// What keeps a name from being one in a key `accounts.<name>` of a ConfigMap.
///
/// Source: Argo CD splits the key on `.` and takes the second part; Kubernetes allows `[-._a-zA-Z0-9]+` in a key.
fn problem(account: &str) -> Option<String> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    if account.is_empty() {
        Some("a name cannot be empty".to_owned())
    } else if account.len() > LONGEST {
        Some(format!(
            "a name has at most {LONGEST} characters, and one here has more"
        ))
    } else if account.contains('.') {
        Some(format!(
            "{account:?} has a dot, and Argo CD reads a name up to the first dot only; write what stands between \
             \"accounts.\" and the next dot"
        ))
    } else if !account.chars().all(allowed) {
        Some(format!(
            "{account:?} cannot be an account: a name has letters, digits, - and _ only"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, ConfigError};

    #[test]
    fn only_names_that_an_account_can_have_are_protected_each_once() {
        let long = "a".repeat(236);
        let table = [
            ("[admin]", None),
            ("[admin, bot_1, Cap-2]", None),
            (&*format!("[{long}]"), None),
            (&*format!("[{long}a]"), Some("at most 236 characters")),
            ("[]", Some("must name at least one account; to refuse no")),
            ("['']", Some("a name cannot be empty")),
            ("[admin, admin]", Some("\"admin\" is there twice")),
            ("[accounts.admin]", Some("\"accounts.admin\" has a dot")),
            ("[' admin']", Some("\" admin\" cannot be an account")),
            ("['proj:a:b']", Some("\"proj:a:b\" cannot be an account")),
            ("['ädmin']", Some("letters, digits, - and _ only")),
            ("[\"a\\nb\"]", Some("\"a\\nb\" cannot be an account")),
        ];
        for (list, expected) in table {
            match (
                Config::parse("test", &format!("protectedAccounts: {list}")),
                expected,
            ) {
                (Ok(_), None) => {}
                (Err(ConfigError::Faults { faults, .. }), Some(expected)) => {
                    assert_eq!(faults.len(), 1, "{list}: {faults:?}");
                    assert!(faults[0].starts_with("protectedAccounts: "), "{faults:?}");
                    assert!(faults[0].contains(expected), "{list}: {faults:?}");
                    assert_eq!(faults[0].lines().count(), 1, "{faults:?}");
                }
                (parsed, _) => panic!("{list}: {parsed:?}"),
            }
        }
    }
}
