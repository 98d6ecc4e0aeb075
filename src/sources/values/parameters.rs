//! `helm.parameters` and `targetPath`: one value at a path, as by `helm --set`.
//!
//! Source: Helm `pkg/strvals/parser.go`, `typedVal`.

use keyguard_core::document::layers::set;
use keyguard_core::document::{Content, Node, Scalar, ScalarKind};

/// `value`, a scalar, at `path` in `values`. Paths into lists change nothing: none is of interest.
pub(super) fn apply(values: Node, path: &str, value: &Node, is_text: bool) -> Node {
    let keys = keys(path);
    let Some(scalar) = value.scalar() else {
        return values;
    };
    if keys.is_empty() || keys.iter().any(|key| key.ends_with(']')) {
        return values;
    }
    let kind = match is_text {
        true => ScalarKind::Text,
        false => kind(&scalar.text),
    };
    let content = Content::Scalar(Scalar {
        kind,
        text: scalar.text.clone(),
    });
    let value = Node {
        at: value.at.clone(),
        content,
    };
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    set(values, &keys, value)
}

/// What Helm takes the text of `--set` for.
fn kind(text: &str) -> ScalarKind {
    match text {
        "null" => ScalarKind::Null,
        "true" => ScalarKind::Bool(true),
        "false" => ScalarKind::Bool(false),
        "0" => ScalarKind::Integer,
        text if !text.starts_with('0') && text.parse::<i64>().is_ok() => ScalarKind::Integer,
        _ => ScalarKind::Text,
    }
}

/// `a.b\.c` is `a`, `b.c`.
fn keys(path: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                if let (Some(key), Some(next)) = (keys.last_mut(), characters.next()) {
                    key.push(next);
                }
            }
            '.' => keys.push(String::new()),
            other => {
                if let Some(key) = keys.last_mut() {
                    key.push(other);
                }
            }
        }
    }
    keys.retain(|key| !key.is_empty());
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_at_dots_without_a_backslash() {
        let table = [
            ("a.b", vec!["a", "b"]),
            (
                "argo-cd.configs.cm.accounts\\.admin",
                vec!["argo-cd", "configs", "cm", "accounts.admin"],
            ),
            ("", vec![]),
        ];
        for (path, expected) in table {
            assert_eq!(keys(path), expected, "{path}");
        }
    }

    #[test]
    fn texts_are_what_helm_takes_them_for() {
        let table = [
            ("true", ScalarKind::Bool(true)),
            ("null", ScalarKind::Null),
            ("12", ScalarKind::Integer),
            ("0", ScalarKind::Integer),
            ("012", ScalarKind::Text),
            ("1.5", ScalarKind::Text),
            ("yes", ScalarKind::Text),
        ];
        for (text, expected) in table {
            assert_eq!(kind(text), expected, "{text}");
        }
    }
}
