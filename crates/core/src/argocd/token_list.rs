//! The list of an account's API keys, as it stands in `argocd-secret`.
//!
//! Source: Argo CD `util/settings/accounts.go`, `Token`, decoded by Go's `encoding/json` into a struct: names are
//! matched without case, `null` changes nothing, and a value of another type is an error that leaves the rest.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::json;

/// The ids of an account's API keys, and whether the list is as Argo CD writes it.
pub struct TokenList {
    ids: Vec<Zeroizing<String>>,
    whole: bool,
}

impl TokenList {
    /// Reads a list; what is empty is a list of none.
    ///
    /// What is no JSON has no ids; what is JSON of another shape has the ids that Go finds in it.
    pub fn read(bytes: &[u8]) -> TokenList {
        let mut list = TokenList {
            ids: Vec::new(),
            whole: true,
        };
        if bytes.is_empty() {
            return list;
        }
        match json::value(bytes) {
            Some(value) if json::is_null(value) => {}
            Some(value) if value.get().starts_with('[') => {
                let entries: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
                for entry in entries {
                    list.add(entry);
                }
            }
            _ => list.whole = false,
        }
        list
    }

    /// Whether an API key with this id is in it.
    pub fn contains(&self, id: &str) -> bool {
        self.ids.iter().any(|known| known.as_str() == id)
    }

    /// Whether no id of `other` is missing.
    pub fn has_all_of(&self, other: &TokenList) -> bool {
        other.ids.iter().all(|id| self.contains(id))
    }

    /// Whether Go reads it without an error.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    fn add(&mut self, entry: &RawValue) {
        if json::is_null(entry) {
            return;
        }
        match entry
            .get()
            .starts_with('{')
            .then(|| serde_json::from_str::<Entry>(entry.get()))
        {
            Some(Ok(entry)) => {
                self.whole &= entry.whole;
                self.ids.extend(entry.id);
            }
            _ => self.whole = false,
        }
    }
}

impl fmt::Debug for TokenList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "TokenList({} ids, whole: {})",
            self.ids.len(),
            self.whole
        )
    }
}

/// One API key, as far as it counts.
struct Entry {
    id: Option<Zeroizing<String>>,
    whole: bool,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Entry, D::Error> {
        deserializer.deserialize_map(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let mut entry = Entry {
            id: None,
            whole: true,
        };
        while let Some(Key(name)) = map.next_key()? {
            let value: &RawValue = map.next_value()?;
            if json::is_null(value) {
                continue;
            }
            if name.eq_ignore_ascii_case("id") {
                match json::text(value) {
                    Some(id) => entry.id = Some(id),
                    None => entry.whole = false,
                }
            } else if name.eq_ignore_ascii_case("iat") || name.eq_ignore_ascii_case("exp") {
                entry.whole &= value.get().parse::<i64>().is_ok();
            }
        }
        Ok(entry)
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_go_reads_them() {
        let table: [(&str, bool, &[&str]); 32] = [
            ("", true, &[]),
            ("null", true, &[]),
            ("[]", true, &[]),
            (" [ ] \n", true, &[]),
            (
                r#"[{"id":"a","iat":1},{"id":"b","iat":2,"exp":3}]"#,
                true,
                &["a", "b"],
            ),
            (
                r#"[{"ID":"a"},{"Id":"b"},{"iD":"c"}]"#,
                true,
                &["a", "b", "c"],
            ),
            (r#"[{"id":"a","ID":"b"}]"#, true, &["b"]),
            (r#"[{"ID":"a","id":"b"}]"#, true, &["b"]),
            (r#"[{"id":"a","id":null}]"#, true, &["a"]),
            (r#"[{"id":"a","ID":5}]"#, false, &["a"]),
            (r#"[null,{"id":"a"}]"#, true, &["a"]),
            (r#"[{},{"id":"a"}]"#, true, &["a"]),
            (r#"[{"id":5},{"id":"a"}]"#, false, &["a"]),
            (r#"[{"id":["a"]}]"#, false, &[]),
            (r#"[5,{"id":"a"},"x",[]]"#, false, &["a"]),
            (r#"[{"id":"a","iat":"1"}]"#, false, &["a"]),
            (r#"[{"id":"a","iat":1.0}]"#, false, &["a"]),
            (r#"[{"id":"a","iat":1e3}]"#, false, &["a"]),
            (r#"[{"id":"a","iat":-0}]"#, true, &["a"]),
            (r#"[{"id":"a","iat":9223372036854775808}]"#, false, &["a"]),
            (r#"[{"id":"a","iat":null,"exp":null}]"#, true, &["a"]),
            (r#"[{"id":"a","exp":true}]"#, false, &["a"]),
            (r#"[{"id":"a","more":1e999}]"#, true, &["a"]),
            (r#"[{"\u0069d":"\u0061"}]"#, true, &["a"]),
            // Go puts U+FFFD there; nobody writes it.
            (r#"[{"id":"\ud800"}]"#, false, &[]),
            (r#"{"id":"a"}"#, false, &[]),
            (r#""a""#, false, &[]),
            ("5", false, &[]),
            (r#"[{"id":"a"}"#, false, &[]),
            (r#"[{"id":"a"}] x"#, false, &[]),
            (r#"[{"id":"a"},]"#, false, &[]),
            (" ", false, &[]),
        ];
        for (text, whole, ids) in table {
            let list = TokenList::read(text.as_bytes());
            assert_eq!(list.is_whole(), whole, "{text}");
            let found: Vec<&str> = list.ids.iter().map(|id| id.as_str()).collect();
            assert_eq!(found, ids, "{text}");
            assert!(ids.iter().all(|id| list.contains(id)), "{text}");
            assert!(!list.contains("other"), "{text}");
        }
    }

    #[test]
    fn debug_tells_no_id() {
        let list = TokenList::read(br#"[{"id":"3f0f0d1e"}]"#);
        assert_eq!(format!("{list:?}"), "TokenList(1 ids, whole: true)");
    }
}
