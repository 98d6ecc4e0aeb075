//! The Secret that keyguard keeps its CA and its serving certificate in.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::core::{ObjectMeta, PartialObjectMeta, TypeMeta};
use rustls::pki_types::ServerName;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::certificates::authority::{Keyed, Signer};
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
pub struct KeptSecret {
    /// Its resourceVersion, with which a write says what it replaces.
    pub version: String,
    /// What is in it; nothing when that is damaged.
    pub holding: Option<Holding>,
}

/// An authority and what it signed.
#[derive(Clone)]
pub struct Holding {
    /// The CA that signed the serving certificate.
    pub signer: Arc<Signer>,
    /// The serving certificate; nothing when it is damaged.
    pub issued: Option<Arc<Keyed>>,
    /// The CA that will sign the next.
    pub next: Option<Arc<Signer>>,
}

impl KeptSecret {
    /// Reads a Secret; nothing when what is there is no Kubernetes object. Damaged data is a Secret without a holding.
    pub(super) fn parse(json: &[u8]) -> Option<KeptSecret> {
        let object: PartialObjectMeta = serde_json::from_slice(json).ok()?;
        let data = match object::secret(json, &KEYS) {
            SecretRead::Found(data) => data,
            SecretRead::Missing | SecretRead::Unread(_) => BTreeMap::new(),
        };
        let of = |key: &str| data.get(key).map_or(&b""[..], |value| value.expose());
        let signer = Signer::read(of("ca.crt"), of("ca.key"));
        Some(KeptSecret {
            version: object.metadata.resource_version?,
            holding: signer.map(|signer| Holding {
                issued: Keyed::read(of("tls.crt"), of("tls.key"))
                    .filter(|issued| issued.is_signed_by(&signer))
                    .map(Arc::new),
                next: Signer::read(of("next-ca.crt"), of("next-ca.key")).map(Arc::new),
                signer: Arc::new(signer),
            }),
        })
    }

    /// What there is to decide on, for a replica that is called by `names`.
    pub fn kept(&self, names: &[ServerName<'static>]) -> Option<Kept> {
        let holding = self.holding.as_ref()?;
        Some(Kept {
            current: holding.signer.certificate(),
            leaf: holding.issued.as_ref().map(|issued| Leaf {
                life: issued.pair().life(),
                covers_names: issued.covers(names),
            }),
            next: holding.next.as_ref().map(|next| next.certificate()),
        })
    }
}

impl Holding {
    /// A Secret that is not there yet, JSON.
    pub(super) fn new_secret(&self, name: &str) -> Zeroizing<Vec<u8>> {
        let labels = [
            ("app.kubernetes.io/name", "keyguard"),
            ("app.kubernetes.io/managed-by", "keyguard"),
        ];
        let labels = labels.map(|(label, value)| (label.to_owned(), value.to_owned()));
        self.json(ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels.into()),
            ..ObjectMeta::default()
        })
    }

    /// A strategic merge patch of the data alone, which the API server refuses unless the Secret is still at `version`.
    pub(super) fn patch(&self, version: &str) -> Zeroizing<Vec<u8>> {
        self.json(ObjectMeta {
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        })
    }

    fn json(&self, metadata: ObjectMeta) -> Zeroizing<Vec<u8>> {
        let pairs: [(_, Option<&Keyed>); 3] = [
            ("ca", Some(&self.signer)),
            ("tls", self.issued.as_deref()),
            ("next-ca", self.next.as_deref().map(|next| &**next)),
        ];
        let mut string_data = BTreeMap::new();
        for (name, keyed) in pairs {
            if let Some(keyed) = keyed {
                string_data.insert(format!("{name}.crt"), keyed.certificate_pem().into());
                string_data.insert(format!("{name}.key"), keyed.key_pem());
            }
        }
        // Capacity for all of it first: growing would leave copies behind that nothing zeroes.
        let length: usize = string_data.values().map(|pem| 2 * pem.len()).sum();
        let mut json = Zeroizing::new(Vec::with_capacity(length + 1024));
        let secret = SecretToWrite {
            types: TypeMeta::resource::<Secret>(),
            metadata,
            data: (),
            string_data,
        };
        // Memory takes everything.
        let _ = serde_json::to_writer(&mut *json, &secret);
        json
    }
}

/// A typed Secret of our own, because that of the Kubernetes client neither zeroes nor hides what is in it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecretToWrite {
    #[serde(flatten)]
    types: TypeMeta,
    metadata: ObjectMeta,
    /// Null: of what was there nothing stays.
    data: (),
    /// What the API server puts into the data.
    string_data: BTreeMap<String, Zeroizing<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::authority::example::{DAY, NOW, server_names, signer};
    use crate::tls::life::Life;
    use k8s_openapi::ByteString;
    use serde_json::{Value, json};

    fn holding() -> Holding {
        let (signer, next) = (signer(), signer());
        let names = server_names(&["keyguard.keyguard.svc"]);
        let issued = signer.issue(&names, Life::issued(NOW, DAY)).unwrap();
        Holding {
            signer: Arc::new(signer),
            issued: Some(Arc::new(issued)),
            next: Some(Arc::new(next)),
        }
    }

    /// What the API server makes of a Secret that is created.
    fn stored(written: &[u8]) -> Secret {
        let mut secret: Secret = serde_json::from_slice(written).unwrap();
        secret.metadata.resource_version = Some("7".to_owned());
        let data = secret.string_data.take().unwrap().into_iter();
        secret.data = Some(
            data.map(|(key, pem)| (key, ByteString(pem.into())))
                .collect(),
        );
        secret
    }

    fn parsed(object: &impl Serialize) -> KeptSecret {
        KeptSecret::parse(&serde_json::to_vec(object).unwrap()).unwrap()
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let both = holding();
        let alone = Holding {
            next: None,
            ..both.clone()
        };
        for holding in [both, alone] {
            let object = stored(&holding.new_secret("certificates"));
            assert_eq!(object.metadata.name.as_deref(), Some("certificates"));
            let secret = parsed(&object);
            assert_eq!(secret.version, "7");
            let expected = Kept {
                current: holding.signer.certificate(),
                leaf: Some(Leaf {
                    life: Life::issued(NOW, DAY),
                    covers_names: true,
                }),
                next: holding.next.as_ref().map(|next| next.certificate()),
            };
            assert_eq!(
                secret.kept(&server_names(&["keyguard.keyguard.svc"])),
                Some(expected)
            );
        }
    }

    #[test]
    fn a_patch_says_what_it_replaces_and_leaves_nothing_of_the_data_before() {
        let holding = holding();
        let created: Value = serde_json::from_slice(&holding.new_secret("certificates")).unwrap();
        let patch: Value = serde_json::from_slice(&holding.patch("7")).unwrap();
        assert_eq!(patch["metadata"], json!({"resourceVersion": "7"}));
        assert_eq!(patch.get("data"), Some(&Value::Null));
        assert_eq!(patch["stringData"], created["stringData"]);
    }

    #[test]
    fn the_json_never_grows_so_that_no_copy_of_a_key_is_left_behind() {
        let json = holding().new_secret(&"n".repeat(253));
        assert!(json.len() + 100 < json.capacity(), "{}", json.len());
        serde_json::from_slice::<Secret>(&json).unwrap();
    }

    #[test]
    fn what_is_damaged_is_what_is_missing_and_no_more() {
        let whole = serde_json::to_value(stored(&holding().new_secret("certificates"))).unwrap();
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
                    Some(kept) => (true, kept.leaf.is_some(), kept.next.is_some()),
                    None => (false, false, false),
                };
                assert_eq!(found, expected, "{key}");
            }
        }
        for data in [Value::Null, json!({}), json!({"ca.crt": "%%"})] {
            let mut object = whole.clone();
            object["data"] = data;
            assert_eq!(parsed(&object).kept(&[]), None);
        }
        assert!(KeptSecret::parse(b"[]").is_none());
    }
}
