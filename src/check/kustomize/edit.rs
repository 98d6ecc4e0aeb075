//! Changes of parts of a document.

use keyguard_core::document::{Content, Entry, Node, Position};

/// A mapping with these members, all at one place.
pub(super) fn map<const N: usize>(members: [(&str, Node); N], at: &Position) -> Node {
    let entries = members.into_iter().map(|(key, value)| Entry {
        key: key.to_owned(),
        at: value.at.clone(),
        value,
    });
    Node {
        at: at.clone(),
        content: Content::Map(entries.collect()),
    }
}

/// The entries of a mapping; a scalar becomes one.
pub(super) fn entries_mut(node: &mut Node) -> Option<&mut Vec<Entry>> {
    if let Content::Scalar(_) = node.content {
        node.content = Content::Map(Vec::new());
    }
    match &mut node.content {
        Content::Map(entries) => Some(entries),
        _ => None,
    }
}

/// What stands under a key.
pub(super) fn get_mut<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    let Content::Map(entries) = &mut node.content else {
        return None;
    };
    let entry = entries.iter_mut().find(|entry| entry.key == key)?;
    Some(&mut entry.value)
}

/// Puts `value` under these keys, over what stands there. Mappings on the way are made at its place.
pub(super) fn put(node: &mut Node, keys: &[&str], value: Node) {
    let Some((key, rest)) = keys.split_first() else {
        *node = value;
        return;
    };
    let at = value.at.clone();
    let Some(entries) = entries_mut(node) else {
        return;
    };
    match entries.iter_mut().find(|entry| entry.key == *key) {
        Some(entry) => {
            if rest.is_empty() {
                entry.at = at;
            }
            put(&mut entry.value, rest, value);
        }
        None => {
            let mut inner = Node::empty_map(at.clone());
            put(&mut inner, rest, value);
            entries.push(Entry {
                key: (*key).to_owned(),
                at,
                value: inner,
            });
        }
    }
}

/// Calls `change` with every part of a document, the outer ones first.
pub(super) fn each(node: &mut Node, change: &mut impl FnMut(&mut Node)) {
    change(node);
    match &mut node.content {
        Content::Map(entries) => entries
            .iter_mut()
            .for_each(|it| each(&mut it.value, change)),
        Content::List(items) => items.iter_mut().for_each(|it| each(it, change)),
        Content::Scalar(_) => {}
    }
}

/// Gives every part of a document another place.
pub(super) fn moved(node: &mut Node, place: &impl Fn(&Position) -> Position) {
    each(node, &mut |part| {
        part.at = place(&part.at);
        if let Content::Map(entries) = &mut part.content {
            entries.iter_mut().for_each(|it| it.at = place(&it.at));
        }
    });
}
