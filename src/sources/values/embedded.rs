//! YAML that stands as a text in another document, such as `helm.values: |`.

use std::sync::Arc;

use keyguard_core::document::{Content, Entry, Node, Position};

use crate::sources::yaml::{self, YamlError};

/// The first document in the text of a scalar, with the places that its parts have in the file. `key` is where the key
/// of the scalar stands.
///
/// Columns of a block are those of an indentation of two spaces; all parts of a text in one line have its place.
///
/// # Errors
/// When the text is no YAML; the place in it does not matter.
pub(super) fn document(scalar: &Node, key: &Position) -> Result<Option<Node>, YamlError> {
    let Some(text) = scalar.scalar().map(|scalar| &scalar.text) else {
        return Ok(None);
    };
    let mut documents = yaml::read(text, &Arc::clone(&scalar.at.file))?;
    if documents.is_empty() {
        return Ok(None);
    }
    let node = documents.swap_remove(0);
    let is_block = scalar.at.end_line > scalar.at.line;
    let place = |inner: &Position| match is_block {
        true => Position {
            file: Arc::clone(&inner.file),
            line: scalar.at.line + inner.line,
            column: key.column + 1 + inner.column,
            end_line: scalar.at.line + inner.end_line,
            end_column: key.column + 1 + inner.end_column,
        },
        false => scalar.at.clone(),
    };
    Ok(Some(moved(node, &place)))
}

fn moved(node: Node, place: &impl Fn(&Position) -> Position) -> Node {
    let content = match node.content {
        Content::Map(entries) => Content::Map(
            entries
                .into_iter()
                .map(|entry| Entry {
                    key: entry.key,
                    at: place(&entry.at),
                    value: moved(entry.value, place),
                })
                .collect(),
        ),
        Content::List(items) => {
            Content::List(items.into_iter().map(|item| moved(item, place)).collect())
        }
        scalar => scalar,
    };
    Node {
        at: place(&node.at),
        content,
    }
}
