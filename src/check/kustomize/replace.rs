//! `replacements`: a field of one object written into fields of others.
//!
//! Source: kustomize `api/filters/replacement`.

use keyguard_core::document::{Content, Node};

use super::edit::put;
use super::resource::Resource;
use super::select::selects;

/// Does one replacement. A value that cannot be told is one that is filled in later.
pub(super) fn replace(resources: &mut [Resource], replacement: &Node) {
    let source = replacement.get("source");
    let value = source.and_then(|source| value(resources, source));
    for target in replacement.get("targets").map_or(&[][..], Node::items) {
        let whole = target.path(&["options", "delimiter"]).is_none();
        let (Some(select), fields) = (target.get("select"), target.get("fieldPaths")) else {
            continue;
        };
        let rejected = |resource: &Resource| {
            let reject = target.get("reject").map_or(&[][..], Node::items);
            reject
                .iter()
                .any(|reject| selects(reject, resource) == Some(true))
        };
        let creates = target.path(&["options", "create"]).is_some();
        let meant = resources
            .iter_mut()
            .filter(|it| selects(select, it) != Some(false));
        for resource in meant.filter(|it| !rejected(it)) {
            resource.keep_unpatched();
            for field in fields.map_or(&[][..], Node::items) {
                let value = value.clone().filter(|_| whole);
                let value = value.unwrap_or_else(|| Node::of_text("${replacement}", &field.at));
                let steps = steps(field.text().unwrap_or_default());
                write(&mut resource.node, &steps, &value, creates);
            }
        }
    }
}

fn value(resources: &[Resource], source: &Node) -> Option<Node> {
    if source.path(&["options", "delimiter"]).is_some() {
        return None;
    }
    let mut meant = resources
        .iter()
        .filter(|it| selects(source, it) == Some(true));
    let resource = meant.next()?;
    let steps = steps(source.text_at(&["fieldPath"]).unwrap_or("metadata.name"));
    let mut node = resource.node.clone();
    for step in &steps {
        node = inner(&mut node, step).into_iter().next()?.clone();
    }
    // The hash of a name comes later.
    node.scalar().is_some().then_some(node)
}

fn write(node: &mut Node, steps: &[String], value: &Node, creates: bool) {
    let Some((step, rest)) = steps.split_first() else {
        *node = value.clone();
        return;
    };
    if creates && rest.is_empty() && matches!(node.content, Content::Map(_)) {
        put(node, &[step], value.clone());
        return;
    }
    for inner in inner(node, step) {
        write(inner, rest, value, creates);
    }
}

/// The parts that one step leads to: a key, an index, `*`, or `[key=value]` in a list.
fn inner<'a>(node: &'a mut Node, step: &str) -> Vec<&'a mut Node> {
    let items = match &mut node.content {
        Content::List(items) => items,
        Content::Map(entries) => {
            let found = entries.iter_mut().find(|entry| entry.key == step);
            return found.into_iter().map(|entry| &mut entry.value).collect();
        }
        Content::Scalar(_) => return Vec::new(),
    };
    let wanted = step.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let wanted = wanted.and_then(|it| it.split_once('='));
    let index = step.parse::<usize>().ok();
    let items = items.iter_mut().enumerate();
    let found = items.filter(|(place, item)| match wanted {
        Some((key, value)) => item.text_at(&[key]) == Some(value),
        None => step == "*" || index == Some(*place),
    });
    found.map(|(_, item)| item).collect()
}

/// `a.[b=c.d].e\.f` in steps.
fn steps(path: &str) -> Vec<String> {
    let mut steps = vec![String::new()];
    let (mut inside, mut escaped) = (false, false);
    for character in path.chars() {
        match character {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            '.' if !escaped && !inside => {
                steps.push(String::new());
                continue;
            }
            '[' => inside = true,
            ']' => inside = false,
            _ => {}
        }
        escaped = false;
        if let Some(step) = steps.last_mut() {
            step.push(character);
        }
    }
    steps
}
