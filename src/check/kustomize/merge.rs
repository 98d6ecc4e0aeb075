//! Strategic merge patches.
//!
//! Source: kustomize `api/filters/patchstrategicmerge` and `kyaml/yaml/merge2`, with the merge keys of Kubernetes' API.

use keyguard_core::document::{Content, Entry, Node};

/// `patch` over `base`: mappings are merged, `null` deletes, lists are replaced, or merged by a key where `lists` says so.
/// `None` when the patch deletes it. What is not patched keeps its place.
pub(super) fn merge(base: Node, patch: &Node, lists: bool) -> Option<Node> {
    match patch.text_at(&["$patch"]) {
        Some("delete") => return None,
        Some("replace") => return Some(plain(patch)),
        _ => {}
    }
    let (Content::Map(mut entries), Content::Map(over)) = (base.content, &patch.content) else {
        return Some(plain(patch));
    };
    for entry in over.iter().filter(|entry| !is_directive(&entry.key)) {
        let known = entries.iter().position(|known| known.key == entry.key);
        let Some(place) = known else {
            if !is_deleted(&entry.value) {
                entries.push(Entry {
                    value: plain(&entry.value),
                    ..entry.clone()
                });
            }
            continue;
        };
        let before = entries.remove(place);
        if let Some(merged) = merged(before, entry, lists) {
            entries.insert(place, merged);
        }
    }
    Some(Node {
        at: base.at,
        content: Content::Map(entries),
    })
}

fn merged(before: Entry, over: &Entry, lists: bool) -> Option<Entry> {
    if over.value.is_null() {
        return None;
    }
    let at = match &over.value.content {
        // A person who looks for what is gone finds it where it was deleted.
        Content::Map(entries) => {
            let mut gone = entries.iter().filter(|entry| is_deleted(&entry.value));
            gone.find(|entry| before.value.get(&entry.key).is_some())
                .map_or(before.at, |entry| entry.at.clone())
        }
        _ => over.at.clone(),
    };
    let key = merge_key(&over.key).filter(|_| lists);
    let value = match (key, &before.value.content, &over.value.content) {
        (Some(key), Content::List(_), Content::List(items)) => {
            Some(merge_lists(before.value, items, key))
        }
        _ => merge(before.value, &over.value, lists),
    };
    Some(Entry {
        key: before.key,
        at,
        value: value?,
    })
}

/// By which key Kubernetes merges the items of a list of this name in a pod; the others that have one do not matter here.
fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "containers" | "initContainers" | "ephemeralContainers" | "env" | "volumes" => Some("name"),
        "volumeMounts" => Some("mountPath"),
        _ => None,
    }
}

fn merge_lists(base: Node, patch: &[Node], key: &str) -> Node {
    let at = base.at.clone();
    let Content::List(mut items) = base.content else {
        return base;
    };
    if patch
        .iter()
        .any(|item| item.text_at(&["$patch"]) == Some("replace"))
    {
        items.clear();
    }
    let mut front = Vec::new();
    for item in patch {
        let Some(name) = item.text_at(&[key]) else {
            continue;
        };
        let known = items
            .iter()
            .position(|known| known.text_at(&[key]) == Some(name));
        match known {
            Some(place) => front.extend(merge(items.remove(place), item, true)),
            None if is_deleted(item) => {}
            None => front.push(plain(item)),
        }
    }
    // Kustomize puts what the patch names in front.
    front.append(&mut items);
    Node {
        at,
        content: Content::List(front),
    }
}

/// A part of a patch as it is where nothing was before it.
fn plain(node: &Node) -> Node {
    let content = match &node.content {
        Content::Map(entries) => {
            let kept = entries
                .iter()
                .filter(|it| !is_directive(&it.key) && !is_deleted(&it.value));
            Content::Map(
                kept.map(|it| Entry {
                    value: plain(&it.value),
                    ..it.clone()
                })
                .collect(),
            )
        }
        Content::List(items) => {
            let kept = items.iter().filter(|it| it.get("$patch").is_none());
            Content::List(kept.map(plain).collect())
        }
        scalar => scalar.clone(),
    };
    Node {
        at: node.at.clone(),
        content,
    }
}

fn is_deleted(node: &Node) -> bool {
    node.is_null() || node.text_at(&["$patch"]) == Some("delete")
}

fn is_directive(key: &str) -> bool {
    matches!(key, "$patch" | "$retainKeys")
        || key.starts_with("$setElementOrder/")
        || key.starts_with("$deleteFromPrimitiveList/")
}
