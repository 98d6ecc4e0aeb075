//! What Argo CD reads from `argocd-secret`, together with the accounts of `argocd-cm`.
//!
//! Source: Argo CD `util/settings/accounts.go`, `parseAccounts`, and `settings.go`, `updateSettingsFromSecret`.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use super::accounts::{ADMIN, Account, Accounts, Unreadable};
use super::certificate::{CERTIFICATE, PRIVATE_KEY, is_readable_pair};
use super::claims::Capability;
use super::shown::Shown;
use super::time::Time;
use super::token_list::TokenList;

/// The Secret that Argo CD keeps its own state in, in whatever namespace it runs.
pub const SECRET_NAME: &str = "argocd-secret";

/// The key of [`SECRET_NAME`] that tokens are signed with.
pub const SIGNING_KEY: &str = "server.secretkey";
/// The key of the hash of the password of `admin`.
pub const ADMIN_PASSWORD: &str = "admin.password";
pub(super) const ADMIN_TOKENS: &str = "admin.tokens";

/// Whether Argo CD reads accounts, the signing key or its serving certificate from this key of [`SECRET_NAME`].
pub fn is_settings_key(key: &str) -> bool {
    key == SIGNING_KEY
        || key == CERTIFICATE
        || key == PRIVATE_KEY
        || key.starts_with("admin.")
        || key.starts_with("accounts.")
}

/// Argo CD's state, as far as credentials go. It borrows what is secret and has no copy of it.
pub struct Settings<'a> {
    secret: BTreeMap<&'a str, &'a [u8]>,
    accounts: Accounts<'a>,
    admin_tokens: TokenList,
    password_times: BTreeMap<&'a str, Time>,
    restarted: bool,
}

/// Why Argo CD can read no account at all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum SettingsError {
    /// There is no ConfigMap that Argo CD finds: it looks for the label.
    #[error("there is no ConfigMap argocd-cm with the label app.kubernetes.io/part-of: argocd")]
    NoConfigMap,
    /// The serving certificate or its key is not one.
    #[error(
        "Secret argocd-secret: tls.crt and tls.key are not a certificate and its private key in PEM"
    )]
    Certificate,
    /// A switch in `argocd-cm` is neither true nor false.
    #[error("ConfigMap argocd-cm: {} is neither true nor false", .0.join(", "))]
    Switch(Vec<String>),
    /// The API keys of `admin` are not a list of them.
    #[error("Secret argocd-secret: admin.tokens is not a list of API keys in JSON")]
    AdminTokens,
    /// The time of a password is not a time.
    #[error("Secret argocd-secret: {0} is not a time as in RFC 3339")]
    PasswordTime(String),
}

impl SettingsError {
    /// The same without a key that has a run of characters in common with one of `secrets`: a person may have put
    /// anything where the name of an account belongs.
    pub fn hiding(&self, secrets: &[&[u8]]) -> SettingsError {
        let shown = |key: &String| {
            let shown = Shown::of(key, secrets).name().map(str::to_owned);
            shown.unwrap_or_else(|| "a key that cannot be shown".to_owned())
        };
        match self {
            SettingsError::NoConfigMap => SettingsError::NoConfigMap,
            SettingsError::Certificate => SettingsError::Certificate,
            SettingsError::Switch(keys) => SettingsError::Switch(keys.iter().map(shown).collect()),
            SettingsError::AdminTokens => SettingsError::AdminTokens,
            SettingsError::PasswordTime(key) => SettingsError::PasswordTime(shown(key)),
        }
    }
}

impl<'a> Settings<'a> {
    /// Reads the state from the entries of both, in any order; other keys are passed over.
    ///
    /// # Errors
    /// When Argo CD would give up, and no login and no API key of any account works.
    pub fn read(
        secret: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        config_map: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Settings<'a>, SettingsError> {
        let secret: BTreeMap<_, _> = secret.into_iter().collect();
        let value = |key: &str| secret.get(key).copied().unwrap_or_default();
        if !has_readable_certificate(&secret) {
            return Err(SettingsError::Certificate);
        }
        let admin_tokens = TokenList::read(value(ADMIN_TOKENS));
        if !admin_tokens.is_whole() {
            return Err(SettingsError::AdminTokens);
        }
        let accounts = Accounts::read(config_map)
            .map_err(|Unreadable { keys }| SettingsError::Switch(keys))?;
        let mut password_times = BTreeMap::new();
        for (name, _) in accounts.iter() {
            let key = key(name, "passwordMtime");
            let Some(text) = secret.get(&*key) else {
                continue;
            };
            match Time::parse(text) {
                Some(time) => {
                    password_times.insert(name, time);
                }
                None if name == ADMIN => {}
                None => return Err(SettingsError::PasswordTime(key)),
            }
        }
        Ok(Settings {
            secret,
            accounts,
            admin_tokens,
            password_times,
            restarted: false,
        })
    }

    /// The same after the next start of argocd-server, at `now` in Unix seconds.
    ///
    /// With `admin` enabled it makes a password where there is none, and sets the time of the password where there is
    /// no password or no time that it can read; it writes a time without the fraction of its second. Source: Argo CD
    /// `util/settings/settings.go`, `InitializeSettings`, and `accounts.go`, `saveAccount`.
    pub fn after_start(mut self, now: f64) -> Settings<'a> {
        let enabled = self.accounts.get(ADMIN).is_some_and(|it| it.enabled);
        let told = self.password_times.get(ADMIN).copied();
        let kept =
            told.is_some_and(|time| !time.is_zero()) && !self.password_hash(ADMIN).is_empty();
        self.restarted = enabled && !kept;
        let set = self.restarted.then(|| Time::unix(now as i64));
        if let Some(time) = set.or(told) {
            self.password_times.insert(ADMIN, time.whole_second());
        }
        self
    }

    /// Whether the time of this account's password is the one that the next start of argocd-server sets.
    pub fn is_set_at_start(&self, account: &str) -> bool {
        self.restarted && account == ADMIN
    }

    /// The key that tokens are signed with.
    pub fn signing_key(&self) -> Option<&'a [u8]> {
        signing_key(&self.secret)
    }

    /// The account of this name.
    pub fn account(&self, name: &str) -> Option<&Account<'a>> {
        self.accounts.get(name)
    }

    /// Whether an API key of an account, by its id, has not been revoked.
    pub fn has_api_key(&self, account: &str, id: &str) -> bool {
        if account == ADMIN {
            return self.admin_tokens.contains(id);
        }
        let list = self.secret.get(&*key(account, "tokens"));
        list.is_some_and(|list| TokenList::read(list).contains(id))
    }

    /// When an account's password was changed last.
    pub fn password_time(&self, account: &str) -> Option<Time> {
        self.password_times.get(account).copied()
    }

    /// The hash of an account's password; empty when it has none.
    pub fn password_hash(&self, account: &str) -> &'a [u8] {
        let hash = self.secret.get(&*key(account, "password"));
        hash.copied().unwrap_or_default()
    }
}

impl fmt::Debug for Settings<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Settings(<redacted>)")
    }
}

impl Account<'_> {
    /// Whether it can do what a credential is for.
    pub fn is_capable_of(&self, capability: Capability) -> bool {
        match capability {
            Capability::Login => self.login,
            Capability::ApiKey => self.api_key,
        }
    }
}

/// Whether Argo CD can read the serving certificate, or has none here.
pub fn has_readable_certificate(secret: &BTreeMap<&str, &[u8]>) -> bool {
    match (secret.get(CERTIFICATE), secret.get(PRIVATE_KEY)) {
        (Some(certificate), Some(key)) => is_readable_pair(certificate, key),
        _ => true,
    }
}

/// The key that tokens are signed with, of the entries of `argocd-secret`.
pub fn signing_key<'a>(secret: &BTreeMap<&str, &'a [u8]>) -> Option<&'a [u8]> {
    secret.get(SIGNING_KEY).copied()
}

/// The key of `argocd-secret` that has something of an account, such as its `tokens`.
pub fn key(account: &str, suffix: &str) -> String {
    if account == ADMIN {
        format!("admin.{suffix}")
    } else {
        format!("accounts.{account}.{suffix}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(
        secret: &[(&'a str, &'a str)],
        config_map: &[(&'a str, &'a str)],
    ) -> Result<Settings<'a>, SettingsError> {
        let secret = secret.iter().map(|(key, value)| (*key, value.as_bytes()));
        Settings::read(secret, config_map.iter().copied())
    }

    #[test]
    fn what_makes_argo_cd_give_up_is_told() {
        let bob = ("accounts.bob", "apiKey");
        let table = [
            (("admin.tokens", "["), bob, Some(SettingsError::AdminTokens)),
            (
                ("admin.tokens", r#"[{"id":1}]"#),
                bob,
                Some(SettingsError::AdminTokens),
            ),
            (("admin.tokens", "null"), bob, None),
            (("admin.passwordMtime", "yesterday"), bob, None),
            (("accounts.bob.tokens", "["), bob, None),
            (
                ("accounts.bob.passwordMtime", "yesterday"),
                bob,
                Some(SettingsError::PasswordTime(
                    "accounts.bob.passwordMtime".to_owned(),
                )),
            ),
            (
                ("accounts.bob.passwordMtime", ""),
                bob,
                Some(SettingsError::PasswordTime(
                    "accounts.bob.passwordMtime".to_owned(),
                )),
            ),
            // Nobody looks at the Secret for an account that argocd-cm does not have, nor for admin under accounts.
            (("accounts.eve.passwordMtime", "yesterday"), bob, None),
            (("accounts.admin.passwordMtime", "yesterday"), bob, None),
            (("accounts.admin.tokens", "["), bob, None),
            (
                ("admin.tokens", "[]"),
                ("accounts.bob.enabled", "maybe"),
                Some(SettingsError::Switch(vec![
                    "accounts.bob.enabled".to_owned(),
                ])),
            ),
        ];
        for (row, (secret, config_map, expected)) in table.into_iter().enumerate() {
            let error = read(&[secret], &[config_map]).err();
            assert_eq!(error, expected, "row {row}, {}", secret.0);
        }
    }

    #[test]
    fn the_next_start_sets_the_time_of_admins_password_where_there_is_none_to_read() {
        const NOW: i64 = 1_800_000_000;
        let (kept, with_fraction) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.9Z");
        let kept_time = Time::parse(kept.as_bytes());
        let now = Some(Time::unix(NOW));
        let (on, off) = (("admin.enabled", "true"), ("admin.enabled", "false"));
        let table = [
            (Some(kept), "a hash", on, kept_time),
            (Some(with_fraction), "a hash", on, kept_time),
            (Some(with_fraction), "", off, kept_time),
            (Some(kept), "", on, now),
            (None, "a hash", on, now),
            (Some("yesterday"), "a hash", on, now),
            (Some("0001-01-01T00:00:00Z"), "a hash", on, now),
            (None, "a hash", off, None),
        ];
        for (row, (time, hash, switch, expected)) in table.into_iter().enumerate() {
            let mut secret = vec![("admin.password", hash)];
            secret.extend(time.map(|time| ("admin.passwordMtime", time)));
            let settings = read(&secret, &[switch]).unwrap().after_start(NOW as f64);
            assert_eq!(settings.password_time(ADMIN), expected, "row {row}");
            assert_eq!(
                settings.is_set_at_start(ADMIN),
                expected == now,
                "row {row}"
            );
        }
    }

    #[test]
    fn a_key_that_tells_something_of_a_secret_is_not_shown() {
        let keys = ["accounts.bob.enabled", "accounts.sup3rs3cret.enabled"];
        let switch = SettingsError::Switch(keys.map(str::to_owned).into());
        assert_eq!(
            switch.hiding(&[b"other", b"my sup3rs3cret"]).to_string(),
            "ConfigMap argocd-cm: accounts.bob.enabled, a key that cannot be shown is neither true nor false"
        );
        let time = SettingsError::PasswordTime("accounts.sup3rs3cret.passwordMtime".to_owned());
        assert!(!time.hiding(&[b"sup3rs3cret"]).to_string().contains("sup3r"));
        assert_eq!(time.hiding(&[b"other"]), time);
    }

    #[test]
    fn each_account_has_its_own_keys_and_nobody_elses() {
        let secret = [
            ("server.secretkey", "key"),
            ("admin.tokens", r#"[{"id":"of-admin"}]"#),
            ("accounts.bob.tokens", r#"[{"id":"of-bob"}]"#),
            ("accounts..tokens", r#"[{"id":"of-nobody"}]"#),
            ("accounts.admin.tokens", r#"[{"id":"elsewhere"}]"#),
            ("admin.password", "a"),
            ("accounts.bob.password", "b"),
            ("admin.passwordMtime", "2026-01-01T00:00:00Z"),
        ];
        let settings = read(
            &secret,
            &[("accounts.bob", "apiKey"), ("accounts.", "apiKey")],
        )
        .unwrap();
        let owner = ["admin", "bob", ""].map(|name| {
            let ids = ["of-admin", "of-bob", "of-nobody", "elsewhere"];
            ids.map(|id| settings.has_api_key(name, id))
        });
        assert_eq!(owner[0], [true, false, false, false]);
        assert_eq!(owner[1], [false, true, false, false]);
        assert_eq!(owner[2], [false, false, true, false]);
        assert_eq!(settings.password_hash("admin"), b"a");
        assert_eq!(settings.password_hash("bob"), b"b");
        assert_eq!(settings.password_hash("eve"), b"");
        assert!(settings.password_time("admin").is_some());
        assert!(settings.password_time("bob").is_none());
        assert_eq!(settings.signing_key(), Some(&b"key"[..]));
        assert_eq!(format!("{settings:?}"), "Settings(<redacted>)");
    }

    #[test]
    fn only_what_argo_cd_reads_of_accounts_is_asked_for() {
        for key in ["server.secretkey", "admin.password", "accounts.bob.tokens"] {
            assert!(is_settings_key(key), "{key}");
        }
        for key in ["dex.github.clientSecret", "webhook.github.secret", "admin"] {
            assert!(!is_settings_key(key), "{key}");
        }
    }
}
