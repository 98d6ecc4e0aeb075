//! JSON patches (RFC 6902).

use keyguard_core::document::{Content, Entry, Node, Position};

use super::edit::entries_mut;

/// Applies the operations of `patch` in order. One that fits nowhere changes nothing: Kustomize ends with an error then.
pub(super) fn apply(node: &mut Node, patch: &Node) {
    for operation in patch.items() {
        let (Some(kind), Some(path)) = (operation.text_at(&["op"]), tokens(operation, "path"))
        else {
            continue;
        };
        let mut value = operation.get("value").cloned();
        if let ("copy" | "move", Some(from)) = (kind, tokens(operation, "from")) {
            value = found(node, &from).cloned();
            if kind == "move" {
                edit(node, &from, &Edit::Remove(&operation.at));
            }
        }
        match (kind, value) {
            ("remove", _) => drop(edit(node, &path, &Edit::Remove(&operation.at))),
            ("add" | "copy" | "move", Some(value)) => drop(edit(node, &path, &Edit::Add(value))),
            ("replace", Some(value)) => drop(edit(node, &path, &Edit::Replace(value))),
            _ => {}
        }
    }
}

enum Edit<'a> {
    Add(Node),
    Replace(Node),
    /// From here.
    Remove(&'a Position),
}

fn tokens(operation: &Node, key: &str) -> Option<Vec<String>> {
    let path = operation.text_at(&[key])?.strip_prefix('/')?;
    let token = |token: &str| token.replace("~1", "/").replace("~0", "~");
    Some(path.split('/').map(token).collect())
}

fn found<'a>(node: &'a Node, path: &[String]) -> Option<&'a Node> {
    path.iter()
        .try_fold(node, |node, token| match &node.content {
            Content::List(items) => items.get(token.parse::<usize>().ok()?),
            _ => node.get(token),
        })
}

/// Whether a part of `node` itself was removed.
fn edit(node: &mut Node, path: &[String], change: &Edit<'_>) -> bool {
    let Some((token, rest)) = path.split_first() else {
        return false;
    };
    if let Content::List(items) = &mut node.content {
        let index = match token.as_str() {
            "-" => items.len(),
            token => token.parse().unwrap_or(usize::MAX),
        };
        let fits = index <= items.len();
        match (change, items.get_mut(index)) {
            (_, Some(item)) if !rest.is_empty() => drop(edit(item, rest, change)),
            (Edit::Add(value), _) if rest.is_empty() && fits => {
                items.insert(index, value.clone());
            }
            (Edit::Replace(value), Some(item)) => *item = value.clone(),
            (Edit::Remove(_), Some(_)) => drop(items.remove(index)),
            _ => {}
        }
        return false;
    }
    let Some(entries) = entries_mut(node) else {
        return false;
    };
    let place = entries.iter().position(|entry| entry.key == *token);
    match (change, place.and_then(|place| entries.get_mut(place))) {
        (_, Some(entry)) if !rest.is_empty() => {
            if let (true, Edit::Remove(at)) = (edit(&mut entry.value, rest, change), change) {
                entry.at = (*at).clone();
            }
        }
        (Edit::Add(value) | Edit::Replace(value), Some(entry)) => {
            entry.at = value.at.clone();
            entry.value = value.clone();
        }
        // What is replaced may stand in an object that is not in the tree.
        (Edit::Add(value) | Edit::Replace(value), None) if rest.is_empty() => entries.push(Entry {
            key: token.clone(),
            at: value.at.clone(),
            value: value.clone(),
        }),
        (Edit::Remove(_), Some(_)) => {
            entries.retain(|entry| entry.key != *token);
            return true;
        }
        _ => {}
    }
    false
}
