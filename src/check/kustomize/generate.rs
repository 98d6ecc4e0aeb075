//! `configMapGenerator` and `secretGenerator`.
//!
//! Source: kustomize `api/internal/generators` and `api/resmap/reswrangler.go`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyguard_core::document::{Content, Entry, Node, Position};
use keyguard_core::runtime::chart::auth::is_true;

use super::edit::{map, put};
use super::resource::{GENERATOR, Resource};

/// What a generator makes.
pub(super) struct Generated {
    pub(super) resource: Resource,
    pub(super) behavior: Behavior,
    /// Whether files give it keys that are not known.
    pub(super) open: bool,
}

/// What becomes of an object of this name that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Behavior {
    Create,
    Merge,
    Replace,
}

/// Reads a generator of a ConfigMap or Secret; `general` are the `generatorOptions`.
pub(super) fn generate(
    kind: &str,
    generator: &Node,
    general: Option<&Node>,
    via: &Position,
) -> Option<Generated> {
    let named = |key| {
        let inside = generator.text_at(&["metadata", key]);
        generator.text_at(&[key]).or(inside)
    };
    let at = &generator.at;
    let open = !list(generator, "envs").is_empty() || generator.get("env").is_some();
    let kind = match (kind, open) {
        ("Secret", true) => GENERATOR,
        _ => kind,
    };
    let mut metadata = map([("name", Node::of_text(named("name")?, at))], at);
    if let Some(namespace) = named("namespace") {
        put(&mut metadata, &["namespace"], Node::of_text(namespace, at));
    }
    let options = [general, generator.get("options")];
    for part in ["labels", "annotations"] {
        for entry in options
            .iter()
            .flatten()
            .filter_map(|it| it.get(part))
            .flat_map(Node::entries)
        {
            put(&mut metadata, &[part, &entry.key], entry.value.clone());
        }
    }
    let node = match kind {
        GENERATOR => with_unknown_keys(metadata, at),
        kind => map(
            [
                ("apiVersion", Node::of_text("v1", at)),
                ("kind", Node::of_text(kind, at)),
                ("metadata", metadata),
                ("data", data(generator, kind == "Secret")),
            ],
            at,
        ),
    };
    let hashless = |options: &&Node| options.get("disableNameSuffixHash").is_some_and(is_true);
    Some(Generated {
        resource: Resource {
            hash: !options.iter().flatten().any(hashless),
            generated: true,
            ..Resource::new(node, via.clone())
        },
        behavior: match generator.text_at(&["behavior"]) {
            Some("merge") => Behavior::Merge,
            Some("replace") => Behavior::Replace,
            _ => Behavior::Create,
        },
        open,
    })
}

/// A Secret of which not all keys are known: the other readers take it for one that is generated from files.
pub(super) fn with_unknown_keys(metadata: Node, at: &Position) -> Node {
    let files = Node {
        at: at.clone(),
        content: Content::List(vec![Node::of_text("", at)]),
    };
    map(
        [
            ("apiVersion", Node::of_text("builtin", at)),
            ("kind", Node::of_text(GENERATOR, at)),
            ("metadata", metadata),
            ("envs", files),
        ],
        at,
    )
}

fn list<'a>(generator: &'a Node, key: &str) -> &'a [Node] {
    generator.get(key).map_or(&[], Node::items)
}

fn data(generator: &Node, encoded: bool) -> Node {
    let entry = |key: &str, value: String, at: &Position| Entry {
        key: key.to_owned(),
        at: at.clone(),
        value: Node::of_text(value, at),
    };
    let literals = list(generator, "literals").iter().filter_map(|item| {
        let (key, value) = item.text()?.split_once('=')?;
        let value = unquoted(value);
        let value = match encoded {
            true => STANDARD.encode(value),
            false => value.to_owned(),
        };
        Some(entry(key, value, &item.at))
    });
    let files = list(generator, "files").iter().filter_map(|item| {
        let named = item.text()?;
        let name = named.rsplit('/').next().unwrap_or(named);
        let (key, file) = named.split_once('=').unwrap_or((name, named));
        // What the file has is not known: to all readers it is a value that is filled in later.
        Some(entry(key, format!("${{{file}}}"), &item.at))
    });
    Node {
        at: generator.at.clone(),
        content: Content::Map(literals.chain(files).collect()),
    }
}

fn unquoted(value: &str) -> &str {
    let inside = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}
