//! Which Secrets come of an object that somebody wrote down: itself, or one that a controller makes from it.

use std::collections::BTreeSet;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::document::{Entry, Node};
use crate::runtime::chart::auth::is_variable;

/// A Secret that will be there, and of which no value can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its name.
    pub name: String,
    /// The keys that it will have.
    pub keys: Keys,
    /// When it is there.
    pub when: When,
    /// Whether it only adds its keys to a Secret that something else makes.
    pub adds: bool,
}

/// Which keys a Secret will have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// These.
    Known(BTreeSet<String>),
    /// Only what makes it knows.
    Unknown,
}

/// When a Secret is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// As soon as the object is applied: it is the Secret.
    AtOnce,
    /// After a controller has seen the object.
    ByController,
    /// Once a pod starts that mounts the class.
    WithThePod,
}

/// The Secrets that come of `object`, other than a Secret whose values are to be seen.
///
/// Sources: the documentation of Sealed Secrets, External Secrets, the Vault Secrets Operator, the Secrets Store CSI driver
/// and Kustomize.
pub fn made_by(object: &Node) -> Vec<Made> {
    let kind = object.text_at(&["kind"]).unwrap_or_default();
    let version = object.text_at(&["apiVersion"]).unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    match (group, kind) {
        ("bitnami.com", "SealedSecret") => sealed_secret(object).into_iter().collect(),
        ("external-secrets.io", "ExternalSecret") => {
            let name = object.text_at(&["metadata", "name"]);
            let spec = object.get("spec");
            spec.and_then(|spec| external_secret(spec, name))
                .into_iter()
                .collect()
        }
        ("external-secrets.io", "ClusterExternalSecret") => {
            let name = object.text_at(&["spec", "externalSecretName"]);
            let name = name.or(object.text_at(&["metadata", "name"]));
            let spec = object.path(&["spec", "externalSecretSpec"]);
            spec.and_then(|spec| external_secret(spec, name))
                .into_iter()
                .collect()
        }
        ("", "Secret") => reflected(object).into_iter().collect(),
        (
            "secrets.hashicorp.com",
            "VaultStaticSecret" | "VaultDynamicSecret" | "VaultPKISecret",
        ) => vault_secret(object).into_iter().collect(),
        ("secrets-store.csi.x-k8s.io", "SecretProviderClass") => provider_class(object),
        ("", "SecretGenerator") => secret_generator(object).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn sealed_secret(object: &Node) -> Option<Made> {
    let sealed = object.path(&["spec", "encryptedData"]);
    let plain = object.path(&["spec", "template", "data"]);
    Some(Made {
        name: object.text_at(&["metadata", "name"])?.to_owned(),
        keys: Keys::Known(keys_of([sealed, plain])),
        when: When::ByController,
        adds: false,
    })
}

/// A Secret that the Reflector or the Replicator fills.
fn reflected(object: &Node) -> Option<Made> {
    const FILLED: [&str; 2] = [
        "reflector.v1.k8s.emberstack.com/reflects",
        "replicator.v1.mittwald.de/replicate-from",
    ];
    let annotation = |name: &&str| object.path(&["metadata", "annotations", name]).is_some();
    FILLED.iter().find(|name| annotation(name))?;
    Some(Made {
        name: object.text_at(&["metadata", "name"])?.to_owned(),
        keys: Keys::Unknown,
        when: When::ByController,
        adds: false,
    })
}

/// `spec` of an ExternalSecret with this name.
fn external_secret(spec: &Node, own_name: Option<&str>) -> Option<Made> {
    let target = spec.get("target");
    let of_target = |keys: &[&str]| target.and_then(|target| target.path(keys));
    let text = |node: Option<&Node>| node.and_then(Node::text).map(str::to_owned);
    let policy = text(of_target(&["creationPolicy"]));
    if policy.as_deref() == Some("None") {
        return None;
    }
    let name = text(of_target(&["name"])).or_else(|| own_name.map(str::to_owned));
    let template = of_target(&["template", "data"]);
    let merges = text(of_target(&["template", "mergePolicy"])).as_deref() == Some("Merge");
    let replaced = template.is_some_and(|data| !data.entries().is_empty()) && !merges;
    let is_open = |node: Option<&Node>| node.is_some_and(|node| !node.items().is_empty());
    let open = is_open(of_target(&["template", "templateFrom"]))
        || (!replaced && is_open(spec.get("dataFrom")));
    let keys = match (open, replaced) {
        (true, _) => Keys::Unknown,
        (_, true) => Keys::Known(keys_of([template])),
        _ => {
            let data = spec.get("data").map_or(&[][..], Node::items);
            let data = data.iter().filter_map(|item| item.text_at(&["secretKey"]));
            let mut keys = keys_of([template]);
            keys.extend(data.map(str::to_owned));
            Keys::Known(keys)
        }
    };
    Some(Made {
        name: name?,
        keys,
        when: When::ByController,
        adds: policy.as_deref() == Some("Merge"),
    })
}

/// Without `create` it adds to a Secret that is somebody else's.
fn vault_secret(object: &Node) -> Option<Made> {
    let destination = object.path(&["spec", "destination"])?;
    let creates = destination.get("create").and_then(Node::scalar);
    let templates = destination.path(&["transformation", "templates"]);
    let excludes = destination.path(&["transformation", "excludes"]);
    let everything_else_is_left_out = excludes
        .map_or(&[][..], Node::items)
        .iter()
        .any(|pattern| pattern.text() == Some(".*"));
    Some(Made {
        name: destination.text_at(&["name"])?.to_owned(),
        keys: match templates {
            Some(templates) if everything_else_is_left_out => {
                Keys::Known(keys_of([Some(templates)]))
            }
            _ => Keys::Unknown,
        },
        when: When::ByController,
        adds: creates.is_none_or(|creates| creates.text.as_str() != "true"),
    })
}

fn provider_class(object: &Node) -> Vec<Made> {
    let secrets = object.path(&["spec", "secretObjects"]);
    let secrets = secrets.map_or(&[][..], Node::items).iter();
    let made = secrets.filter_map(|secret| {
        let data = secret.get("data").map_or(&[][..], Node::items).iter();
        let keys = data
            .filter_map(|item| item.text_at(&["key"]))
            .map(str::to_owned);
        Some(Made {
            name: secret.text_at(&["secretName"])?.to_owned(),
            keys: Keys::Known(keys.collect()),
            when: When::WithThePod,
            adds: false,
        })
    });
    made.collect()
}

/// Kustomize's generator, of whose keys some are in files.
fn secret_generator(generator: &Node) -> Option<Made> {
    let list = |key| {
        let items = generator.get(key).map_or(&[][..], Node::items).iter();
        items.filter_map(Node::text)
    };
    let key_of = |text: &str| text.split_once('=').map(|(key, _)| key.to_owned());
    let mut keys: BTreeSet<String> = list("literals").filter_map(key_of).collect();
    keys.extend(list("files").map(|file| {
        let name = file.rsplit('/').next().unwrap_or(file);
        key_of(file).unwrap_or_else(|| name.to_owned())
    }));
    let from_files = list("envs").next().is_some() || generator.get("env").is_some();
    Some(Made {
        name: generator.text_at(&["metadata", "name"])?.to_owned(),
        keys: match from_files {
            true => Keys::Unknown,
            false => Keys::Known(keys),
        },
        when: When::AtOnce,
        adds: false,
    })
}

fn keys_of<'a>(maps: impl IntoIterator<Item = Option<&'a Node>>) -> BTreeSet<String> {
    let entries = maps.into_iter().flatten().flat_map(Node::entries);
    entries.map(|entry| entry.key.clone()).collect()
}

/// What can be told of one key of a Secret that somebody wrote down.
pub enum Written {
    /// Its value, as the cluster will have it.
    Value(Zeroizing<Vec<u8>>),
    /// Something takes its place before it is applied: it is encrypted or a template.
    Hidden,
    /// It is no value that the API server takes; why, a clause.
    Wrong(&'static str),
}

/// Each key of a Secret with what can be told of it, and where it stands.
pub fn written(secret: &Node) -> Vec<(&Entry, Written)> {
    let encrypted = secret.get("sops").is_some();
    let vault_path = secret
        .path(&["metadata", "annotations", "avp.kubernetes.io/path"])
        .is_some();
    let entries = |key| secret.get(key).map_or(&[][..], Node::entries).iter();
    let hidden = |text: &str| {
        encrypted
            || text.starts_with("ENC[AES256_GCM,")
            || text.starts_with("ref+")
            || text.contains("<path:")
            || (vault_path && text.contains('<') && text.contains('>'))
            || text.contains("{{")
            || text.contains("${")
            || is_variable(text.trim())
    };
    let data = entries("data").map(|entry| {
        let written = match text_of(entry) {
            None => Written::Wrong("is not text; put it in quotes"),
            Some(text) if hidden(text) => Written::Hidden,
            Some(text) => match decode_base64(text) {
                None => Written::Wrong("is not base64; use stringData for plain text"),
                Some(bytes) => match std::str::from_utf8(&bytes) {
                    Ok(text) if hidden(text) => Written::Hidden,
                    _ => Written::Value(bytes),
                },
            },
        };
        (entry, written)
    });
    let string_data = entries("stringData").map(|entry| {
        let written = match text_of(entry) {
            None => Written::Wrong("is not text; put it in quotes"),
            Some(text) if hidden(text) => Written::Hidden,
            Some(text) => Written::Value(Zeroizing::new(text.as_bytes().to_vec())),
        };
        (entry, written)
    });
    data.chain(string_data).collect()
}

/// Base64 as Go reads it: line breaks and what is left of the last byte do not count.
///
/// Source: Go `encoding/base64`, `StdEncoding`.
pub fn decode_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    const GO: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    const ENGINE: GeneralPurpose = GeneralPurpose::new(&STANDARD, GO);
    let text = Zeroizing::new(text.replace(['\r', '\n'], ""));
    ENGINE.decode(text.as_bytes()).map(Zeroizing::new).ok()
}

/// A text; nothing at all is the empty one.
fn text_of(entry: &Entry) -> Option<&str> {
    match entry.value.is_null() {
        true => Some(""),
        false => entry.value.text(),
    }
}
