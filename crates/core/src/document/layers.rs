//! Documents over one another, as Helm lays values: mappings are merged, everything else is replaced, and `null` deletes.

use std::collections::HashMap;

use super::{Content, Entry, Node};

/// `over` laid over `base`. Each part keeps the place where it was written.
pub fn merge(base: Node, over: Node) -> Node {
    match (base.content, over.content) {
        (Content::Map(base_entries), Content::Map(over_entries)) => Node {
            at: over.at,
            content: Content::Map(merge_entries(base_entries, over_entries)),
        },
        (_, content) => Node {
            at: over.at,
            content,
        },
    }
}

fn merge_entries(base: Vec<Entry>, over: Vec<Entry>) -> Vec<Entry> {
    let mut merged = base;
    let places = merged.iter().enumerate();
    let mut places: HashMap<String, usize> = places.map(|(at, it)| (it.key.clone(), at)).collect();
    for entry in over {
        let known = places.get(&entry.key).copied();
        match known.and_then(|place| merged.get_mut(place)) {
            // A null stays, so that what it deletes stays deleted in the chart's own values as well.
            None => {
                places.insert(entry.key.clone(), merged.len());
                merged.push(entry);
            }
            Some(known) => {
                let nothing = Node::empty_map(entry.at.clone());
                let before = std::mem::replace(&mut known.value, nothing);
                let value = merge(before, entry.value);
                *known = Entry { value, ..entry };
            }
        }
    }
    merged
}

/// `value` at the end of `keys`, over whatever stands there; mappings on the way are made, at its place.
pub fn set(base: Node, keys: &[&str], value: Node) -> Node {
    let at = value.at.clone();
    let nested = keys.iter().rev().fold(value, |value, key| Node {
        at: at.clone(),
        content: Content::Map(vec![Entry {
            key: (*key).to_owned(),
            at: at.clone(),
            value,
        }]),
    });
    merge(base, nested)
}
