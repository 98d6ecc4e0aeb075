//! Changes of `argocd-secret` by which Argo CD may refuse a token that it accepted.

use std::collections::{BTreeMap, BTreeSet};

use super::settings::{ADMIN_TOKENS, SIGNING_KEY};
use super::token_list::TokenList;

/// The entries of `argocd-secret`, as it is and as it will be.
pub type Entries<'a> = BTreeMap<&'a str, &'a [u8]>;

/// Whether some token may stop to work. Whatever Argo CD itself does every day, such as making an API key, does not
/// count: then nobody need be looked for who uses one.
pub fn may_revoke(old: &Entries<'_>, new: &Entries<'_>) -> bool {
    // Without a key there was no token.
    if !old.contains_key(SIGNING_KEY) {
        return false;
    }
    let keys: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let changed = keys.into_iter().filter(|key| old.get(key) != new.get(key));
    changed.into_iter().any(|key| {
        let value = |entries: &Entries<'_>| TokenList::read(entries.get(key).unwrap_or(&&b""[..]));
        if key.ends_with(".tokens") {
            let (old, new) = (value(old), value(new));
            !new.has_all_of(&old) || (key == ADMIN_TOKENS && !new.is_whole())
        } else {
            let of_admin = ["admin.password", "admin.passwordMtime"].contains(&key);
            key == SIGNING_KEY || of_admin || key.ends_with(".passwordMtime")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_cost_a_token_its_life_counts() {
        let old = [
            ("server.secretkey", "k"),
            ("admin.tokens", r#"[{"id":"a"},{"id":"b"}]"#),
            ("admin.password", "h"),
            ("admin.passwordMtime", "2026-01-01T00:00:00Z"),
            ("accounts.bob.tokens", r#"[{"id":"c"}]"#),
            ("dex.secret", "x"),
        ];
        let longer = r#"[{"id":"n"},{"id":"b"},{"id":"a","iat":1}]"#;
        let table = [
            ("admin.tokens", Some(longer), false),
            ("admin.tokens", Some(r#"[{"id":"a"}]"#), true),
            ("admin.tokens", None, true),
            ("admin.tokens", Some(r#"[{"id":"a"},{"id":"b"},5]"#), true),
            ("accounts.bob.tokens", Some("[]"), true),
            (
                "accounts.bob.tokens",
                Some(r#"[{"id":"c","iat":"x"}]"#),
                false,
            ),
            ("accounts.eve.tokens", Some("["), false),
            ("server.secretkey", Some("l"), true),
            ("server.secretkey", None, true),
            ("admin.password", Some("i"), true),
            ("admin.password", None, true),
            ("admin.passwordMtime", Some("2026-02-01T00:00:00Z"), true),
            ("admin.passwordMtime", None, true),
            ("accounts.bob.passwordMtime", Some("yesterday"), true),
            ("dex.secret", Some("y"), false),
            ("tls.key", Some("z"), false),
        ];
        let entries = |state: &[(&'static str, &'static str)]| -> Entries<'static> {
            let state = state.iter();
            state.map(|(key, value)| (*key, value.as_bytes())).collect()
        };
        let before = entries(&old);
        assert!(!may_revoke(&before, &before));
        assert!(may_revoke(&before, &Entries::new()), "deleted");
        for (key, value, expected) in table {
            let mut after = before.clone();
            after.remove(key);
            after.extend(value.map(|value| (key, value.as_bytes())));
            assert_eq!(may_revoke(&before, &after), expected, "{key} {value:?}");
        }
        // At its first start Argo CD writes all of it.
        assert!(!may_revoke(&entries(&old[1..]), &before));
    }
}
