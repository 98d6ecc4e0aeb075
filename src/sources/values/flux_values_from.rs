//! `valuesFrom` of a HelmRelease: keys of ConfigMaps and Secrets that are in the tree.

use keyguard_core::document::{Entry, Node};
use keyguard_core::runtime::chart::auth::is_true;
use keyguard_core::runtime::secret_maker::decode_base64;

use super::embedded;
use super::kustomize::is_kustomization;
use super::layers::Layers;
use super::parameters;
use super::tree::{Files, folder, name, objects, resolve};

/// Lays what `source` names over the rest.
pub(super) fn add(files: &Files, namespace: Option<&str>, source: &Node, layers: &mut Layers) {
    let (Some(kind), Some(object)) = (source.text_at(&["kind"]), source.text_at(&["name"])) else {
        return;
    };
    let key = source.text_at(&["valuesKey"]).unwrap_or("values.yaml");
    let target = source.text_at(&["targetPath"]);
    let what = || format!("the {kind} {object} ({key}) that values are from");
    match find(files, namespace, kind, object, key) {
        Found::Value(entry) => {
            if is_encrypted(&entry.value) {
                layers.miss(&source.at, what(), "it is encrypted");
                return;
            }
            match target {
                Some(path) => {
                    layers.replace_with(|values| {
                        parameters::apply(values, path, &entry.value, false)
                    });
                }
                None => match values(&entry) {
                    Some(values) => layers.add(&values),
                    None => layers.miss(&source.at, what(), "it is no YAML"),
                },
            }
        }
        Found::File(path) => layers.add_named_file(files, Some(path), &source.at),
        Found::Nothing => {
            if !source.get("optional").is_some_and(is_true) {
                layers.miss(&source.at, what(), "it is not in the tree");
            }
        }
    }
}

/// Whether an object may be in this namespace: either may leave it to be filled in.
pub(super) fn is_in(object: &Node, namespace: Option<&str>) -> bool {
    let own = object.text_at(&["metadata", "namespace"]);
    own.is_none() || namespace.is_none() || own == namespace
}

enum Found {
    /// The entry with the text.
    Value(Entry),
    /// A file that Kustomize makes the key of.
    File(String),
    Nothing,
}

fn find(files: &Files, namespace: Option<&str>, kind: &str, object: &str, key: &str) -> Found {
    let documents = files.values().flat_map(|documents| objects(documents));
    let candidates = documents.filter(|it| {
        it.text_at(&["kind"]) == Some(kind)
            && it.text_at(&["apiVersion"]) == Some("v1")
            && it.text_at(&["metadata", "name"]) == Some(object)
            && is_in(it, namespace)
    });
    for candidate in candidates {
        let text = candidate
            .path(&["stringData"])
            .and_then(|data| data.entry(key));
        let data = candidate.path(&["data"]).and_then(|data| data.entry(key));
        let found = match kind {
            "Secret" => text.cloned().or_else(|| data.and_then(decoded)),
            _ => data.cloned(),
        };
        if let Some(entry) = found {
            return Found::Value(entry);
        }
    }
    generated(files, kind, object, key).map_or(Found::Nothing, Found::File)
}

/// A value of a Secret's `data`, with the place of its base64.
fn decoded(entry: &Entry) -> Option<Entry> {
    let scalar = entry.value.scalar()?;
    if is_encrypted(&entry.value) {
        return Some(entry.clone());
    }
    let bytes = decode_base64(&scalar.text)?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let at = &entry.value.at;
    Some(Entry {
        key: entry.key.clone(),
        // All of it has one place, however many lines the base64 has.
        at: at.clone(),
        value: Node::of_text(text, at),
    })
}

fn is_encrypted(node: &Node) -> bool {
    node.scalar()
        .is_some_and(|scalar| scalar.text.starts_with("ENC[AES256_GCM,"))
}

fn values(entry: &Entry) -> Option<Node> {
    match embedded::document(&entry.value, &entry.at) {
        Ok(Some(values)) => Some(values),
        Ok(None) => Some(Node::empty_map(entry.value.at.clone())),
        Err(_) => None,
    }
}

/// The file that a `configMapGenerator` or `secretGenerator` makes the key of.
fn generated(files: &Files, kind: &str, object: &str, key: &str) -> Option<String> {
    let list = match kind {
        "ConfigMap" => "configMapGenerator",
        _ => "secretGenerator",
    };
    let kustomizations = files.iter().filter(|(path, _)| is_kustomization(path));
    kustomizations
        .flat_map(|(path, documents)| documents.iter().map(move |document| (path, document)))
        .flat_map(|(path, document)| {
            let generators = document.get(list).map_or(&[][..], Node::items);
            generators.iter().map(move |generator| (path, generator))
        })
        .filter(|(_, generator)| generator.text_at(&["name"]) == Some(object))
        .flat_map(|(path, generator)| {
            let named = generator.get("files").map_or(&[][..], Node::items);
            named.iter().map(move |file| (path, file))
        })
        .find_map(|(path, file)| {
            let text = file.text()?;
            let (made, source) = text.split_once('=').unwrap_or((name(text), text));
            (made == key).then(|| resolve(folder(path), source))?
        })
}
