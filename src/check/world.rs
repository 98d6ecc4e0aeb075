//! What the tree, the project file and the cluster know together: where facts come from for `check`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::check::object::Object;
use crate::config::project::SecretByHand;
use crate::sources::any_source::AnySource;
use crate::sources::source::{Bound, ConfigMap, ConfigMapRead, SecretRead, Source, WorkloadsRead};
use keyguard_core::argocd::settings::SECRET_NAME;
use keyguard_core::document::{Entry, Node, Position};
use keyguard_core::policy::accounts_change::{PART_OF_LABEL, PART_OF_VALUE};
use keyguard_core::policy::argocd_secret::{CLUSTER_TYPE, TYPE_LABEL};
use keyguard_core::runtime::secret_bytes::SecretBytes;
use keyguard_core::runtime::secret_maker::{Keys, Made, When, Written, made_by, written};
use keyguard_core::runtime::user::User;

/// Stands for the namespace of an object that names none. Messages show it.
pub(crate) const UNKNOWN_NAMESPACE: &str = "the-namespace-of-the-release";

/// What is known of the objects that will be in the cluster.
pub(crate) struct World {
    secrets: HashMap<String, Vec<SecretDocument>>,
    config_maps: HashMap<String, Vec<(Option<String>, ConfigMap)>>,
    makers: HashMap<String, Vec<Maker>>,
    by_hand: Vec<SecretByHand>,
    /// Kind and name of each workload.
    workloads: HashSet<(String, String)>,
    cluster: Option<AnySource>,
}

/// A Secret that somebody wrote down.
struct SecretDocument {
    namespace: Option<String>,
    values: BTreeMap<String, (SecretBytes, Position)>,
    hidden: BTreeSet<String>,
    /// Whether Argo CD takes it for the description of a cluster.
    of_a_cluster: bool,
}

/// An object that makes a Secret.
#[derive(Clone, Debug)]
pub(crate) struct Maker {
    /// The object.
    pub(crate) object: Arc<Object>,
    /// The Secret.
    pub(crate) made: Made,
}

/// What is known of one key of a Secret before anything is looked up in a cluster.
#[derive(Debug)]
pub(crate) enum Known {
    /// Its value can be seen, or the Secret is seen without it: policy judges.
    Seen(Option<Position>),
    /// It will be there; what makes it, unless a person does.
    Made(Option<Maker>),
    /// The Secret will be there, and its keys cannot be told.
    KeysUnknown(Option<Maker>),
    /// Nothing in the tree makes it.
    Nobody,
}

impl World {
    /// What `objects` and the project file say, over what `cluster` has.
    pub(crate) fn new(
        objects: &[Arc<Object>],
        by_hand: Vec<SecretByHand>,
        cluster: Option<AnySource>,
    ) -> World {
        let mut world = World {
            secrets: HashMap::new(),
            config_maps: HashMap::new(),
            makers: HashMap::new(),
            by_hand,
            workloads: HashSet::new(),
            cluster,
        };
        for object in objects {
            world.add(object);
        }
        world
    }

    fn add(&mut self, object: &Arc<Object>) {
        match (object.api_version.as_str(), object.kind.as_str()) {
            ("v1", "Secret") => {
                let secrets = self.secrets.entry(object.name.clone()).or_default();
                secrets.push(SecretDocument::of(object));
            }
            ("v1", "ConfigMap") => {
                let config_map = config_map(&object.node);
                let named = self.config_maps.entry(object.name.clone()).or_default();
                named.push((object.namespace.clone(), config_map));
            }
            (_, kind) => {
                self.workloads
                    .insert((kind.to_owned(), object.name.clone()));
                for made in made_by(&object.node) {
                    let object = Arc::clone(object);
                    let makers = self.makers.entry(made.name.clone()).or_default();
                    makers.push(Maker { object, made });
                }
            }
        }
    }

    /// What is known of a key of a Secret.
    pub(crate) fn known(&self, namespace: &str, name: &str, key: &str) -> Known {
        let secrets = self.secrets_of(namespace, name);
        for secret in secrets.clone() {
            if let Some((_, at)) = secret.values.get(key) {
                return Known::Seen(Some(at.clone()));
            }
            if secret.hidden.contains(key) {
                return Known::Made(None);
            }
        }
        let makers = self.makers.get(name).map_or(&[][..], Vec::as_slice);
        let makers = makers
            .iter()
            .filter(|maker| may_be_in(maker.object.namespace.as_deref(), namespace));
        let mut unknown = None;
        for maker in makers {
            match &maker.made.keys {
                Keys::Known(keys) if keys.contains(key) => return Known::Made(Some(maker.clone())),
                Keys::Known(_) => {}
                Keys::Unknown => unknown = Some(maker.clone()),
            }
        }
        let by_hand = self.by_hand.iter().any(|secret| {
            may_be_in(Some(&secret.namespace), namespace)
                && secret.name == name
                && secret.key.as_deref().is_none_or(|known| known == key)
        });
        if by_hand {
            return Known::Made(None);
        }
        if unknown.is_some() {
            return Known::KeysUnknown(unknown);
        }
        match secrets.count() {
            0 => Known::Nobody,
            _ => Known::Seen(None),
        }
    }

    /// An argocd-cm that the cluster has.
    pub(crate) async fn config_map_before(
        &self,
        namespace: &str,
        name: &str,
    ) -> Option<ConfigMapRead> {
        Some(self.cluster.as_ref()?.config_map(namespace, name).await)
    }

    /// The workloads of the cluster, if one is known.
    pub(crate) async fn users(&self, namespace: &str, bound: Bound) -> Option<WorkloadsRead> {
        let mut read = self
            .cluster
            .as_ref()?
            .workloads(Some(namespace), bound)
            .await;
        // Those in the tree are judged as they will be.
        let is_known = |user: &User| {
            let named = (user.kind.names().2.to_owned(), user.name.clone());
            self.workloads.contains(&named)
        };
        read.users.retain(|user| !is_known(user));
        Some(read)
    }

    fn secrets_of<'a>(
        &'a self,
        namespace: &'a str,
        name: &str,
    ) -> impl Iterator<Item = &'a SecretDocument> + Clone {
        let named = self.secrets.get(name).map_or(&[][..], Vec::as_slice);
        named
            .iter()
            .filter(move |secret| may_be_in(secret.namespace.as_deref(), namespace))
    }

    fn secret_where(
        &self,
        namespace: &str,
        name: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<BTreeMap<String, SecretBytes>> {
        let mut secrets = self.secrets_of(namespace, name).peekable();
        secrets.peek()?;
        let values = secrets.flat_map(|secret| secret.values.iter());
        let wanted = values.filter(|(key, _)| wanted(key));
        Some(
            wanted
                .map(|(key, (value, _))| {
                    let value = Zeroizing::new(value.expose().to_vec());
                    (key.clone(), SecretBytes::new(value))
                })
                .collect(),
        )
    }
}

/// Whether what names this namespace, or none, may be in another.
fn may_be_in(named: Option<&str>, namespace: &str) -> bool {
    namespace == UNKNOWN_NAMESPACE || named.is_none_or(|named| named == namespace)
}

impl SecretDocument {
    fn of(object: &Object) -> SecretDocument {
        let mut document = SecretDocument {
            namespace: object.namespace.clone(),
            values: BTreeMap::new(),
            hidden: BTreeSet::new(),
            of_a_cluster: label(&object.node, TYPE_LABEL) == Some(CLUSTER_TYPE),
        };
        for (Entry { key, value, .. }, written) in written(&object.node) {
            match written {
                Written::Hidden | Written::Wrong(_) => drop(document.hidden.insert(key.clone())),
                Written::Value(bytes) => {
                    document.hidden.remove(key);
                    let value = (SecretBytes::new(bytes), value.at.clone());
                    document.values.insert(key.clone(), value);
                }
            }
        }
        document
    }
}

fn label<'a>(object: &'a Node, label: &str) -> Option<&'a str> {
    object.text_at(&["metadata", "labels", label])
}

fn config_map(object: &Node) -> ConfigMap {
    let data = object.get("data").map_or(&[][..], Node::entries).iter();
    let texts = data.filter_map(|entry| Some((entry.key.clone(), entry.value.text()?.to_owned())));
    ConfigMap {
        data: texts.collect(),
        labelled: label(object, PART_OF_LABEL) == Some(PART_OF_VALUE),
    }
}

impl Source for World {
    async fn secret(&self, namespace: &str, name: &str, keys: &[&str]) -> SecretRead {
        match (
            self.secret_where(namespace, name, |key| keys.contains(&key)),
            &self.cluster,
        ) {
            (Some(found), _) => SecretRead::Found(found),
            (None, Some(cluster)) => cluster.secret(namespace, name, keys).await,
            (None, None) => SecretRead::Missing,
        }
    }

    async fn argocd_secret(&self, namespace: &str, wanted: fn(&str) -> bool) -> SecretRead {
        let mut secrets = self.secrets_of(namespace, SECRET_NAME);
        let of_a_cluster = secrets.any(|secret| secret.of_a_cluster);
        match (
            self.secret_where(namespace, SECRET_NAME, wanted),
            &self.cluster,
        ) {
            (Some(_), _) if of_a_cluster => SecretRead::Missing,
            (Some(found), _) => SecretRead::Found(found),
            (None, Some(cluster)) => cluster.argocd_secret(namespace, wanted).await,
            (None, None) => SecretRead::Missing,
        }
    }

    async fn config_map(&self, namespace: &str, name: &str) -> ConfigMapRead {
        let named = self.config_maps.get(name).map_or(&[][..], Vec::as_slice);
        let mut named = named.iter();
        let known = named.find(|(own, _)| may_be_in(own.as_deref(), namespace));
        match (known, &self.cluster) {
            (Some((_, config_map)), _) => ConfigMapRead::Found(config_map.clone()),
            (None, Some(cluster)) => cluster.config_map(namespace, name).await,
            (None, None) => ConfigMapRead::Missing,
        }
    }

    async fn workloads(&self, namespace: Option<&str>, bound: Bound) -> WorkloadsRead {
        match &self.cluster {
            Some(cluster) => cluster.workloads(namespace, bound).await,
            None => WorkloadsRead {
                users: Vec::new(),
                unread: None,
            },
        }
    }

    async fn namespace_ends(&self, _: &str) -> bool {
        false
    }
}

impl Maker {
    /// Whether it is there only after a workload that is applied with it was admitted.
    pub(crate) fn comes_later(&self) -> bool {
        self.made.when == When::ByController
    }
}
