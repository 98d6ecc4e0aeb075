//! YAML and JSON files as documents in which each part knows its place.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};
use thiserror::Error;
use zeroize::Zeroizing;

use keyguard_core::document::{Content, Entry, Node, Position, Scalar, ScalarKind};

/// How deeply a document may be nested.
const DEEPEST: usize = 128;
/// The most parts that a file may have, those that aliases repeat among them. A long text counts for several.
const MOST_NODES: usize = 2_000_000;
/// How many bytes of a text count for a part.
const BYTES_OF_A_PART: usize = 64;

/// Why a file is no YAML. It quotes nothing: the file may hold a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{why} (line {line}, column {column})")]
pub struct YamlError {
    /// What is wrong.
    pub why: &'static str,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

/// Reads all documents of a file; empty ones are left out.
///
/// # Errors
/// When it is no YAML, nested too deeply or too large.
pub fn read(text: &str, file: &Arc<str>) -> Result<Vec<Node>, YamlError> {
    let mut reader = Reader {
        file: Arc::clone(file),
        documents: Vec::new(),
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let at = *error.marker();
            YamlError {
                why: "is not YAML or JSON",
                line: number(at.line()),
                column: number(at.col() + 1),
            }
        })?;
        reader.take(event, span)?;
    }
    Ok(reader.documents)
}

struct Reader {
    file: Arc<str>,
    documents: Vec<Node>,
    /// The collections that are not complete, from the outside.
    open: Vec<Open>,
    /// The values of anchors, and how many parts each has.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

struct Open {
    at: Position,
    anchor: usize,
    /// Parts before it.
    nodes_before: usize,
    content: OpenContent,
}

enum OpenContent {
    Map {
        entries: Vec<Entry>,
        /// From a key to where it stands among the entries.
        places: HashMap<String, usize>,
        key: Option<(Key, Position)>,
        /// What `<<` brings: it gives way to what is written.
        merged: Vec<Node>,
    },
    List(Vec<Node>),
}

enum Key {
    Text(String),
    Merge,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let at = self.position(span);
        match event {
            Event::DocumentStart(..) => self.anchors.clear(),
            Event::Scalar(text, style, anchor, tag) => {
                let kind = kind(&text, style, tag.as_deref());
                if self.opens_key() {
                    let merges = &*text == "<<" && style == ScalarStyle::Plain;
                    let key = match merges {
                        true => Key::Merge,
                        false => Key::Text(text.into_owned()),
                    };
                    return self.key(key, at);
                }
                let before = self.count(1 + text.len() / BYTES_OF_A_PART, &at)?;
                let text = Zeroizing::new(text.into_owned());
                let content = Content::Scalar(Scalar { kind, text });
                self.complete(Node { at, content }, anchor, before)?;
            }
            Event::Alias(anchor) => {
                let Some((node, nodes)) = self.anchors.get(&anchor).cloned() else {
                    return Err(fault("has an alias of something that is not complete", &at));
                };
                if self.opens_key() {
                    let Some(scalar) = node.scalar() else {
                        return Err(fault("has a key that is no text", &at));
                    };
                    return self.key(Key::Text(scalar.text.to_string()), at);
                }
                let before = self.count(nodes, &at)?;
                self.complete(node, 0, before)?;
            }
            Event::MappingStart(_, anchor, _) => {
                let content = OpenContent::Map {
                    entries: Vec::new(),
                    places: HashMap::new(),
                    key: None,
                    merged: Vec::new(),
                };
                self.begin(at, anchor, content)?;
            }
            Event::SequenceStart(_, anchor, _) => {
                self.begin(at, anchor, OpenContent::List(Vec::new()))?;
            }
            Event::MappingEnd | Event::SequenceEnd => self.end(&at)?,
            Event::UnresolvedAlias(_) => return Err(fault("has an alias without an anchor", &at)),
            _ => {}
        }
        Ok(())
    }

    /// Whether a mapping is open that has no key for what comes.
    fn opens_key(&self) -> bool {
        matches!(
            self.open.last().map(|open| &open.content),
            Some(OpenContent::Map { key: None, .. })
        )
    }

    fn key(&mut self, found: Key, at: Position) -> Result<(), YamlError> {
        self.count(1, &at)?;
        if let Some(OpenContent::Map { key, .. }) = self.open.last_mut().map(|it| &mut it.content) {
            *key = Some((found, at));
        }
        Ok(())
    }

    fn begin(
        &mut self,
        at: Position,
        anchor: usize,
        content: OpenContent,
    ) -> Result<(), YamlError> {
        if self.opens_key() {
            return Err(fault("has a key that is no text", &at));
        }
        if self.open.len() == DEEPEST {
            return Err(fault("is nested too deeply", &at));
        }
        let nodes_before = self.count(1, &at)?;
        self.open.push(Open {
            at,
            anchor,
            nodes_before,
            content,
        });
        Ok(())
    }

    fn end(&mut self, end: &Position) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let content = match open.content {
            OpenContent::List(items) => Content::List(items),
            OpenContent::Map {
                mut entries,
                mut places,
                merged,
                ..
            } => {
                for entry in merged.into_iter().flat_map(brought) {
                    if !places.contains_key(&entry.key) {
                        places.insert(entry.key.clone(), entries.len());
                        entries.push(entry);
                    }
                }
                Content::Map(entries)
            }
        };
        // What ends a block collection is the beginning of something else.
        let last = match &content {
            Content::Map(entries) => entries.last().map(|entry| &entry.value),
            Content::List(items) => items.last(),
            Content::Scalar(_) => None,
        };
        // What `<<` or an alias brings stands elsewhere.
        let after = |at: &&Position| (at.line, at.column) >= (open.at.line, open.at.column);
        let end = last.map(|last| &last.at).filter(after).unwrap_or(end);
        let at = Position {
            end_line: end.end_line,
            end_column: end.end_column,
            ..open.at
        };
        self.complete(Node { at, content }, open.anchor, open.nodes_before)
    }

    /// Puts a complete part where it belongs.
    fn complete(&mut self, node: Node, anchor: usize, before: usize) -> Result<(), YamlError> {
        if anchor != 0 {
            let nodes = self.nodes - before;
            self.count(nodes, &node.at)?;
            self.anchors.insert(anchor, (node.clone(), nodes));
        }
        let Some(open) = self.open.last_mut() else {
            if !node.is_null() {
                self.documents.push(node);
            }
            return Ok(());
        };
        match &mut open.content {
            OpenContent::List(items) => items.push(node),
            OpenContent::Map {
                entries,
                places,
                key,
                merged,
            } => match key.take() {
                Some((Key::Merge, _)) => merged.push(node),
                Some((Key::Text(key), at)) => {
                    let value = node;
                    // The last one counts, as for kubectl and Helm.
                    match places.get(&key).and_then(|place| entries.get_mut(*place)) {
                        Some(known) => *known = Entry { key, at, value },
                        None => {
                            places.insert(key.clone(), entries.len());
                            entries.push(Entry { key, at, value });
                        }
                    }
                }
                None => {}
            },
        }
        Ok(())
    }

    /// Counts parts, and returns how many there were before.
    fn count(&mut self, more: usize, at: &Position) -> Result<usize, YamlError> {
        let before = self.nodes;
        self.nodes += more;
        if self.nodes > MOST_NODES {
            return Err(fault("has too many parts, or too many aliases", at));
        }
        Ok(before)
    }

    fn position(&self, span: Span) -> Position {
        Position {
            file: Arc::clone(&self.file),
            line: number(span.start.line()),
            column: number(span.start.col() + 1),
            end_line: number(span.end.line()),
            end_column: number(span.end.col() + 1),
        }
    }
}

/// The entries that a value of `<<` brings: of a mapping, or of a sequence of them.
fn brought(node: Node) -> Vec<Entry> {
    match node.content {
        Content::Map(entries) => entries,
        Content::List(items) => items.into_iter().flat_map(brought).collect(),
        Content::Scalar(_) => Vec::new(),
    }
}

fn kind(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> ScalarKind {
    match (style, tag.map(Tag::core_suffix)) {
        (_, Some(Some("str"))) => ScalarKind::Text,
        (_, Some(Some("int"))) => ScalarKind::Integer,
        (ScalarStyle::Plain, None | Some(Some(_))) => ScalarKind::of_plain(text),
        _ => ScalarKind::Text,
    }
}

fn fault(why: &'static str, at: &Position) -> YamlError {
    YamlError {
        why,
        line: at.line,
        column: at.column,
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
