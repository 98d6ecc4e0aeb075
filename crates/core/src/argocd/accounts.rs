//! The accounts that Argo CD reads from `argocd-cm`.
//!
//! Source: Argo CD `util/settings/accounts.go`, `parseAccounts`, checked against its own verdicts on
//! 553 ConfigMaps.

use std::collections::BTreeMap;

use thiserror::Error;

/// The ConfigMap that Argo CD reads its accounts from, in whatever namespace it runs.
pub const CONFIG_MAP_NAME: &str = "argocd-cm";
/// The account that always exists.
pub const ADMIN: &str = "admin";

/// The capability of using an API key.
pub const API_KEY: &str = "apiKey";
/// The capability of logging in.
pub const LOGIN: &str = "login";

const PREFIX: &str = "accounts.";
const ADMIN_SWITCH: &str = "admin.enabled";

/// Whether Argo CD reads accounts from this key of `data`.
pub fn is_account_key(key: &str) -> bool {
    key.starts_with(PREFIX) || key == ADMIN_SWITCH
}

/// The keys that hold the capabilities of `name`: the usual one, and the one that ends in a dot, which
/// Argo CD reads as well. What both list adds up.
pub fn capability_keys(name: &str) -> [String; 2] {
    [format!("{PREFIX}{name}"), format!("{PREFIX}{name}.")]
}

/// All accounts of one `argocd-cm`.
///
/// A handful in practice, but who may write a ConfigMap of this name decides how many: a list would
/// be looked through for seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounts<'a>(BTreeMap<&'a str, Account<'a>>);

/// What one account may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account<'a> {
    /// Whether it is switched on.
    pub enabled: bool,
    /// The capability `login`.
    pub login: bool,
    /// The capability `apiKey`.
    pub api_key: bool,
    /// The key of `data` that decides whether it is switched on, if one does.
    pub switch: Option<&'a str>,
}

/// Argo CD can read no account at all: these keys are neither true nor false to Go.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("Argo CD cannot parse {}", .keys.join(", "))]
pub struct Unreadable {
    /// The keys, sorted.
    pub keys: Vec<String>,
}

/// The key of `argocd-cm` that decides whether an account is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Switch {
    /// `admin.enabled`.
    Admin,
    /// `accounts.<name>.enabled`, which for `admin` wins over the other.
    Account,
}

impl Account<'_> {
    /// Which of the two keys decides whether it is switched on, when one does.
    pub fn switched_by(&self) -> Option<Switch> {
        self.switch.map(|key| match key {
            ADMIN_SWITCH => Switch::Admin,
            _ => Switch::Account,
        })
    }

    /// Whether an API key of this account is accepted.
    pub fn can_use_api_key(&self) -> bool {
        self.enabled && self.api_key
    }

    /// Whether a login with its password is accepted.
    pub fn can_log_in(&self) -> bool {
        self.enabled && self.login
    }
}

impl<'a> Accounts<'a> {
    /// Reads the accounts from the entries of `data`, in any order; other keys are passed over.
    ///
    /// # Errors
    /// When Argo CD would give up: an `accounts.<name>.enabled` that Go's `strconv.ParseBool` refuses.
    /// The same in `admin.enabled` is not an error; Argo CD ignores it.
    pub fn read(
        data: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Accounts<'a>, Unreadable> {
        let mut admin = Account::fresh();
        admin.login = true;
        let mut accounts = BTreeMap::from([(ADMIN, admin)]);
        let mut admin_switch = None;
        let mut keys = Vec::new();
        for (key, value) in data {
            if key == ADMIN_SWITCH {
                admin_switch = parse_bool(value);
                continue;
            }
            let mut parts = key.split('.');
            let (Some("accounts"), Some(name), suffix, None) =
                (parts.next(), parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let account = accounts.entry(name).or_insert_with(Account::fresh);
            match suffix {
                None | Some("") => account.grant(value),
                Some("enabled") => match parse_bool(value) {
                    Some(enabled) => {
                        account.enabled = enabled;
                        account.switch = Some(key);
                    }
                    None => keys.push(key.to_owned()),
                },
                Some(_) => {}
            }
        }
        if !keys.is_empty() {
            keys.sort_unstable();
            return Err(Unreadable { keys });
        }
        if let (Some(enabled), Some(admin)) = (admin_switch, accounts.get_mut(ADMIN))
            && admin.switch.is_none()
        {
            admin.enabled = enabled;
            admin.switch = Some(ADMIN_SWITCH);
        }
        Ok(Accounts(accounts))
    }

    /// The account of this name.
    pub fn get(&self, name: &str) -> Option<&Account<'a>> {
        self.0.get(name)
    }

    /// Every account with its name, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &Account<'a>)> {
        self.0.iter().map(|(name, account)| (*name, account))
    }
}

impl Account<'_> {
    /// As an account starts: on, and with no capability.
    fn fresh() -> Self {
        Account {
            enabled: true,
            ..Account::default()
        }
    }

    /// Adds the capabilities of a list. Unknown words count for nothing.
    fn grant(&mut self, list: &str) {
        for capability in capabilities(list) {
            match capability {
                LOGIN => self.login = true,
                API_KEY => self.api_key = true,
                _ => {}
            }
        }
    }
}

/// The capabilities of a list: separated by commas, trimmed, with case.
pub fn capabilities(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}

/// Go's `strconv.ParseBool`.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        data: BTreeMap<String, String>,
        accounts: Option<BTreeMap<String, Expected>>,
        error: Option<String>,
    }

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Expected {
        enabled: bool,
        login: bool,
        api_key: bool,
    }

    fn read(data: &BTreeMap<String, String>) -> Result<Accounts<'_>, Unreadable> {
        Accounts::read(
            data.iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        )
    }

    #[test]
    fn all_553_verdicts_of_argo_cd_are_ours() {
        let vectors: Vec<Vector> = serde_json::from_str(include_str!(
            "../../../../tests/fixtures/argocd-accounts.json"
        ))
        .unwrap();
        let agree = vectors.iter().filter(|vector| {
            let data = &vector.data;
            match (read(data), &vector.accounts, &vector.error) {
                (Ok(accounts), Some(expected), None) => {
                    let ours: BTreeMap<String, Expected> = accounts
                        .iter()
                        .map(|(name, account)| {
                            let Account {
                                enabled,
                                login,
                                api_key,
                                ..
                            } = *account;
                            (
                                name.to_owned(),
                                Expected {
                                    enabled,
                                    login,
                                    api_key,
                                },
                            )
                        })
                        .collect();
                    assert_eq!(&ours, expected, "{}: {data:?}", vector.name);
                }
                (Err(unreadable), None, Some(error)) => {
                    let named = unreadable.keys.iter().any(|key| {
                        *error
                            == format!("strconv.ParseBool: parsing {:?}: invalid syntax", data[key])
                    });
                    assert!(named, "{}: {unreadable:?} {error}", vector.name);
                }
                (ours, ..) => panic!("{}: {ours:?} {data:?}", vector.name),
            }
            true
        });
        assert_eq!(agree.count(), 553);
    }

    #[test]
    fn the_key_that_switches_an_account_is_told() {
        let table: &[(&[(&str, &str)], &str, bool, Option<&str>)] = &[
            (&[], "admin", true, None),
            (
                &[("admin.enabled", "false")],
                "admin",
                false,
                Some("admin.enabled"),
            ),
            (&[("admin.enabled", "no")], "admin", true, None),
            (
                &[
                    ("admin.enabled", "false"),
                    ("accounts.admin.enabled", "true"),
                ],
                "admin",
                true,
                Some("accounts.admin.enabled"),
            ),
            (
                &[("accounts.bob.enabled", "0")],
                "bob",
                false,
                Some("accounts.bob.enabled"),
            ),
            (
                &[("admin.enabled", "false"), ("accounts.bob", "")],
                "bob",
                true,
                None,
            ),
        ];
        for (data, name, enabled, switch) in table {
            let accounts = Accounts::read(data.iter().copied()).unwrap();
            let account = accounts.get(name).unwrap();
            assert_eq!(
                (account.enabled, account.switch),
                (*enabled, *switch),
                "{data:?}"
            );
        }
    }

    #[test]
    fn every_unreadable_key_is_named() {
        let data = [
            ("accounts.b.enabled", "?"),
            ("accounts.a.enabled", ""),
            ("accounts.c.enabled", "1"),
        ];
        let unreadable = Accounts::read(data).unwrap_err();
        assert_eq!(
            unreadable.keys,
            ["accounts.a.enabled", "accounts.b.enabled"]
        );
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_depends_on_account_keys_only(
            data in prop::collection::btree_map("(accounts|admin)?[.]?[a-z.]{0,8}(enabled)?", ".{0,12}", 0..6)
        ) {
            let relevant: BTreeMap<String, String> =
                data.iter().filter(|(key, _)| is_account_key(key)).map(|(key, value)| (key.clone(), value.clone())).collect();
            prop_assert_eq!(read(&data), read(&relevant));
        }
    }
}
