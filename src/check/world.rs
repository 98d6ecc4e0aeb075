//! What the tree, the project file and the cluster know together: where facts come from for `check`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::check::nearness::{in_common, is_related};
use crate::check::object::Object;
use crate::config::project::SecretByHand;
use crate::sources::any_source::AnySource;
use crate::sources::source::{Bound, ConfigMap, ConfigMapRead, SecretRead, Source, WorkloadsRead};
use keyguard_core::argocd::settings::SECRET_NAME;
use keyguard_core::document::{Entry, Node, Position};
use keyguard_core::policy::accounts_change::{PART_OF_LABEL, PART_OF_VALUE};
use keyguard_core::policy::argocd_secret::{CLUSTER_TYPE, TYPE_LABEL};
use keyguard_core::runtime::chart::auth::is_filled_in;
use keyguard_core::runtime::secret_bytes::SecretBytes;
use keyguard_core::runtime::secret_maker::{Keys, Made, When, Written, made_by, written};
use keyguard_core::runtime::user::User;

/// Stands for the namespace of an object that names none. Messages show it.
pub(crate) const UNKNOWN_NAMESPACE: &str = "the-namespace-of-the-release";

/// What is known of the objects that will be in the cluster.
pub(crate) struct World {
    secrets: HashMap<String, Vec<SecretDocument>>,
    config_maps: HashMap<String, Vec<ConfigMapDocument>>,
    makers: HashMap<String, Vec<Maker>>,
    /// Makers whose Secret has a name that is filled in.
    unnamed: Vec<Maker>,
    /// Folders of charts with a template that cannot be read before it is rendered and makes Secrets.
    rendered: Vec<String>,
    by_hand: Vec<SecretByHand>,
    /// Kind and name of each workload.
    workloads: HashSet<(String, String)>,
    cluster: Option<AnySource>,
}

/// A Secret that somebody wrote down.
struct SecretDocument {
    namespace: Option<String>,
    /// The folder that it is applied from.
    folder: Arc<str>,
    values: BTreeMap<String, (SecretBytes, Position)>,
    hidden: BTreeSet<String>,
    /// Whether Argo CD takes it for the description of a cluster.
    of_a_cluster: bool,
}

/// A ConfigMap that somebody wrote down.
struct ConfigMapDocument {
    namespace: Option<String>,
    folder: Arc<str>,
    config_map: ConfigMap,
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
    KeysUnknown(Maker),
    /// The Secret will be there without the key.
    Lacks(Maker),
    /// It cannot be told whether this makes it.
    MayBeMade(String),
    /// Nothing in the tree makes it.
    Nobody,
}

impl World {
    /// What `objects` and the project file say, over what `cluster` has.
    pub(crate) fn new(
        objects: &[Arc<Object>],
        rendered: Vec<String>,
        by_hand: Vec<SecretByHand>,
        cluster: Option<AnySource>,
    ) -> World {
        let mut world = World {
            secrets: HashMap::new(),
            config_maps: HashMap::new(),
            makers: HashMap::new(),
            unnamed: Vec::new(),
            rendered,
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
                let named = self.config_maps.entry(object.name.clone()).or_default();
                named.push(ConfigMapDocument {
                    namespace: object.namespace.clone(),
                    folder: object.folder().into(),
                    config_map: config_map(&object.node),
                });
            }
            (_, kind) => {
                self.workloads
                    .insert((kind.to_owned(), object.name.clone()));
            }
        }
        for made in made_by(&object.node) {
            let object = Arc::clone(object);
            let makers = match is_filled_in(&made.name) {
                true => &mut self.unnamed,
                false => self.makers.entry(made.name.clone()).or_default(),
            };
            makers.push(Maker { object, made });
        }
    }

    /// What is known of a key of a Secret, seen from a folder: of namesakes, such as those of several clusters, the
    /// nearest count.
    pub(crate) fn known(&self, from: &str, namespace: &str, name: &str, key: &str) -> Known {
        let makers = self.makers.get(name).map_or(&[][..], Vec::as_slice).iter();
        let in_namespace = |maker: &&Maker| may_be_in(maker.object.namespace.as_deref(), namespace);
        let (adding, makers): (Vec<&Maker>, Vec<&Maker>) = makers
            .filter(in_namespace)
            .partition(|maker| maker.made.adds);
        let secrets: Vec<&SecretDocument> = self.secrets_of(namespace, name).collect();
        let folders = secrets.iter().map(|secret| &*secret.folder);
        let folders = folders.chain(makers.iter().map(|maker| maker.object.folder()));
        let nearest = folders.map(|folder| in_common(from, folder)).max();
        let is_near = |folder: &str| Some(in_common(from, folder)) == nearest;
        let secrets = secrets.iter().filter(|secret| is_near(&secret.folder));
        for secret in secrets.clone() {
            if let Some((_, at)) = secret.values.get(key) {
                return Known::Seen(Some(at.clone()));
            }
            if secret.hidden.contains(key) {
                return Known::Made(None);
            }
        }
        let is_there = secrets.count() > 0;
        let (mut unknown, mut lacks) = (None, None);
        let makers = makers
            .into_iter()
            .filter(|maker| is_near(maker.object.folder()));
        // The cluster may have what they add to.
        let adding = adding
            .into_iter()
            .filter(|_| is_there || self.cluster.is_some());
        for maker in makers.chain(adding) {
            match &maker.made.keys {
                Keys::Known(keys) if keys.contains(key) => return Known::Made(Some(maker.clone())),
                Keys::Known(_) if maker.made.adds => {}
                Keys::Known(_) => lacks = Some(maker),
                Keys::Unknown => unknown = Some(maker),
            }
        }
        let by_hand = self.by_hand.iter().any(|secret| {
            may_be_in(Some(&secret.namespace), namespace)
                && secret.name == name
                && secret.key.as_deref().is_none_or(|known| known == key)
        });
        match (unknown, lacks) {
            _ if by_hand => Known::Made(None),
            (Some(maker), _) => Known::KeysUnknown(maker.clone()),
            (_, Some(maker)) if !is_there => Known::Lacks(maker.clone()),
            _ if is_there => Known::Seen(None),
            _ => self.by_template(from, namespace),
        }
    }

    /// Whether something may make any Secret there.
    fn by_template(&self, from: &str, namespace: &str) -> Known {
        let mut unnamed = self.unnamed.iter();
        let unnamed = unnamed.find(|maker| {
            may_be_in(maker.object.namespace.as_deref(), namespace)
                && is_related(from, maker.object.folder())
        });
        let mut rendered = self.rendered.iter();
        match (unnamed, rendered.find(|folder| is_related(from, folder))) {
            (Some(maker), _) => {
                let object = &maker.object;
                let (kind, file) = (&object.kind, object.file());
                Known::MayBeMade(format!(
                    "the name of what {kind} in {file} makes is a template"
                ))
            }
            (None, Some(folder)) => Known::MayBeMade(format!(
                "a template of the chart in {folder:?} may make it; check what helm template prints"
            )),
            (None, None) => Known::Nobody,
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
        from: &str,
        namespace: &str,
        name: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<BTreeMap<String, SecretBytes>> {
        let secrets = self.secrets_of(namespace, name);
        let nearest = secrets
            .clone()
            .map(|secret| in_common(from, &secret.folder))
            .max()?;
        let near = secrets.filter(|secret| in_common(from, &secret.folder) == nearest);
        let values = near.flat_map(|secret| secret.values.iter());
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
            folder: object.folder().into(),
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

/// What is known, seen from a folder.
pub(crate) struct View {
    /// What is known.
    pub(crate) world: Arc<World>,
    /// The folder.
    pub(crate) from: Arc<str>,
}

impl Source for View {
    async fn secret(&self, namespace: &str, name: &str, keys: &[&str]) -> SecretRead {
        let wanted = |key: &str| keys.contains(&key);
        let World { cluster, .. } = &*self.world;
        match (
            self.world.secret_where(&self.from, namespace, name, wanted),
            cluster,
        ) {
            (Some(found), _) => SecretRead::Found(found),
            (None, Some(cluster)) => cluster.secret(namespace, name, keys).await,
            (None, None) => SecretRead::Missing,
        }
    }

    async fn argocd_secret(&self, namespace: &str, wanted: fn(&str) -> bool) -> SecretRead {
        let World { cluster, .. } = &*self.world;
        let mut secrets = self.world.secrets_of(namespace, SECRET_NAME);
        let of_a_cluster = secrets.any(|secret| secret.of_a_cluster);
        let found = self
            .world
            .secret_where(&self.from, namespace, SECRET_NAME, wanted);
        match (found, cluster) {
            (Some(_), _) if of_a_cluster => SecretRead::Missing,
            (Some(found), _) => SecretRead::Found(found),
            (None, Some(cluster)) => cluster.argocd_secret(namespace, wanted).await,
            (None, None) => SecretRead::Missing,
        }
    }

    async fn config_map(&self, namespace: &str, name: &str) -> ConfigMapRead {
        let World {
            config_maps,
            cluster,
            ..
        } = &*self.world;
        let named = config_maps.get(name).map_or(&[][..], Vec::as_slice).iter();
        let known = named.filter(|it| may_be_in(it.namespace.as_deref(), namespace));
        let nearest = known.max_by_key(|it| in_common(&self.from, &it.folder));
        match (nearest, cluster) {
            (Some(found), _) => ConfigMapRead::Found(found.config_map.clone()),
            (None, Some(cluster)) => cluster.config_map(namespace, name).await,
            (None, None) => ConfigMapRead::Missing,
        }
    }

    async fn workloads(&self, namespace: Option<&str>, bound: Bound) -> WorkloadsRead {
        match &self.world.cluster {
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
