//! A document that people wrote, with the place of each of its parts.

pub mod field;
pub mod layers;
mod plain;
pub mod unquoted;

#[cfg(test)]
pub(crate) mod testing;

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Number, Value};
use zeroize::Zeroizing;

/// A place in a file. Lines and columns count from 1, columns in characters; the end is behind the last character.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The path of the file, as it is to be shown.
    pub file: Arc<str>,
    /// The first line.
    pub line: u32,
    /// The first column.
    pub column: u32,
    /// The last line.
    pub end_line: u32,
    /// The column behind the last one.
    pub end_column: u32,
}

/// `FILE:LINE:COLUMN`.
impl fmt::Debug for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A part of a document. Debug shows its shape and no scalar: it may be a Secret's.
#[derive(Clone)]
pub struct Node {
    /// Where its value stands; of an alias, where the value of its anchor does.
    pub at: Position,
    /// What it is.
    pub content: Content,
}

/// What a part of a document is.
#[derive(Clone)]
pub enum Content {
    /// A mapping, in the order in which it is written; no key stands twice.
    Map(Vec<Entry>),
    /// A sequence.
    List(Vec<Node>),
    /// A scalar.
    Scalar(Scalar),
}

/// A key of a mapping and its value.
#[derive(Clone)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub at: Position,
    /// The value.
    pub value: Node,
}

/// A scalar, as Kubernetes' reader of YAML takes it.
#[derive(Clone)]
pub struct Scalar {
    /// What kind of value it is.
    pub kind: ScalarKind,
    /// The text, without quotes.
    pub text: Zeroizing<String>,
}

/// What kind of value a scalar is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    /// Nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Integer,
    /// Another number.
    Float,
    /// A text.
    Text,
}

impl fmt::Debug for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Map(entries) => {
                let entries = entries.iter().map(|entry| (&entry.key, &entry.value));
                formatter.debug_map().entries(entries).finish()
            }
            Content::List(items) => formatter.debug_list().entries(items).finish(),
            Content::Scalar(scalar) => write!(formatter, "<{:?}>", scalar.kind),
        }
    }
}

impl Node {
    /// A mapping without entries.
    pub fn empty_map(at: Position) -> Node {
        Node {
            at,
            content: Content::Map(Vec::new()),
        }
    }

    /// A text.
    pub fn of_text(text: impl Into<String>, at: &Position) -> Node {
        Node {
            at: at.clone(),
            content: Content::Scalar(Scalar {
                kind: ScalarKind::Text,
                text: text.into().into(),
            }),
        }
    }

    /// The entries of a mapping; none of anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a sequence; none of anything else.
    pub fn items(&self) -> &[Node] {
        match &self.content {
            Content::List(items) => items,
            _ => &[],
        }
    }

    /// The entry of this key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// What stands under this key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// What stands under these keys, each in the mapping before.
    pub fn path(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The scalar, if it is one.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.content {
            Content::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The text of a scalar that is a text.
    pub fn text(&self) -> Option<&str> {
        let scalar = self.scalar()?;
        (scalar.kind == ScalarKind::Text).then_some(scalar.text.as_str())
    }

    /// The text under these keys, if there is one.
    pub fn text_at(&self, keys: &[&str]) -> Option<&str> {
        self.path(keys)?.text()
    }

    /// Whether it is nothing: `null`, `~`, or no value at all.
    pub fn is_null(&self) -> bool {
        self.scalar()
            .is_some_and(|scalar| scalar.kind == ScalarKind::Null)
    }

    /// The same as JSON, as Kubernetes reads it. What is no number that JSON has is a text.
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Map(entries) => {
                let entries = entries.iter();
                let members: Map<String, Value> = entries
                    .map(|entry| (entry.key.clone(), entry.value.to_json()))
                    .collect();
                Value::Object(members)
            }
            Content::List(items) => items.iter().map(Node::to_json).collect(),
            Content::Scalar(scalar) => scalar.to_json(),
        }
    }
}

impl Scalar {
    fn to_json(&self) -> Value {
        match self.kind {
            ScalarKind::Null => Value::Null,
            ScalarKind::Bool(value) => Value::Bool(value),
            ScalarKind::Integer | ScalarKind::Float => self
                .text
                .replace('_', "")
                .trim_start_matches('+')
                .parse::<Number>()
                .map_or_else(|_| Value::String(self.text.to_string()), Value::Number),
            ScalarKind::Text => Value::String(self.text.to_string()),
        }
    }
}
