//! A label by which namespaces are exempt.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::plan::is_object_name;

/// The most characters of a label's name, without its prefix, and of its value.
const MOST: usize = 63;

/// A label of a namespace, such as `team=sandbox`; shown as it is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamespaceLabel {
    key: String,
    value: String,
}

impl NamespaceLabel {
    /// Reads `KEY=VALUE`; `None` for what no label can be. A value may be empty.
    pub fn parse(text: &str) -> Option<NamespaceLabel> {
        let (key, value) = text.split_once('=')?;
        let name = match key.split_once('/') {
            Some((prefix, name)) if is_object_name(prefix) => name,
            Some(_) => return None,
            None => key,
        };
        let possible = is_label_name(name) && (value.is_empty() || is_label_name(value));
        possible.then(|| NamespaceLabel {
            key: key.to_owned(),
            value: value.to_owned(),
        })
    }

    /// Its key, perhaps with a prefix, such as `example.com/team`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Its value; may be empty.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl TryFrom<String> for NamespaceLabel {
    type Error = String;

    fn try_from(text: String) -> Result<NamespaceLabel, String> {
        NamespaceLabel::parse(&text)
            .ok_or_else(|| format!("{text:?} cannot be a label; write KEY=VALUE"))
    }
}

impl From<NamespaceLabel> for String {
    fn from(label: NamespaceLabel) -> String {
        label.to_string()
    }
}

impl JsonSchema for NamespaceLabel {
    fn schema_name() -> Cow<'static, str> {
        "NamespaceLabel".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([a-z0-9]([-.a-z0-9]*[a-z0-9])?/)?[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?=([A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$",
        })
    }
}

impl fmt::Display for NamespaceLabel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.key, self.value)
    }
}

fn is_label_name(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    text.len() <= MOST && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_a_key_and_a_value_that_kubernetes_takes() {
        let (most, more) = ("a".repeat(63), "a".repeat(64));
        let good = [
            "team=sandbox",
            "example.com/Team_1=a.b-c",
            "team=",
            &format!("{most}={most}"),
        ];
        for text in good {
            let label = NamespaceLabel::parse(text);
            assert_eq!(label.map(|label| label.to_string()).as_deref(), Some(text));
        }
        let bad = [
            "team",
            "=sandbox",
            "a/b/c=d",
            "/team=a",
            "Example.com/team=a",
            "team=-a",
            "team=a b",
            "team=a=b",
            &format!("{more}=a"),
            &format!("a={more}"),
        ];
        for text in bad {
            assert_eq!(NamespaceLabel::parse(text), None, "{text}");
        }
    }
}
