//! Secrets and ConfigMaps as JSON, of which only what is wanted is decoded.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::policy::facts::Unread;
use crate::runtime::secret_bytes::SecretBytes;

use super::source::{ConfigMapRead, SecretRead};

/// Decodes the wanted `keys` of a Secret; the others stay base64 and are not kept.
pub(super) fn secret(json: &[u8], keys: &[&str]) -> SecretRead {
    // serde takes an array for a struct, field by field; the API server never sends one.
    let is_object = json.trim_ascii_start().starts_with(b"{");
    let Some(object) = is_object
        .then(|| serde_json::from_slice::<Object<'_>>(json).ok())
        .flatten()
    else {
        return SecretRead::Unread(Unread::Garbled);
    };
    let data = object.data.unwrap_or_default();
    let mut found = BTreeMap::new();
    for key in keys {
        let Some(raw) = data.get(*key) else { continue };
        match decode(raw) {
            Some(bytes) => found.insert((*key).to_owned(), bytes),
            None => return SecretRead::Unread(Unread::Garbled),
        };
    }
    SecretRead::Found(found)
}

/// Decodes a ConfigMap's `data`.
pub(super) fn config_map(json: &[u8]) -> ConfigMapRead {
    #[derive(Deserialize)]
    struct ConfigMap {
        #[serde(default)]
        data: Option<BTreeMap<String, String>>,
    }
    match serde_json::from_slice::<ConfigMap>(json) {
        Ok(config_map) => ConfigMapRead::Found(config_map.data.unwrap_or_default()),
        Err(_) => ConfigMapRead::Unread(Unread::Garbled),
    }
}

/// Whether an object has been asked to go.
pub(super) fn is_being_deleted(json: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Object {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        #[serde(default)]
        deletion_timestamp: Option<IgnoredAny>,
    }
    serde_json::from_slice::<Object>(json)
        .is_ok_and(|object| object.metadata.deletion_timestamp.is_some())
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow, default)]
    data: Option<BTreeMap<Cow<'a, str>, &'a RawValue>>,
}

fn decode(raw: &RawValue) -> Option<SecretBytes> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Option<Cow<'a, str>>);
    let Text(text) = serde_json::from_str(raw.get()).ok()?;
    let text = text.unwrap_or_default();
    // Capacity for all of it first: growing would leave copies behind that nothing zeroes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    STANDARD.decode_vec(text.as_bytes(), &mut bytes).ok()?;
    Some(SecretBytes::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wanted_keys_are_decoded_and_absent_ones_are_absent() {
        let json =
            br#"{"data":{"token":"YWJj","empty":null,"none":"","broken":"%%"},"type":"Opaque"}"#;
        let SecretRead::Found(found) = secret(json, &["token", "empty", "none", "absent"]) else {
            panic!("not found")
        };
        let lengths: Vec<_> = found
            .iter()
            .map(|(key, value)| (key.as_str(), value.expose().len()))
            .collect();
        assert_eq!(lengths, [("empty", 0), ("none", 0), ("token", 3)]);
    }

    #[test]
    fn an_object_is_being_deleted_when_it_says_when() {
        for (json, expected) in [
            (
                r#"{"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"}}"#,
                true,
            ),
            (r#"{"metadata":{"deletionTimestamp":null}}"#, false),
            (r#"{"metadata":{"name":"n"}}"#, false),
            ("{}", false),
            ("", false),
        ] {
            assert_eq!(is_being_deleted(json.as_bytes()), expected, "{json}");
        }
    }

    #[test]
    fn what_is_no_secret_is_not_taken_for_an_empty_one() {
        for json in [
            "",
            "[]",
            r#"{"data":[]}"#,
            r#"{"data":{"token":"%%"}}"#,
            r#"{"data":{"token":1}}"#,
        ] {
            let read = secret(json.as_bytes(), &["token"]);
            assert!(
                matches!(read, SecretRead::Unread(Unread::Garbled)),
                "{json}"
            );
        }
        assert!(matches!(secret(b"{}", &["token"]), SecretRead::Found(found) if found.is_empty()));
    }
}
