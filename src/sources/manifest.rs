//! Kubernetes manifests as files have them: several documents in one, and lists of objects.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use thiserror::Error;
use zeroize::Zeroizing;

/// Why a file, or a folder of them, cannot be used. It says where, but never quotes anything: it may be a Secret's.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// The folder, or a file in it, cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// The folder or file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A file is no manifest.
    #[error("{path} is not a Kubernetes manifest in YAML or JSON{place}")]
    Malformed {
        /// The file.
        path: String,
        /// Where in it.
        place: String,
    },
    /// An object has what the API server would refuse too.
    #[error("{path}: {fault}")]
    Object {
        /// The file.
        path: String,
        /// What is wrong with which object.
        fault: String,
    },
}

/// A manifest of any kind, of which only what a Secret, ConfigMap or workload has is kept. `data` means something else
/// in each: it is judged once the kind is known. There is no Debug: it may be a Secret.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) kind: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) metadata: Metadata,
    #[serde(default)]
    pub(crate) data: Value,
    #[serde(default)]
    pub(crate) string_data: Value,
    /// No text of a workload's is kept longer than until its references are read.
    #[serde(default)]
    pub(crate) spec: Value,
    #[serde(default, deserialize_with = "null_is_empty")]
    items: Vec<Manifest>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) labels: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) owner_references: Value,
    pub(crate) deletion_timestamp: Option<IgnoredAny>,
}

fn null_is_empty<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    value: D,
) -> Result<T, D::Error> {
    Option::deserialize(value).map(Option::unwrap_or_default)
}

/// Reads every object of a file in its order, those in lists among them.
pub(crate) fn read(path: &Path) -> Result<Vec<Manifest>, ManifestError> {
    let shown = || path.display().to_string();
    let text = std::fs::read(path).map_err(|source| ManifestError::Unreadable {
        path: shown(),
        source,
    })?;
    let text = Zeroizing::new(text);
    let documents: Vec<Option<Manifest>> =
        serde_saphyr::from_slice_multiple(&text).map_err(|error| ManifestError::Malformed {
            path: shown(),
            place: error
                .location()
                .map(|at| format!(" (line {})", at.line()))
                .unwrap_or_default(),
        })?;
    let mut objects = Vec::new();
    for document in documents.into_iter().flatten() {
        document.flatten(&mut objects);
    }
    Ok(objects)
}

impl Manifest {
    fn flatten(mut self, objects: &mut Vec<Manifest>) {
        for item in std::mem::take(&mut self.items) {
            item.flatten(objects);
        }
        objects.push(self);
    }

    /// Whether it has a label of this value.
    pub(crate) fn has(&self, label: &str, value: &str) -> bool {
        let found = self.metadata.labels.get(label);
        found.is_some_and(|found| found == value)
    }

    /// The keys and texts that `data`, the `field` of a Secret or ConfigMap, must be; or what is wrong with it.
    pub(crate) fn texts(
        &self,
        field: &str,
        data: Value,
    ) -> Result<BTreeMap<String, Zeroizing<String>>, String> {
        let object = || format!("of {} {}", self.kind, self.metadata.name);
        let data = match data {
            Value::Null => Map::new(),
            Value::Object(data) => data,
            _ => {
                return Err(format!(
                    "{field} {} is not a map of keys and texts",
                    object()
                ));
            }
        };
        let texts = data.into_iter().map(|(key, value)| match value {
            Value::Null => Ok((key, Zeroizing::default())),
            Value::String(text) => Ok((key, Zeroizing::new(text))),
            _ => Err(format!(
                "{field}.{key} {} is not text; put it in quotes",
                object()
            )),
        });
        texts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(yaml: &str) -> String {
        let manifest: Manifest = serde_saphyr::from_str(&format!("kind: K\n{yaml}")).unwrap();
        match manifest.texts("data", manifest.data.clone()) {
            Ok(texts) => {
                let texts = texts.iter().map(|(key, text)| format!("{key}={}", **text));
                texts.collect::<Vec<_>>().join(",")
            }
            Err(fault) => fault,
        }
    }

    #[test]
    fn data_is_read_whatever_it_is_and_told_from_texts() {
        let not_text = |key| format!("data.{key} of K  is not text; put it in quotes");
        let no_map = "data of K  is not a map of keys and texts";
        let table = [
            ("", ""),
            ("data:", ""),
            ("data: {}", ""),
            (
                "data: {a: b, c: '1', d: , e: \"true\"}",
                "a=b,c=1,d=,e=true",
            ),
            ("data:\n  a: |\n    b\n    c\n", "a=b\nc\n"),
            ("data: {a: b, c: 1}", &not_text("c")),
            ("data: {c: true}", &not_text("c")),
            ("data: {c: 1.5}", &not_text("c")),
            (
                "data: {spec: {template: {spec: [1, {}]}}, z: []}",
                &not_text("spec"),
            ),
            ("data: {1: a}", "1=a"),
            ("data: [a]", no_map),
            ("data: a", no_map),
            ("data: 18446744073709551615", no_map),
        ];
        for (yaml, expected) in table {
            assert_eq!(data(yaml), expected, "{yaml}");
        }
    }
}
