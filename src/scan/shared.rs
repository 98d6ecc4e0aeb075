//! The cluster as one scan reads it: so many reads at once, and what many workloads need only once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use zeroize::Zeroizing;

use crate::admission::argocd_read::SERVER_TLS;
use crate::sources::any_source::AnySource;
use crate::sources::source::{
    Bound, ConfigMap, ConfigMapRead, Read, SecretRead, Source, WorkloadsRead,
};
use keyguard_core::argocd::claims::Date;
use keyguard_core::argocd::settings::SECRET_NAME;
use keyguard_core::argocd::token::Token;
use keyguard_core::runtime::secret_bytes::SecretBytes;

/// ConfigMaps that are remembered, each up to so many bytes. Lists come in the order of namespaces, so that the last few
/// are those that are asked for again.
const CONFIG_MAPS: usize = 64;
const CONFIG_MAP_BYTES: usize = 64 << 10;
/// Credentials that expire and are remembered.
const EXPIRIES: usize = 10_000;

/// A credential that expires.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry {
    /// When, in Unix seconds.
    pub at: i64,
    /// The namespace of its Secret.
    pub namespace: String,
    /// The name of its Secret.
    pub secret: String,
}

/// The cluster as one scan reads it.
pub(crate) struct Shared {
    source: AnySource,
    turns: Semaphore,
    requests: AtomicUsize,
    /// Argo CD's own Secrets, which every credential is verified with. They are kept until the scan ends.
    argocd: AsyncMutex<BTreeMap<(String, &'static str), Kept>>,
    config_maps: Mutex<VecDeque<(String, String, Option<ConfigMap>)>>,
    /// Held while one is read: the workloads of a namespace ask for the same one at once.
    reading_config_map: AsyncMutex<()>,
    expiries: Mutex<BTreeMap<(String, String), i64>>,
}

/// What a Secret of Argo CD has; nothing when it is missing.
type Kept = Option<Arc<BTreeMap<String, SecretBytes>>>;

impl Shared {
    /// Reads `source` with at most `reads` at once.
    pub(crate) fn new(source: AnySource, reads: usize) -> Shared {
        Shared {
            source,
            turns: Semaphore::new(reads),
            requests: AtomicUsize::new(0),
            argocd: AsyncMutex::default(),
            config_maps: Mutex::default(),
            reading_config_map: AsyncMutex::default(),
            expiries: Mutex::default(),
        }
    }

    /// How many reads there were.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// The credentials that expire, the first to do so first.
    pub(crate) fn expiries(&self) -> Vec<Expiry> {
        let expiries = lock(&self.expiries);
        let mut expiries: Vec<Expiry> = expiries
            .iter()
            .map(|((namespace, secret), at)| Expiry {
                at: *at,
                namespace: namespace.clone(),
                secret: secret.clone(),
            })
            .collect();
        expiries.sort();
        expiries
    }

    async fn turn<T>(&self, read: impl Future<Output = T>) -> T {
        let _turn = self.turns.acquire().await;
        self.requests.fetch_add(1, Ordering::Relaxed);
        read.await
    }

    /// A Secret of Argo CD, read once. What could not be read is asked for again, but for a right that is missing.
    async fn of_argocd(
        &self,
        namespace: &str,
        name: &'static str,
        wanted: impl Fn(&str) -> bool,
        read: impl Future<Output = SecretRead>,
    ) -> SecretRead {
        let mut argocd = self.argocd.lock().await;
        let key = (namespace.to_owned(), name);
        if !argocd.contains_key(&key) {
            let found = match self.turn(read).await {
                Read::Unread(unread) => return Read::Unread(unread),
                Read::Missing => None,
                Read::Found(found) => Some(Arc::new(found)),
            };
            argocd.insert(key.clone(), found);
        }
        let found = argocd.get(&key).cloned().flatten();
        drop(argocd);
        let Some(found) = found else {
            return Read::Missing;
        };
        let wanted = found.iter().filter(|(key, _)| wanted(key));
        let copies = wanted.map(|(key, value)| {
            let copy = SecretBytes::new(Zeroizing::new(value.expose().to_vec()));
            (key.clone(), copy.at(value.version().cloned()))
        });
        Read::Found(copies.collect())
    }

    fn note_expiries(&self, namespace: &str, name: &str, read: &SecretRead) {
        let SecretRead::Found(found) = read else {
            return;
        };
        let Some(at) = found.values().filter_map(expiry).min() else {
            return;
        };
        let mut expiries = lock(&self.expiries);
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(known) = expiries.get_mut(&key) {
            *known = at.min(*known);
        } else if expiries.len() < EXPIRIES {
            expiries.insert(key, at);
        }
    }

    fn known_config_map(&self, namespace: &str, name: &str) -> Option<Option<ConfigMap>> {
        let known = lock(&self.config_maps);
        let known = known
            .iter()
            .find(|(of, called, _)| of == namespace && called == name);
        known.map(|(_, _, config_map)| config_map.clone())
    }

    fn remember_config_map(&self, namespace: &str, name: &str, config_map: Option<&ConfigMap>) {
        let data = config_map.map(|config_map| config_map.data.iter());
        let bytes: usize = data
            .into_iter()
            .flatten()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        if bytes > CONFIG_MAP_BYTES {
            return;
        }
        let mut known = lock(&self.config_maps);
        if known.len() == CONFIG_MAPS {
            known.pop_front();
        }
        known.push_back((namespace.to_owned(), name.to_owned(), config_map.cloned()));
    }
}

impl Source for Shared {
    async fn secret(&self, namespace: &str, name: &str, keys: &[&str]) -> SecretRead {
        let read = self.source.secret(namespace, name, keys);
        if name == SERVER_TLS {
            let wanted = |key: &str| keys.contains(&key);
            return self.of_argocd(namespace, SERVER_TLS, wanted, read).await;
        }
        let read = self.turn(read).await;
        self.note_expiries(namespace, name, &read);
        read
    }

    async fn argocd_secret(&self, namespace: &str, wanted: fn(&str) -> bool) -> SecretRead {
        let read = self.source.argocd_secret(namespace, wanted);
        self.of_argocd(namespace, SECRET_NAME, wanted, read).await
    }

    async fn config_map(&self, namespace: &str, name: &str) -> ConfigMapRead {
        if let Some(known) = self.known_config_map(namespace, name) {
            return known.map_or(Read::Missing, Read::Found);
        }
        let _reading = self.reading_config_map.lock().await;
        if let Some(known) = self.known_config_map(namespace, name) {
            return known.map_or(Read::Missing, Read::Found);
        }
        let read = self.turn(self.source.config_map(namespace, name)).await;
        match &read {
            Read::Found(found) => self.remember_config_map(namespace, name, Some(found)),
            Read::Missing => self.remember_config_map(namespace, name, None),
            Read::Unread(_) => {}
        }
        read
    }

    async fn workloads(&self, namespace: Option<&str>, bound: Bound) -> WorkloadsRead {
        self.turn(self.source.workloads(namespace, bound)).await
    }

    async fn namespace_ends(&self, namespace: &str) -> bool {
        self.turn(self.source.namespace_ends(namespace)).await
    }
}

/// When a value expires, if it is a token of Argo CD that does.
fn expiry(value: &SecretBytes) -> Option<i64> {
    let text = std::str::from_utf8(value.expose()).ok()?;
    let token = Token::read(text.trim()).ok()?;
    let claims = token.claims().filter(|claims| claims.issued_by_argocd())?;
    match claims.expiry() {
        // As far as a number of seconds goes; beyond it the result is the last or the first that there is.
        Date::At(seconds) => Some(seconds as i64),
        Date::None | Date::Other => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
