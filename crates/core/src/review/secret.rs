//! The data of a Secret in a review: decoded in a pass of its own, which reviews of anything else do without.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use zeroize::Zeroizing;

use super::wire::Text;
use crate::runtime::json_object::{EXPECTED, Object};
use crate::runtime::secret_bytes::{SecretBytes, SecretData};

/// A Secret as it was and as it will be, each there when the review has it.
#[derive(Debug, Default)]
pub struct SecretChange {
    /// As it was.
    pub old: Option<SecretData>,
    /// As it will be; `None` on DELETE.
    pub new: Option<SecretData>,
}

impl SecretChange {
    /// Decodes both states from the body of a review.
    ///
    /// # Errors
    /// When a value is not base64, or a key stands twice. The error tells nothing of a value.
    pub(super) fn decode(body: &str) -> Result<SecretChange, serde_json::Error> {
        let review: Review = serde_json::from_str(body)?;
        let request = review.request.unwrap_or_default().0;
        let data = |object: Option<Object<Secret>>| {
            object.map(|object| object.0.data.map(|data| data.0).unwrap_or_default())
        };
        Ok(SecretChange {
            old: data(request.old_object),
            new: data(request.object),
        })
    }
}

#[derive(Deserialize)]
struct Review {
    #[serde(default)]
    request: Option<Object<Request>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    object: Option<Object<Secret>>,
    #[serde(default)]
    old_object: Option<Object<Secret>>,
}

#[derive(Deserialize)]
struct Secret {
    #[serde(default)]
    data: Option<Data>,
}

struct Data(SecretData);

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DataVisitor;
        impl<'de> Visitor<'de> for DataVisitor {
            type Value = Data;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(EXPECTED)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data, A::Error> {
                let mut data = SecretData::default();
                while let Some((Text(key), value)) = map.next_entry()? {
                    // Go writes null for no bytes.
                    let value: Option<Text<'de>> = value;
                    let bytes = match &value {
                        None => Some(SecretBytes::default()),
                        Some(text) => decode(text),
                    };
                    let bytes = bytes.ok_or_else(|| A::Error::custom("data is not base64"))?;
                    if data.insert(&key, bytes).is_some() {
                        return Err(A::Error::custom("a key of data stands twice"));
                    }
                }
                Ok(Data(data))
            }
        }
        deserializer.deserialize_map(DataVisitor)
    }
}

fn decode(text: &str) -> Option<SecretBytes> {
    // Capacity for all of it first: growing would leave copies behind that nothing zeroes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    STANDARD.decode_vec(text.as_bytes(), &mut bytes).ok()?;
    Some(SecretBytes::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(data: Option<&SecretData>) -> Option<Vec<(&str, usize)>> {
        let data = data?.iter();
        Some(
            data.map(|(key, value)| (key, value.expose().len()))
                .collect(),
        )
    }

    #[test]
    fn both_states_are_decoded_as_far_as_they_are_there() {
        let old = r#""oldObject":{"data":{"token":"YWJj","empty":"","null":null}}"#;
        let table = [
            (
                format!(r#"{{"request":{{"object":{{"data":{{"token":"YWI="}}}},{old}}}}}"#),
                Some(vec![("empty", 0), ("null", 0), ("token", 3)]),
                Some(vec![("token", 2)]),
            ),
            (
                format!(r#"{{"request":{{"object":null,{old}}}}}"#),
                Some(vec![("empty", 0), ("null", 0), ("token", 3)]),
                None,
            ),
            (
                r#"{"request":{"object":{"data":null},"oldObject":{}}}"#.to_owned(),
                Some(vec![]),
                Some(vec![]),
            ),
        ];
        for (body, old, new) in table {
            let change = SecretChange::decode(&body).unwrap();
            assert_eq!(lengths(change.old.as_ref()), old, "{body}");
            assert_eq!(lengths(change.new.as_ref()), new, "{body}");
        }
    }

    #[test]
    fn what_is_no_data_is_told_without_its_value() {
        for data in [
            r#"{"token":"sup3rs3cret%"}"#,
            r#"{"token":{"sup3rs3cret":1}}"#,
            r#"{"token":"c3VwM3JzM2NyZXQ=","token":"c3VwM3JzM2NyZXQ="}"#,
            r#"["sup3rs3cret"]"#,
        ] {
            let body = format!(r#"{{"request":{{"object":{{"data":{data}}}}}}}"#);
            let error = SecretChange::decode(&body).unwrap_err().to_string();
            for piece in ["sup3rs3c", "c3VwM3Jz"] {
                assert!(!error.contains(piece), "{error}");
            }
        }
    }
}
