//! Argo CD's own state, any that may be, and what comes of it by the plainest reading.

use std::collections::BTreeMap;

use keyguard_core::argocd::verification::State;
use proptest::prelude::*;
use proptest::sample::select;

use super::{HASH, PASSWORD, PIECE};

/// Argo CD's own state.
#[derive(Clone, Debug)]
pub(super) struct Argocd {
    pub(super) secret: BTreeMap<String, String>,
    pub(super) config_map: BTreeMap<String, String>,
}

/// Of each key one of its values, or none.
fn entries(keys: Vec<(String, Vec<String>)>) -> impl Strategy<Value = BTreeMap<String, String>> {
    let entries: Vec<_> = keys
        .into_iter()
        .map(|(key, values)| {
            proptest::option::weighted(0.75, select(values))
                .prop_map(move |value| Some((key.clone(), value?)))
        })
        .collect();
    entries.prop_map(|entries| entries.into_iter().flatten().collect())
}

/// Any state, of which much is good.
pub(super) fn argocd(key: &str) -> impl Strategy<Value = Argocd> + use<> {
    let texts =
        |texts: &[&str]| -> Vec<String> { texts.iter().map(|text| (*text).to_owned()).collect() };
    let lists = texts(&[
        r#"[{"id":"one","iat":1}]"#,
        r#"[{"id":"two"},{"id":"one"}]"#,
        r#"[{"id":"two"}]"#,
        "null",
        "[{",
    ]);
    let times = texts(&[
        "2020-01-01T00:00:00Z",
        "2026-11-30T00:00:00+01:00",
        "yesterday",
    ]);
    let secret = vec![
        (
            "server.secretkey".to_owned(),
            vec![key.to_owned(), key.to_owned(), "another".to_owned()],
        ),
        ("admin.tokens".to_owned(), lists.clone()),
        ("accounts.bob.tokens".to_owned(), lists),
        ("admin.passwordMtime".to_owned(), times.clone()),
        ("accounts.bob.passwordMtime".to_owned(), times),
        ("admin.password".to_owned(), texts(&[HASH, HASH, "none"])),
        (
            "accounts.bob.password".to_owned(),
            texts(&[HASH, HASH, "none"]),
        ),
        ("dex.secret".to_owned(), texts(&["x"])),
    ];
    let capabilities = texts(&[
        "apiKey",
        "login",
        "apiKey, login",
        " login ,apiKey,x",
        "apikey",
        "",
    ]);
    let switches = texts(&["true", "false", "T", "0"]);
    let any_switch = texts(&["true", "false", "true", "true", "maybe"]);
    let mut config_map = vec![
        ("accounts.admin".to_owned(), capabilities.clone()),
        ("accounts.bob".to_owned(), capabilities),
        (
            "admin.enabled".to_owned(),
            texts(&["true", "false", "maybe"]),
        ),
        ("accounts.bob.enabled".to_owned(), switches),
        ("accounts.eve.enabled".to_owned(), any_switch.clone()),
    ];
    // Names that are pieces of a secret.
    for piece in [&key[..12], PIECE, &PASSWORD[..9]] {
        config_map.push((format!("accounts.{piece}.enabled"), any_switch.clone()));
    }
    (entries(secret), entries(config_map))
        .prop_map(|(secret, config_map)| Argocd { secret, config_map })
}

impl Argocd {
    pub(super) fn state(&self) -> State<'_> {
        let secret = self.secret.iter();
        let config_map = self.config_map.iter();
        State::read(
            secret.map(|(key, value)| (key.as_str(), value.as_bytes())),
            Some(config_map.map(|(key, value)| (key.as_str(), value.as_str()))),
        )
    }

    pub(super) fn entry(&self, account: &str, suffix: &str) -> Option<&str> {
        let prefix = if account == "admin" {
            "admin".to_owned()
        } else {
            format!("accounts.{account}")
        };
        self.secret
            .get(&format!("{prefix}.{suffix}"))
            .map(String::as_str)
    }

    fn exists(&self, account: &str) -> bool {
        let own = format!("accounts.{account}");
        let setting = format!("{own}.");
        let mut keys = self.config_map.keys();
        account == "admin" || keys.any(|key| *key == own || key.starts_with(&setting))
    }

    /// Whether an account can be read at all.
    pub(super) fn is_readable(&self) -> bool {
        let mut switches = self
            .config_map
            .iter()
            .filter(|(key, _)| key.starts_with("accounts.") && key.ends_with(".enabled"));
        let bad_time =
            self.exists("bob") && self.entry("bob", "passwordMtime") == Some("yesterday");
        switches.all(|(_, value)| value != "maybe")
            && self.entry("admin", "tokens") != Some("[{")
            && !bad_time
    }

    pub(super) fn may(&self, account: &str, capability: &str) -> bool {
        let listed = self.config_map.get(&format!("accounts.{account}"));
        let listed =
            listed.is_some_and(|list| list.split(',').any(|item| item.trim() == capability));
        let off = |key: &str| {
            matches!(
                self.config_map.get(key).map(String::as_str),
                Some("false" | "0")
            )
        };
        let own = format!("accounts.{account}.enabled");
        let enabled = !off(&own) && (account != "admin" || !off("admin.enabled"));
        self.exists(account) && enabled && (listed || (account == "admin" && capability == "login"))
    }
}
