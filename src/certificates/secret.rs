//! The Secret that keyguard keeps its CA and its serving certificate in.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::certificates::authority::{Issued, Signer};
use crate::certificates::kept::{Kept, Leaf};
use crate::sources::object;
use crate::sources::source::SecretRead;

/// The keys of its data: the CA, the serving certificate, and the CA that comes next.
const KEYS: [&str; 6] = [
    "ca.crt",
    "ca.key",
    "tls.crt",
    "tls.key",
    "next-ca.crt",
    "next-ca.key",
];

/// The Secret as it is stored.
#[derive(Debug)]
pub struct KeptSecret {
    /// Its resourceVersion, with which a write says what it replaces.
    pub version: String,
    /// What is in it; nothing when that is damaged.
    pub holding: Option<Holding>,
}

/// An authority and what it signed.
#[derive(Debug)]
pub struct Holding {
    /// Who signed the serving certificate.
    pub signer: Arc<Signer>,
    /// The serving certificate; nothing when it is damaged.
    pub issued: Option<Arc<Issued>>,
    /// Who will sign the next.
    pub next: Option<Signer>,
}

impl KeptSecret {
    /// Reads a Secret; nothing when what is there is no Kubernetes object. Damaged data is a Secret without a holding.
    pub(crate) fn parse(json: &[u8]) -> Option<KeptSecret> {
        let Object { metadata } = serde_json::from_slice(json).ok()?;
        let version = metadata.resource_version.into_owned();
        let SecretRead::Found(data) = object::secret(json, &KEYS) else {
            return Some(KeptSecret {
                version,
                holding: None,
            });
        };
        let of = |key: &str| data.get(key).map_or(&b""[..], |value| value.expose());
        let signer = Signer::read(of("ca.crt"), of("ca.key"));
        let holding = signer.map(|signer| Holding {
            issued: Issued::read(of("tls.crt"), of("tls.key"), &signer).map(Arc::new),
            next: Signer::read(of("next-ca.crt"), of("next-ca.key")),
            signer: Arc::new(signer),
        });
        Some(KeptSecret { version, holding })
    }

    /// What there is to decide on, for a replica that is called by `names`.
    pub fn kept(&self, names: &[ServerName<'static>]) -> Kept {
        let Some(holding) = &self.holding else {
            return Kept::Damaged;
        };
        Kept::Holds {
            current: holding.signer.certificate().clone(),
            leaf: holding.issued.as_ref().map(|issued| Leaf {
                life: issued.pair().life(),
                covers_names: issued.covers(names, &holding.signer),
            }),
            next: holding.next.as_ref().map(|next| next.certificate().clone()),
        }
    }
}

/// A Secret that is about to be written.
pub(crate) struct Contents<'a> {
    pub(crate) signer: &'a Signer,
    pub(crate) issued: &'a Issued,
    pub(crate) next: Option<&'a Signer>,
}

impl Contents<'_> {
    /// A Secret that is not there yet.
    pub(crate) fn new_secret(&self, name: &str) -> Zeroizing<Vec<u8>> {
        let metadata = json!({
            "name": name,
            "labels": {
                "app.kubernetes.io/name": "keyguard",
                "app.kubernetes.io/managed-by": "keyguard",
            },
        });
        self.json(
            &format!(r#"{{"apiVersion":"v1","kind":"Secret","type":"Opaque","metadata":{metadata},"data":"#),
            "}",
        )
    }

    /// A JSON patch (RFC 6902) of the data alone, which the API server refuses unless the Secret is still at `version`.
    pub(crate) fn patch(&self, version: &str) -> Zeroizing<Vec<u8>> {
        let same = json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version});
        self.json(
            &format!(r#"[{same},{{"op":"add","path":"/data","value":"#),
            "}]",
        )
    }

    /// The data between `before` and `after`. By hand, so that no copy of a key is left behind: base64 needs no escapes.
    fn json(&self, before: &str, after: &str) -> Zeroizing<Vec<u8>> {
        let (certificate, leaf) = (self.signer.certificate_pem(), self.issued.certificate_pem());
        let next = self
            .next
            .map(|next| (next.certificate_pem(), next.key_pem()));
        let next = next.as_ref();
        let entries = [
            Some(("ca.crt", certificate.as_str())),
            Some(("ca.key", self.signer.key_pem())),
            Some(("tls.crt", leaf.as_str())),
            Some(("tls.key", self.issued.key_pem())),
            next.map(|(certificate, _)| ("next-ca.crt", certificate.as_str())),
            next.map(|(_, key)| ("next-ca.key", *key)),
        ];
        let entries = entries.into_iter().flatten();
        let length: usize = entries.clone().map(|(_, pem)| 2 * pem.len() + 32).sum();
        let mut json = Zeroizing::new(Vec::with_capacity(before.len() + length + after.len()));
        json.extend_from_slice(before.as_bytes());
        for (place, (key, pem)) in entries.enumerate() {
            let opening = if place == 0 { '{' } else { ',' };
            json.extend_from_slice(format!(r#"{opening}"{key}":""#).as_bytes());
            let encoded = Zeroizing::new(STANDARD.encode(pem));
            json.extend_from_slice(encoded.as_bytes());
            json.push(b'"');
        }
        json.push(b'}');
        json.extend_from_slice(after.as_bytes());
        json
    }
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow, rename = "resourceVersion")]
    resource_version: Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::authority::example::{DAY, NOW, signer};
    use crate::tls::life::Life;
    use serde_json::Value;

    fn stored(written: &[u8]) -> Value {
        let mut object: Value = serde_json::from_slice(written).unwrap();
        object["metadata"]["resourceVersion"] = "7".into();
        object
    }

    fn parsed(object: &Value) -> KeptSecret {
        KeptSecret::parse(object.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let (signer, next) = (signer(), signer());
        let names = ["keyguard.keyguard.svc".to_owned()];
        let issued = signer.issue(&names, Life::issued(NOW, DAY)).unwrap();
        for next in [None, Some(&next)] {
            let contents = Contents {
                signer: &signer,
                issued: &issued,
                next,
            };
            let object = stored(&contents.new_secret("certificates"));
            assert_eq!(object["metadata"]["name"], "certificates");
            let secret = parsed(&object);
            assert_eq!(secret.version, "7");
            let service = ServerName::try_from("keyguard.keyguard.svc").unwrap();
            let expected = Kept::Holds {
                current: signer.certificate().clone(),
                leaf: Some(Leaf {
                    life: issued.pair().life(),
                    covers_names: true,
                }),
                next: next.map(|next| next.certificate().clone()),
            };
            assert_eq!(secret.kept(&[service]), expected);

            let patch: Value = serde_json::from_slice(&contents.patch("7")).unwrap();
            assert_eq!(patch[0]["value"], "7");
            assert_eq!(patch[1]["value"], object["data"]);
        }
    }

    #[test]
    fn what_is_damaged_is_what_is_missing_and_no_more() {
        let (signer, next) = (signer(), signer());
        let names = ["keyguard.keyguard.svc".to_owned()];
        let issued = signer.issue(&names, Life::issued(NOW, DAY)).unwrap();
        let contents = Contents {
            signer: &signer,
            issued: &issued,
            next: Some(&next),
        };
        let whole = stored(&contents.new_secret("certificates"));
        // CA, serving certificate and next CA, when one key of the data is damaged.
        let table = [
            ("ca.crt", (false, false, false)),
            ("ca.key", (false, false, false)),
            ("tls.crt", (true, false, true)),
            ("tls.key", (true, false, true)),
            ("next-ca.crt", (true, true, false)),
            ("next-ca.key", (true, true, false)),
        ];
        for (key, expected) in table {
            for damage in [Value::Null, "".into(), "YWJj".into()] {
                let mut object = whole.clone();
                object["data"][key] = damage;
                let found = match parsed(&object).kept(&[]) {
                    Kept::Holds { leaf, next, .. } => (true, leaf.is_some(), next.is_some()),
                    Kept::Damaged | Kept::Missing => (false, false, false),
                };
                assert_eq!(found, expected, "{key}");
            }
        }
        for data in [Value::Null, json!({}), json!({"ca.crt": "%%"})] {
            let mut object = whole.clone();
            object["data"] = data;
            assert_eq!(parsed(&object).kept(&[]), Kept::Damaged);
        }
        assert!(KeptSecret::parse(b"[]").is_none());
    }
}
