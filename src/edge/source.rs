//! Where facts come from: one trait, and what a read can come to.

use std::collections::BTreeMap;
use std::future::Future;

use crate::policy::facts::Unread;
use crate::runtime::secret_bytes::SecretBytes;

/// What reading a Secret came to.
#[derive(Debug)]
pub enum SecretRead {
    /// It does not exist.
    Missing,
    /// It could not be read.
    Unread(Unread),
    /// It exists; the wanted keys that it has.
    Found(BTreeMap<String, SecretBytes>),
}

/// What reading a ConfigMap came to.
#[derive(Debug)]
pub enum ConfigMapRead {
    /// It does not exist.
    Missing,
    /// It could not be read.
    Unread(Unread),
    /// It exists, with this data.
    Found(BTreeMap<String, String>),
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

    /// Reads one ConfigMap.
    fn config_map(&self, namespace: &str, name: &str)
    -> impl Future<Output = ConfigMapRead> + Send;

    /// Whether the cluster answers.
    ///
    /// # Errors
    /// When it does not: why, in one line.
    fn answers(&self) -> impl Future<Output = Result<(), String>> + Send;
}
