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
use keyguard_core::runtime::json_object::Object;
use keyguard_core::runtime::secret_bytes::{SecretBytes, Version};

use crate::sources::source::{ConfigMap, ConfigMapRead, Read, SecretRead};

/// Decodes the wanted `keys` of a Secret; the others stay base64 and are not kept.
pub(crate) fn secret(json: &[u8], keys: &[&str]) -> SecretRead {
    let secret = parse(json).map(Some);
    Read::of(secret, |secret| decoded(secret, |key| keys.contains(&key)))
}

/// The same of `argocd-secret`, which is missing to Argo CD when a label makes it a cluster's.
pub(crate) fn argocd_secret(json: &[u8], wanted: impl Fn(&str) -> bool) -> SecretRead {
    let is_its_own = |secret: &Stored<_>| !secret.0.has(TYPE_LABEL, CLUSTER_TYPE);
    let secret = parse(json).map(|secret| Some(secret).filter(is_its_own));
    Read::of(secret, |secret| decoded(secret, wanted))
}

/// Decodes a ConfigMap's `data`.
pub(crate) fn config_map(json: &[u8]) -> ConfigMapRead {
    Read::of(parse(json).map(Some), |(metadata, data)| {
        Read::Found(ConfigMap {
            data: data.unwrap_or_default(),
            labelled: metadata.has(PART_OF_LABEL, PART_OF_VALUE),
        })
    })
}

/// Whether an object has been asked to go.
pub(crate) fn is_being_deleted(json: &[u8]) -> bool {
    let object = parse::<IgnoredAny>(json);
    object.is_ok_and(|(metadata, _)| metadata.deletion_timestamp.is_some())
}

/// What an object has in common with others, and its data.
type Stored<D> = (Metadata, Option<D>);

fn parse<'a, D: Deserialize<'a>>(json: &'a [u8]) -> Result<Stored<D>, Unread> {
    #[derive(Deserialize)]
    struct Fields<D> {
        metadata: Option<Metadata>,
        data: Option<D>,
    }
    let fields: Object<Fields<D>> = serde_json::from_slice(json).map_err(|_| Unread::Garbled)?;
    Ok((fields.0.metadata.unwrap_or_default(), fields.0.data))
}

/// The data of a Secret.
type Encoded<'a> = BTreeMap<String, &'a RawValue>;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: Option<String>,
    resource_version: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    deletion_timestamp: Option<IgnoredAny>,
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
            .is_some_and(|it| it == value)
    }
}

fn decoded((metadata, data): Stored<Encoded<'_>>, wanted: impl Fn(&str) -> bool) -> SecretRead {
    let version = metadata.version();
    let mut found = BTreeMap::new();
    for (key, raw) in data.unwrap_or_default() {
        if wanted(&key) {
            match decode(raw) {
                Some(bytes) => found.insert(key, bytes.at(version.clone())),
                None => return SecretRead::Unread(Unread::Garbled),
            };
        }
    }
    SecretRead::Found(found)
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
            let SecretRead::Found(found) = secret(json.as_bytes(), &["token"]) else {
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
