//! Where facts come from: one trait, and what a read can come to.

use std::collections::BTreeMap;
use std::future::Future;

use keyguard_core::policy::facts::Unread;
use keyguard_core::runtime::secret_bytes::SecretBytes;
use keyguard_core::runtime::user::User;
use keyguard_core::runtime::workload::WorkloadKind;

/// What reading an object came to.
#[derive(Debug)]
pub enum Read<T> {
    /// It does not exist.
    Missing,
    /// It could not be read.
    Unread(Unread),
    /// It exists.
    Found(T),
}

/// What reading a Secret came to: the wanted keys that it has.
pub type SecretRead = Read<BTreeMap<String, SecretBytes>>;

/// What reading a ConfigMap came to.
pub type ConfigMapRead = Read<ConfigMap>;

impl<T> Read<T> {
    /// What `decode` makes of an object, if there is one.
    pub(crate) fn of<O>(
        object: Result<Option<O>, Unread>,
        decode: impl FnOnce(O) -> Read<T>,
    ) -> Read<T> {
        match object {
            Ok(None) => Read::Missing,
            Ok(Some(object)) => decode(object),
            Err(unread) => Read::Unread(unread),
        }
    }

    /// What is there, if anything is.
    ///
    /// # Errors
    /// When it could not be read.
    pub(crate) fn found(self) -> Result<Option<T>, Unread> {
        match self {
            Read::Missing => Ok(None),
            Read::Unread(unread) => Err(unread),
            Read::Found(found) => Ok(Some(found)),
        }
    }
}

/// A ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigMap {
    /// Its data.
    pub data: BTreeMap<String, String>,
    /// Whether it carries the label by which Argo CD finds its own.
    pub labelled: bool,
}

/// How much is looked through for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Workloads of all kinds together.
    pub workloads: usize,
    /// Their bytes, as the API server sends them.
    pub bytes: usize,
}

/// What looking through workloads came to.
#[derive(Debug)]
pub struct WorkloadsRead {
    /// Those that refer to a credential and are not being deleted.
    pub users: Vec<User>,
    /// The kind that could not be looked through to its end, and why; then there may be other users.
    pub unread: Option<(WorkloadKind, Unread)>,
}

/// Something that the cluster's objects can be read from, afresh each time.
pub trait Source: Send + Sync + 'static {
    /// Reads `keys` of one Secret. Not knowing is an answer, so it never fails.
    fn secret(
        &self,
        namespace: &str,
        name: &str,
        keys: &[&str],
    ) -> impl Future<Output = SecretRead> + Send;

    /// Reads the keys of `argocd-secret` that are `wanted`, whichever it has. One that Argo CD takes for the description
    /// of a cluster is missing.
    fn argocd_secret(
        &self,
        namespace: &str,
        wanted: fn(&str) -> bool,
    ) -> impl Future<Output = SecretRead> + Send;

    /// Reads one ConfigMap.
    fn config_map(&self, namespace: &str, name: &str)
    -> impl Future<Output = ConfigMapRead> + Send;

    /// Looks through the workloads of one namespace, or of all, up to a bound.
    fn workloads(
        &self,
        namespace: Option<&str>,
        bound: Bound,
    ) -> impl Future<Output = WorkloadsRead> + Send;

    /// Whether a namespace is known to be on its way out.
    fn namespace_ends(&self, namespace: &str) -> impl Future<Output = bool> + Send;
}

/// Whether what keyguard depends on is there.
pub trait Readiness: Send + Sync + 'static {
    /// Asks the cluster something cheap.
    ///
    /// # Errors
    /// When it does not answer: why and what to do, in one line without any secret.
    fn answers(&self) -> impl Future<Output = Result<(), String>> + Send;
}
