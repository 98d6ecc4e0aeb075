//! The name of an account in a message: shown only when it is one and tells nothing of a secret.
//!
//! A token names its account itself, and a person may have put anything where a user name belongs.

use std::collections::BTreeSet;
use std::fmt;

/// The most characters of a name that is shown.
const MOST: usize = 64;
/// How many characters of a secret in a row are too many.
const RUN: usize = 8;

/// The name of an account as a message may show it, with the word for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shown(Option<String>);

impl Shown {
    /// The name, unless it is none or has a run of characters in common with one of `secrets`.
    pub fn of(name: &str, secrets: &[&[u8]]) -> Shown {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@ ".contains(&byte);
        let printable = name.len() <= MOST && name.bytes().all(allowed);
        let runs: BTreeSet<&[u8]> = name.as_bytes().windows(RUN).collect();
        let tells = !runs.is_empty()
            && secrets
                .iter()
                .any(|secret| secret.windows(RUN).any(|run| runs.contains(run)));
        Shown((printable && !tells).then(|| name.to_owned()))
    }

    /// The name, when it may be shown.
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The name in a command to copy: `<account>` when there is none to show.
    pub fn argument(&self) -> &str {
        match self.name() {
            Some(name) if !name.is_empty() && !name.contains(' ') => name,
            _ => "<account>",
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => write!(formatter, "account {name:?}"),
            None => formatter.write_str("an account whose name cannot be shown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_when_it_is_one_and_tells_nothing() {
        let long = "a".repeat(65);
        let table = [
            ("admin", Some("admin")),
            ("", Some("")),
            (" admin", Some(" admin")),
            ("bot@example.com", Some("bot@example.com")),
            ("correct-", None),
            ("the-correct-one", None),
            ("correct", Some("correct")),
            ("a\nb", None),
            ("ädmin", None),
            (&long, None),
        ];
        for (name, shown) in table {
            let found = Shown::of(name, &[b"other", b"correct-horse"]);
            assert_eq!(found.name(), shown, "{name}");
        }
        let arguments =
            ["admin", "", "a b", "a\nb"].map(|name| Shown::of(name, &[]).argument().to_owned());
        assert_eq!(arguments, ["admin", "<account>", "<account>", "<account>"]);
        assert_eq!(Shown::of("admin", &[]).to_string(), "account \"admin\"");
    }
}
