//! Documents for tests, from JSON: each part is on a line of its own, in the order in which it is written.

use std::sync::Arc;

use serde_json::Value;
use zeroize::Zeroizing;

use super::{Content, Entry, Node, Position, Scalar, ScalarKind};

/// `value` as a document of the file `values.yaml`.
pub(crate) fn node(value: &Value) -> Node {
    part(value, &mut 0)
}

fn part(value: &Value, line: &mut u32) -> Node {
    let at = next(line);
    let scalar = |kind, text: String| {
        Content::Scalar(Scalar {
            kind,
            text: Zeroizing::new(text),
        })
    };
    let content = match value {
        Value::Null => scalar(ScalarKind::Null, String::new()),
        Value::Bool(value) => scalar(ScalarKind::Bool(*value), value.to_string()),
        Value::Number(value) => {
            let kind = match value.is_f64() {
                true => ScalarKind::Float,
                false => ScalarKind::Integer,
            };
            scalar(kind, value.to_string())
        }
        Value::String(text) => scalar(ScalarKind::Text, text.clone()),
        Value::Array(items) => Content::List(items.iter().map(|item| part(item, line)).collect()),
        Value::Object(members) => {
            let entry = |(key, value): (&String, &Value)| Entry {
                key: key.clone(),
                at: next(line),
                value: part(value, line),
            };
            Content::Map(members.iter().map(entry).collect())
        }
    };
    Node { at, content }
}

fn next(line: &mut u32) -> Position {
    *line += 1;
    Position {
        file: Arc::from("values.yaml"),
        line: *line,
        column: 1,
        end_line: *line,
        end_column: 2,
    }
}
