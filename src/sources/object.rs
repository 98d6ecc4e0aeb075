//! Secrets and ConfigMaps as JSON, of which only what is wanted is decoded.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use keyguard_core::policy::accounts_change::{PART_OF_LABEL, PART_OF_VALUE};
use keyguard_core::policy::argocd_secret::{CLUSTER_TYPE, TYPE_LABEL};
use keyguard_core::policy::facts::Unread;
use keyguard_core::runtime::secret_bytes::{SecretBytes, Version};

use crate::sources::source::{ConfigMap, ConfigMapRead, SecretRead};

/// Decodes the wanted `keys` of a Secret; the others stay base64 and are not kept.
pub(crate) fn secret(json: &[u8], keys: &[&str]) -> SecretRead {
    secret_where(json, |key| keys.contains(&key))
}

/// The same for the keys that are `wanted`.
fn secret_where(json: &[u8], wanted: impl Fn(&str) -> bool) -> SecretRead {
    // serde takes an array for a struct, field by field; the API server never sends one.
    let is_object = json.trim_ascii_start().starts_with(b"{");
    let Some(object) = is_object
        .then(|| serde_json::from_slice::<Object<'_>>(json).ok())
        .flatten()
    else {
        return SecretRead::Unread(Unread::Garbled);
    };
    let metadata = object.metadata.unwrap_or_default();
    let version = metadata.version();
    let data = object.data.unwrap_or_default();
    let mut found = BTreeMap::new();
    for (key, raw) in data.iter().filter(|(key, _)| wanted(key)) {
        match decode(raw) {
            Some(bytes) => found.insert(key.to_string(), bytes.at(version.clone())),
            None => return SecretRead::Unread(Unread::Garbled),
        };
    }
    SecretRead::Found(found)
}

/// The same of `argocd-secret`, which is missing to Argo CD when a label makes it a cluster's.
pub(crate) fn argocd_secret(json: &[u8], wanted: impl Fn(&str) -> bool) -> SecretRead {
    let object = serde_json::from_slice::<Object<'_>>(json).ok();
    let metadata = object.and_then(|object| object.metadata);
    match metadata.is_some_and(|metadata| metadata.has(TYPE_LABEL, CLUSTER_TYPE)) {
        true => SecretRead::Missing,
        false => secret_where(json, wanted),
    }
}

/// Decodes a ConfigMap's `data`.
pub(crate) fn config_map(json: &[u8]) -> ConfigMapRead {
    #[derive(Deserialize)]
    struct Read {
        #[serde(default)]
        data: Option<BTreeMap<String, String>>,
        #[serde(default)]
        metadata: Option<Metadata>,
    }
    match serde_json::from_slice::<Read>(json) {
        Ok(read) => ConfigMapRead::Found(ConfigMap {
            data: read.data.unwrap_or_default(),
            labelled: read
                .metadata
                .is_some_and(|metadata| metadata.has(PART_OF_LABEL, PART_OF_VALUE)),
        }),
        Err(_) => ConfigMapRead::Unread(Unread::Garbled),
    }
}

/// Whether an object has been asked to go.
pub(crate) fn is_being_deleted(json: &[u8]) -> bool {
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
    #[serde(default)]
    metadata: Option<Metadata>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    uid: Option<String>,
    #[serde(default)]
    resource_version: Option<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

impl Metadata {
    fn version(&self) -> Option<Version> {
        Some(Version {
            uid: self.uid.clone()?,
            resource_version: self.resource_version.clone()?,
        })
    }

    fn has(&self, label: &str, value: &str) -> bool {
        let labels = self.labels.as_ref();
        labels
            .and_then(|labels| labels.get(label))
            .map(String::as_str)
            == Some(value)
    }
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
    fn a_value_knows_the_version_of_its_secret_when_both_parts_are_told() {
        let read = |metadata: &str| {
            let json =
                format!(r#"{{"metadata":{metadata},"data":{{"token":"YWJj","other":"YWJj"}}}}"#);
            let SecretRead::Found(found) = secret_where(json.as_bytes(), |key| key == "token")
            else {
                panic!("not found")
            };
            assert_eq!(found.len(), 1);
            found["token"].version().cloned()
        };
        let version = Version {
            uid: "u".to_owned(),
            resource_version: "7".to_owned(),
        };
        assert_eq!(
            read(r#"{"uid":"u","resourceVersion":"7","labels":{}}"#),
            Some(version)
        );
        for metadata in [r#"{"uid":"u"}"#, r#"{"resourceVersion":"7"}"#, "null", "{}"] {
            assert_eq!(read(metadata), None, "{metadata}");
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
