//! `--state`: a folder of Kubernetes manifests is the cluster that is read.
//!
//! The folder is looked at afresh for each read and parsed again only when a file changed, so that
//! what a person writes into it counts at once, as in a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use thiserror::Error;
use zeroize::Zeroizing;

use keyguard_core::argocd::settings::SECRET_NAME;
use keyguard_core::policy::accounts_change::{PART_OF_LABEL, PART_OF_VALUE};
use keyguard_core::policy::argocd_secret::{CLUSTER_TYPE, TYPE_LABEL};
use keyguard_core::policy::facts::Unread;
use keyguard_core::runtime::secret_bytes::SecretBytes;
use keyguard_core::runtime::user::{KINDS, User};
use keyguard_core::runtime::workload::WorkloadKind;

use crate::sources::manifest::{Data, Manifest};
use crate::sources::source::{
    Bound, ConfigMap, ConfigMapRead, Readiness, SecretRead, Source, WorkloadsRead,
};

/// Why a folder is no cluster.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// It, or a file in it, cannot be read.
    #[error("--state: {path} cannot be read")]
    Unreadable {
        /// The folder or file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no manifest. Where, but never what: it may hold a Secret.
    #[error("--state: {path} is not a Kubernetes manifest in YAML or JSON{place}")]
    Malformed {
        /// The file.
        path: String,
        /// Where in it.
        place: String,
    },
    /// What a Secret or ConfigMap has is not text; the API server would refuse it too.
    #[error("--state: {path}: {field} of {kind} {name} is not text; put it in quotes")]
    NotText {
        /// The file.
        path: String,
        /// Where in the object.
        field: String,
        /// The kind of the object.
        kind: String,
        /// Its name.
        name: String,
    },
    /// What a Secret or ConfigMap has is not a map.
    #[error("--state: {path}: {field} of {kind} {name} is not a map of keys and texts")]
    NotMap {
        /// The file.
        path: String,
        /// Where in the object.
        field: &'static str,
        /// The kind of the object.
        kind: String,
        /// Its name.
        name: String,
    },
    /// A Secret's data is not base64.
    #[error("--state: {path}: data of Secret {name} is not base64; use stringData for plain text")]
    NotBase64 {
        /// The file.
        path: String,
        /// The Secret.
        name: String,
    },
}

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
    secrets: BTreeMap<Named, BTreeMap<String, SecretBytes>>,
    config_maps: BTreeMap<Named, ConfigMap>,
    /// Secrets that Argo CD takes for the descriptions of clusters.
    clusters: BTreeSet<Named>,
    users: Vec<User>,
    ending: BTreeSet<String>,
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
        manifests.objects()?;
        Ok(manifests)
    }

    fn objects(&self) -> Result<Arc<Objects>, ManifestError> {
        let print = print(&self.folder)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.print != print || print.is_empty() {
            let mut objects = Objects::default();
            for (path, ..) in &print {
                objects.add(path)?;
            }
            *known = Known {
                print,
                objects: Arc::new(objects),
            };
        }
        Ok(Arc::clone(&known.objects))
    }

    async fn secret_of(
        &self,
        namespace: &str,
        name: &str,
        wanted: impl Fn(&str) -> bool + Send + 'static,
    ) -> SecretRead {
        let named = (namespace.to_owned(), name.to_owned());
        let read = self.with(move |objects| {
            let data = objects.secrets.get(&named)?.iter();
            let wanted = data.filter(|(key, _)| wanted(key)).map(|(key, value)| {
                let value = Zeroizing::new(value.expose().to_vec());
                (key.clone(), SecretBytes::new(value))
            });
            Some(wanted.collect())
        });
        match read.await {
            Ok(Some(found)) => SecretRead::Found(found),
            Ok(None) => SecretRead::Missing,
            Err(_) => SecretRead::Unread(Unread::Manifests),
        }
    }

    /// Runs `read` over the objects on a thread that may block.
    async fn with<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Objects) -> T + Send + 'static,
    ) -> Result<T, String> {
        let manifests = self.clone();
        let objects = tokio::task::spawn_blocking(move || manifests.objects());
        match objects.await {
            Ok(Ok(objects)) => Ok(read(&objects)),
            Ok(Err(error)) => {
                tracing::error!(reason = %error, "the folder of --state cannot be used");
                Err(error.to_string())
            }
            Err(_) => Err("--state could not be read".to_owned()),
        }
    }
}

impl Source for Manifests {
    async fn secret(&self, namespace: &str, name: &str, keys: &[&str]) -> SecretRead {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        self.secret_of(namespace, name, move |key| {
            keys.iter().any(|wanted| wanted == key)
        })
        .await
    }

    async fn argocd_secret(&self, namespace: &str, wanted: fn(&str) -> bool) -> SecretRead {
        let named = (namespace.to_owned(), SECRET_NAME.to_owned());
        match self
            .with(move |objects| objects.clusters.contains(&named))
            .await
        {
            Ok(true) => SecretRead::Missing,
            _ => self.secret_of(namespace, SECRET_NAME, wanted).await,
        }
    }

    async fn config_map(&self, namespace: &str, name: &str) -> ConfigMapRead {
        let named = (namespace.to_owned(), name.to_owned());
        let read = self.with(move |objects| objects.config_maps.get(&named).cloned());
        match read.await {
            Ok(Some(config_map)) => ConfigMapRead::Found(config_map),
            Ok(None) => ConfigMapRead::Missing,
            Err(_) => ConfigMapRead::Unread(Unread::Manifests),
        }
    }

    /// What is in a folder has no bound: it is all in memory anyway.
    async fn workloads(&self, namespace: Option<&str>, _: Bound) -> WorkloadsRead {
        let namespace = namespace.map(str::to_owned);
        let wanted = move |user: &&User| {
            namespace
                .as_ref()
                .is_none_or(|name| user.namespace == *name)
        };
        let read = self.with(move |objects| objects.users.iter().filter(wanted).cloned().collect());
        match read.await {
            Ok(users) => WorkloadsRead {
                users,
                unread: None,
            },
            Err(_) => WorkloadsRead {
                users: Vec::new(),
                unread: Some((WorkloadKind::Deployment, Unread::Manifests)),
            },
        }
    }

    async fn namespace_ends(&self, namespace: &str) -> bool {
        let namespace = namespace.to_owned();
        let read = self.with(move |objects| objects.ending.contains(&namespace));
        read.await.unwrap_or(false)
    }
}

impl Readiness for Manifests {
    async fn answers(&self) -> Result<(), String> {
        self.with(|_| ()).await
    }
}

fn print(folder: &Path) -> Result<Vec<Print>, ManifestError> {
    let fail = |path: &Path| {
        let path = path.display().to_string();
        move |source| ManifestError::Unreadable { path, source }
    };
    let mut print = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail(folder))? {
        let path = entry.map_err(fail(folder))?.path();
        let manifest = path.extension().is_some_and(|extension| {
            extension == "yaml" || extension == "yml" || extension == "json"
        });
        if !manifest {
            continue;
        }
        let metadata = std::fs::metadata(&path).map_err(fail(&path))?;
        print.push((path, metadata.modified().ok(), metadata.len()));
    }
    print.sort();
    Ok(print)
}

impl Objects {
    fn add(&mut self, path: &Path) -> Result<(), ManifestError> {
        let text = std::fs::read(path).map_err(|source| ManifestError::Unreadable {
            path: path.display().to_string(),
            source,
        })?;
        let text = Zeroizing::new(text);
        let manifests: Vec<Option<Manifest>> =
            serde_saphyr::from_slice_multiple(&text).map_err(|error| ManifestError::Malformed {
                path: path.display().to_string(),
                place: error
                    .location()
                    .map(|at| format!(" (line {})", at.line()))
                    .unwrap_or_default(),
            })?;
        for manifest in manifests.into_iter().flatten() {
            self.keep(manifest, path)?;
        }
        Ok(())
    }

    fn keep(&mut self, manifest: Manifest, path: &Path) -> Result<(), ManifestError> {
        let metadata = manifest.metadata.unwrap_or_default();
        let name = metadata.name.unwrap_or_default();
        let leaving = metadata.deletion_timestamp.is_some();
        let labels = metadata.labels.unwrap_or_default();
        let labelled =
            |label: &str, value: &str| labels.get(label).and_then(Value::as_str) == Some(value);
        let named = (
            metadata.namespace.unwrap_or_else(|| "default".to_owned()),
            name.clone(),
        );
        let texts = |field, data| texts(path, &manifest.kind, &name, field, data);
        match manifest.kind.as_str() {
            "ConfigMap" => {
                let data = texts("data", manifest.data)?.into_iter();
                let data = data.map(|(key, text)| (key, text.to_string()));
                let config_map = ConfigMap {
                    data: data.collect(),
                    labelled: labelled(PART_OF_LABEL, PART_OF_VALUE),
                };
                self.config_maps.insert(named, config_map);
            }
            "Secret" => {
                let mut values = BTreeMap::new();
                for (key, text) in texts("data", manifest.data)? {
                    let text = Zeroizing::new(text.replace(['\n', ' '], ""));
                    let bytes =
                        STANDARD
                            .decode(text.as_bytes())
                            .map_err(|_| ManifestError::NotBase64 {
                                path: path.display().to_string(),
                                name: name.clone(),
                            })?;
                    values.insert(key, SecretBytes::new(Zeroizing::new(bytes)));
                }
                for (key, text) in texts("stringData", manifest.string_data)? {
                    let bytes = text.as_bytes().to_vec();
                    values.insert(key, SecretBytes::new(Zeroizing::new(bytes)));
                }
                if labelled(TYPE_LABEL, CLUSTER_TYPE) {
                    self.clusters.insert(named.clone());
                }
                self.secrets.insert(named, values);
            }
            "Namespace" if leaving => drop(self.ending.insert(name)),
            kind if let Some(kind) = looked_through(kind) => {
                let spec = manifest.spec.unwrap_or_default().to_string();
                let user = User::of(kind, &named.0, &name, &spec);
                self.users.extend(user.filter(|_| !leaving));
            }
            _ => {
                for item in manifest.items.unwrap_or_default() {
                    self.keep(item, path)?;
                }
            }
        }
        Ok(())
    }
}

/// The kind of workload of this name, if such are looked through.
fn looked_through(kind: &str) -> Option<WorkloadKind> {
    KINDS.into_iter().find(|known| known.names().2 == kind)
}

/// The keys and texts that `data` must be in an object of this kind and name.
fn texts(
    path: &Path,
    kind: &str,
    name: &str,
    field: &'static str,
    data: Data,
) -> Result<BTreeMap<String, Zeroizing<String>>, ManifestError> {
    let (path, kind, name) = (path.display().to_string(), kind.to_owned(), name.to_owned());
    match data {
        Data::Texts(texts) => Ok(texts),
        Data::NotText(key) => Err(ManifestError::NotText {
            path,
            field: format!("{field}.{key}"),
            kind,
            name,
        }),
        Data::NotMap => Err(ManifestError::NotMap {
            path,
            field,
            kind,
            name,
        }),
    }
}

#[cfg(test)]
#[path = "manifests_tests.rs"]
mod tests;
