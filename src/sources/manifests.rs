//! `--state`: a folder of Kubernetes manifests is the cluster that is read.
//!
//! The folder is looked at afresh for each read and parsed again only when a file changed, so that
//! what a person writes into it counts at once, as in a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::argocd::settings::SECRET_NAME;
use keyguard_core::policy::accounts_change::{PART_OF_LABEL, PART_OF_VALUE};
use keyguard_core::policy::argocd_secret::{CLUSTER_TYPE, TYPE_LABEL};
use keyguard_core::policy::facts::Unread;
use keyguard_core::runtime::secret_bytes::SecretBytes;
use keyguard_core::runtime::secret_maker::decode_base64;
use keyguard_core::runtime::user::{KINDS, User};
use keyguard_core::runtime::workload::WorkloadKind;

use crate::sources::listing::{Listed, Page};
use crate::sources::manifest::{self, Manifest, ManifestError};
use crate::sources::source::{
    Bound, ConfigMap, ConfigMapRead, Read, Readiness, SecretRead, Source, WorkloadsRead,
};

/// A folder of manifests.
#[derive(Clone)]
pub struct Manifests {
    folder: Arc<Path>,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    print: Vec<Print>,
    objects: Arc<Objects>,
}

/// What tells that a file changed.
type Print = (PathBuf, Option<SystemTime>, u64);
type Named = (String, String);

#[derive(Default)]
struct Objects {
    secrets: BTreeMap<Named, Secret>,
    config_maps: BTreeMap<Named, ConfigMap>,
    users: Vec<User>,
    ending: BTreeSet<String>,
    listed: Vec<Kept>,
}

/// An object that can be listed.
struct Kept {
    listed: Listed,
    namespace: String,
    /// What is decided on of it, in JSON.
    json: Zeroizing<String>,
}

struct Secret {
    values: BTreeMap<String, SecretBytes>,
    /// Whether Argo CD takes it for the description of a cluster.
    describes_a_cluster: bool,
}

impl Manifests {
    /// Opens a folder and reads it once, so that a bad one is told at the start.
    ///
    /// # Errors
    /// When it cannot be read or a file in it is no manifest.
    pub fn open(folder: &Path) -> Result<Manifests, ManifestError> {
        let manifests = Manifests {
            folder: Arc::from(folder),
            known: Arc::default(),
        };
        manifests.look()?;
        Ok(manifests)
    }

    fn look(&self) -> Result<Arc<Objects>, ManifestError> {
        let print = print(&self.folder)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.print != print {
            let mut objects = Objects::default();
            for (path, ..) in &print {
                for manifest in manifest::read(path)? {
                    let kept = objects.keep(manifest);
                    kept.map_err(|fault| ManifestError::Object {
                        path: path.display().to_string(),
                        fault,
                    })?;
                }
            }
            *known = Known {
                print,
                objects: Arc::new(objects),
            };
        }
        Ok(Arc::clone(&known.objects))
    }

    /// What is in the folder now, read on a thread that may block.
    async fn objects(&self) -> Result<Arc<Objects>, Unread> {
        self.told().await.map_err(|_| Unread::Manifests)
    }

    /// The objects of one kind, all in one page.
    pub(super) async fn page(
        &self,
        listed: Listed,
        namespace: Option<&str>,
    ) -> Result<Page, Unread> {
        let objects = self.objects().await?;
        let wanted = |kept: &&Kept| {
            kept.listed == listed && namespace.is_none_or(|name| kept.namespace == name)
        };
        let found = objects.listed.iter().filter(wanted);
        Ok(Page::of(found.map(|kept| kept.json.as_str())))
    }

    async fn secret_as(
        &self,
        namespace: &str,
        name: &str,
        read: impl Fn(&Secret) -> SecretRead + Send,
    ) -> SecretRead {
        let named = (namespace.to_owned(), name.to_owned());
        match self.objects().await {
            Ok(objects) => objects.secrets.get(&named).map_or(Read::Missing, read),
            Err(unread) => Read::Unread(unread),
        }
    }

    /// The same as `objects`, or why not.
    async fn told(&self) -> Result<Arc<Objects>, String> {
        let manifests = self.clone();
        match tokio::task::spawn_blocking(move || manifests.look()).await {
            Ok(Ok(objects)) => Ok(objects),
            Ok(Err(error)) => {
                let reason = format!("--state: {error}");
                tracing::error!(reason, "the folder of --state cannot be used");
                Err(reason)
            }
            Err(_) => Err("--state could not be read".to_owned()),
        }
    }
}

impl Source for Manifests {
    async fn secret(&self, namespace: &str, name: &str, keys: &[&str]) -> SecretRead {
        let read = |secret: &Secret| secret.read(|key| keys.contains(&key));
        self.secret_as(namespace, name, read).await
    }

    async fn argocd_secret(&self, namespace: &str, wanted: fn(&str) -> bool) -> SecretRead {
        let read = |secret: &Secret| match secret.describes_a_cluster {
            true => Read::Missing,
            false => secret.read(wanted),
        };
        self.secret_as(namespace, SECRET_NAME, read).await
    }

    async fn config_map(&self, namespace: &str, name: &str) -> ConfigMapRead {
        let named = (namespace.to_owned(), name.to_owned());
        let objects = self.objects().await;
        let found = objects.map(|objects| objects.config_maps.get(&named).cloned());
        Read::of(found, Read::Found)
    }

    /// What is in a folder has no bound: it is all in memory anyway.
    async fn workloads(&self, namespace: Option<&str>, _: Bound) -> WorkloadsRead {
        let wanted = |user: &&User| namespace.is_none_or(|name| user.namespace == name);
        match self.objects().await {
            Ok(objects) => WorkloadsRead {
                users: objects.users.iter().filter(wanted).cloned().collect(),
                unread: None,
            },
            Err(unread) => WorkloadsRead {
                users: Vec::new(),
                unread: Some((WorkloadKind::Deployment, unread)),
            },
        }
    }

    async fn namespace_ends(&self, namespace: &str) -> bool {
        let objects = self.objects().await;
        objects.is_ok_and(|objects| objects.ending.contains(namespace))
    }
}

impl Readiness for Manifests {
    async fn answers(&self) -> Result<(), String> {
        self.told().await.map(drop)
    }
}

/// The manifests of a folder, in their order.
fn print(folder: &Path) -> Result<Vec<Print>, ManifestError> {
    let fail = |path: &Path| {
        let path = path.display().to_string();
        move |source| ManifestError::Unreadable { path, source }
    };
    let mut print = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail(folder))? {
        let path = entry.map_err(fail(folder))?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) {
            let metadata = std::fs::metadata(&path).map_err(fail(&path))?;
            print.push((path, metadata.modified().ok(), metadata.len()));
        }
    }
    print.sort();
    Ok(print)
}

impl Objects {
    /// Keeps what is looked at of a manifest; or says what is wrong with it.
    fn keep(&mut self, mut manifest: Manifest) -> Result<(), String> {
        let (data, string_data) = (take(&mut manifest.data), take(&mut manifest.string_data));
        let name = manifest.metadata.name.clone();
        let namespace = manifest.metadata.namespace.clone();
        let named = (
            namespace.unwrap_or_else(|| "default".to_owned()),
            name.clone(),
        );
        let leaving = manifest.metadata.deletion_timestamp.is_some();
        self.listed.extend(Kept::of(&manifest, &named, &data));
        match manifest.kind.as_str() {
            "ConfigMap" => {
                let data = manifest.texts("data", data)?.into_iter();
                let config_map = ConfigMap {
                    data: data
                        .map(|(key, mut text)| (key, take(&mut *text)))
                        .collect(),
                    labelled: manifest.has(PART_OF_LABEL, PART_OF_VALUE),
                };
                self.config_maps.insert(named, config_map);
            }
            "Secret" => {
                let mut values = BTreeMap::new();
                for (key, text) in manifest.texts("data", data)? {
                    let bytes = decode_base64(&text).ok_or_else(|| {
                        format!(
                            "data of Secret {name} is not base64; use stringData for plain text"
                        )
                    })?;
                    values.insert(key, SecretBytes::new(bytes));
                }
                for (key, mut text) in manifest.texts("stringData", string_data)? {
                    let bytes = Zeroizing::new(take(&mut *text).into_bytes());
                    values.insert(key, SecretBytes::new(bytes));
                }
                let secret = Secret {
                    values,
                    describes_a_cluster: manifest.has(TYPE_LABEL, CLUSTER_TYPE),
                };
                self.secrets.insert(named, secret);
            }
            "Namespace" if leaving => drop(self.ending.insert(name)),
            kind if let Some(kind) = looked_through(kind)
                && !leaving =>
            {
                let spec = manifest.spec.to_string();
                self.users.extend(User::of(kind, &named.0, &name, &spec));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Kept {
    /// What can be listed of a manifest, whose `data` was taken from it; `None` when it is nothing that is listed.
    fn of(manifest: &Manifest, named: &Named, data: &Value) -> Option<Kept> {
        let kinds = WorkloadKind::ALL.map(Listed::Workloads).into_iter();
        let mut kinds = kinds.chain([Listed::Accounts, Listed::Namespaces]);
        let listed = kinds.find(|listed| listed.names().2 == manifest.kind)?;
        let metadata = &manifest.metadata;
        let is_accounts =
            metadata.name == CONFIG_MAP_NAME && manifest.has(PART_OF_LABEL, PART_OF_VALUE);
        if listed == Listed::Accounts && !is_accounts {
            return None;
        }
        let (namespace, name) = named;
        let json = json!({
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": metadata.labels,
                "ownerReferences": metadata.owner_references,
                "deletionTimestamp": metadata.deletion_timestamp.map(|_| true),
            },
            "data": if listed == Listed::Accounts { data } else { &Value::Null },
            "spec": manifest.spec,
        });
        Some(Kept {
            listed,
            namespace: namespace.clone(),
            json: Zeroizing::new(json.to_string()),
        })
    }
}

impl Secret {
    fn read(&self, wanted: impl Fn(&str) -> bool) -> SecretRead {
        let wanted = self.values.iter().filter(|(key, _)| wanted(key));
        let copies = wanted.map(|(key, value)| {
            let value = Zeroizing::new(value.expose().to_vec());
            (key.clone(), SecretBytes::new(value))
        });
        Read::Found(copies.collect())
    }
}

/// The kind of workload of this name, if such are looked through.
fn looked_through(kind: &str) -> Option<WorkloadKind> {
    KINDS.into_iter().find(|known| known.names().2 == kind)
}

#[cfg(test)]
#[path = "manifests_tests.rs"]
mod tests;
