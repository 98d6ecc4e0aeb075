//! YAML that stands as a text in another document, such as `helm.values: |`.

use std::sync::Arc;

use keyguard_core::document::{Content, Entry, Node, Position};

use crate::sources::yaml::{self, YamlError};

/// The first document in the text of a scalar, with the places that its parts have in the file. `key` is where the key
/// of the scalar stands. All parts of a text that is no block have the place of the text.
///
/// # Errors
/// When the text is no YAML; the place in it does not matter.
pub(super) fn document(scalar: &Node, key: &Position) -> Result<Option<Node>, YamlError> {
    Ok(documents(scalar, key)?.into_iter().next())
}

/// The same for all documents in the text.
///
/// # Errors
/// When the text is no YAML.
pub(crate) fn documents(scalar: &Node, key: &Position) -> Result<Vec<Node>, YamlError> {
    let Some(text) = scalar.scalar().map(|scalar| &scalar.text) else {
        return Ok(Vec::new());
    };
    let documents = yaml::read(text, &Arc::clone(&scalar.at.file))?;
    // A block begins on the line below its key, and its place is behind its indentation.
    let is_block = scalar.at.line > key.line;
    let indentation = match scalar.at.column > key.column {
        true => scalar.at.column - 1,
        false => key.column + 1,
    };
    let place = |inner: &Position| match is_block {
        true => Position {
            file: Arc::clone(&inner.file),
            line: key.line + inner.line,
            column: indentation + inner.column,
            end_line: key.line + inner.end_line,
            end_column: indentation + inner.end_column,
        },
        false => scalar.at.clone(),
    };
    let documents = documents.into_iter();
    Ok(documents.map(|node| moved(node, &place)).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_block_have_their_places_in_the_file() {
        let table = [
            ("k:\n  values: |\n    a: 1\n    b:\n      c: x\n", (5, 10)),
            (
                "k:\n  values: |-\n        a: 1\n        b:\n          c: x\n",
                (5, 14),
            ),
            ("k:\n  values: |\n\n    # a\n    b:\n      c: x\n", (6, 10)),
            ("k:\n  values: \"b: {c: x}\"\n", (2, 11)),
        ];
        for (text, expected) in table {
            let documents = yaml::read(text, &Arc::from("f.yaml")).unwrap();
            let entry = documents[0]
                .path(&["k"])
                .and_then(|node| node.entry("values"));
            let entry = entry.unwrap();
            let inner = document(&entry.value, &entry.at).unwrap().unwrap();
            let at = &inner.path(&["b", "c"]).unwrap().at;
            assert_eq!((at.line, at.column), expected, "{text}");
        }
    }
}
