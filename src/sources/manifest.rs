//! One Kubernetes manifest, of which only what a Secret, ConfigMap or workload has is kept.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use zeroize::Zeroizing;

/// A manifest of any kind. `data` means something else in each: it is judged once the kind is known.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) metadata: Option<Metadata>,
    #[serde(default)]
    pub(crate) data: Data,
    #[serde(default)]
    pub(crate) string_data: Data,
    /// No text of a workload's is kept longer than until its references are read.
    #[serde(default)]
    pub(crate) spec: Option<Value>,
    #[serde(default)]
    pub(crate) items: Option<Vec<Manifest>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) namespace: Option<String>,
    #[serde(default)]
    pub(crate) labels: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    pub(crate) deletion_timestamp: Option<IgnoredAny>,
}

/// What stands under `data` or `stringData`. It has no Debug: it may be a Secret's.
pub(crate) enum Data {
    /// Keys and texts, as a Secret and a ConfigMap have them.
    Texts(BTreeMap<String, Zeroizing<String>>),
    /// The value of this key is no text, such as `1` without quotes, or a map.
    NotText(String),
    /// No map.
    NotMap,
}

impl Default for Data {
    fn default() -> Data {
        Data::Texts(BTreeMap::new())
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Data, D::Error> {
        deserializer
            .deserialize_any(Shape)
            .map(|found| match found {
                Found::Null => Data::default(),
                Found::Map(data) => data,
                Found::Text(_) | Found::Other => Data::NotMap,
            })
    }
}

/// What is found where anything may be.
enum Found {
    Null,
    Text(Zeroizing<String>),
    Map(Data),
    Other,
}

impl<'de> Deserialize<'de> for Found {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(Shape)
    }
}

struct Shape;

impl<'de> Visitor<'de> for Shape {
    type Value = Found;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::Null)
    }

    fn visit_none<E>(self) -> Result<Found, E> {
        Ok(Found::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_str<E>(self, text: &str) -> Result<Found, E> {
        Ok(Found::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Found, E> {
        Ok(Found::Text(Zeroizing::new(text)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Found, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let mut texts = BTreeMap::new();
        let mut not_text = None;
        while let Some((key, value)) = map.next_entry::<String, Found>()? {
            match value {
                Found::Text(text) => drop(texts.insert(key, text)),
                Found::Null => drop(texts.insert(key, Zeroizing::default())),
                Found::Map(_) | Found::Other => not_text = not_text.or(Some(key)),
            }
        }
        Ok(Found::Map(match not_text {
            None => Data::Texts(texts),
            Some(key) => Data::NotText(key),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(yaml: &str) -> String {
        let manifest: Manifest = serde_saphyr::from_str(&format!("kind: K\n{yaml}")).unwrap();
        match manifest.data {
            Data::Texts(texts) => {
                let texts = texts.iter().map(|(key, text)| format!("{key}={}", **text));
                texts.collect::<Vec<_>>().join(",")
            }
            Data::NotText(key) => format!("{key} is no text"),
            Data::NotMap => "no map".to_owned(),
        }
    }

    #[test]
    fn data_is_read_whatever_it_is_and_told_from_texts() {
        let table = [
            ("", ""),
            ("data:", ""),
            ("data: {}", ""),
            (
                "data: {a: b, c: '1', d: , e: \"true\"}",
                "a=b,c=1,d=,e=true",
            ),
            ("data:\n  a: |\n    b\n    c\n", "a=b\nc\n"),
            ("data: {a: b, c: 1}", "c is no text"),
            ("data: {c: true}", "c is no text"),
            ("data: {c: 1.5}", "c is no text"),
            (
                "data: {spec: {template: {spec: [1, {}]}}, z: []}",
                "spec is no text",
            ),
            ("data: {1: a}", "1=a"),
            ("data: [a]", "no map"),
            ("data: a", "no map"),
            ("data: 18446744073709551615", "no map"),
        ];
        for (yaml, expected) in table {
            assert_eq!(data(yaml), expected, "{yaml}");
        }
    }
}
