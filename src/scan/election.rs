//! One of several replicas scans: the one that holds a Lease.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use serde_json::json;
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use zeroize::Zeroizing;

use crate::sources::cluster::Cluster;
use keyguard_core::policy::facts::Unread;
use keyguard_core::policy::plan::is_object_name;

/// How long a holder that says nothing keeps the Lease.
const DURATION: Duration = Duration::from_secs(30);
/// From one renewal to the next, and from one look at another's Lease to the next.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long a holder goes on that could not renew; less than `DURATION`, so that two never scan at once.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long the API server may take to answer.
const CALL: Duration = Duration::from_secs(5);

/// What is wrong with `--lease`.
#[derive(Debug, Error)]
#[error("--lease {0:?}: must be NAMESPACE/NAME, each a name that an object can have")]
pub struct LeaseNameError(String);

/// A Lease that replicas hold in turns.
pub struct Election {
    cluster: Cluster,
    collection: String,
    name: String,
    /// What this replica is called in it.
    identity: String,
    seen: Option<Seen>,
}

/// Another's Lease as it was seen first: its own clock does not count.
struct Seen {
    holder: String,
    renewed: String,
    at: Instant,
}

/// What is to be done about a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It is this replica's, or nobody's.
    Take,
    /// Another holds it.
    Wait,
}

impl Election {
    /// By the Lease that `typed` names, as `identity`.
    ///
    /// # Errors
    /// When it names none.
    pub fn new(
        cluster: &Cluster,
        typed: &str,
        identity: String,
    ) -> Result<Election, LeaseNameError> {
        let named = typed.split_once('/');
        let named =
            named.filter(|(namespace, name)| is_object_name(namespace) && is_object_name(name));
        let (namespace, name) = named.ok_or_else(|| LeaseNameError(typed.to_owned()))?;
        Ok(Election {
            cluster: cluster.clone(),
            collection: format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"),
            name: name.to_owned(),
            identity,
            seen: None,
        })
    }

    /// Returns once this replica holds the Lease; calls `stands_by` whenever another does.
    pub async fn acquire(&mut self, stands_by: impl Fn()) {
        let mut told = None;
        loop {
            match self.attempt().await {
                Ok(true) => return,
                Ok(false) => {
                    stands_by();
                    told = None;
                }
                Err(unread) => {
                    let why = self.why(&unread);
                    if told.as_ref() != Some(&why) {
                        tracing::error!(reason = why, "the Lease cannot be taken");
                        told = Some(why);
                    }
                }
            }
            sleep(INTERVAL).await;
        }
    }

    /// Renews the Lease for as long as that succeeds; returns when another replica may hold it.
    pub async fn renew(&mut self) {
        let mut renewed = Instant::now();
        loop {
            sleep(INTERVAL).await;
            let begun = Instant::now();
            match timeout_at(renewed + DEADLINE, self.attempt()).await {
                Ok(Ok(true)) => renewed = begun,
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(unread)) => {
                    let reason = self.why(&unread);
                    tracing::warn!(reason, "the Lease could not be renewed");
                }
            }
        }
    }

    /// Gives the Lease up, so that another replica need not wait.
    pub async fn release(&mut self) {
        let Ok(Some(lease)) = self.read().await else {
            return;
        };
        if holder(&lease) == self.identity {
            // It ends by itself when it cannot be given up.
            let _ = self.write(&lease, "").await;
        }
    }

    /// Takes or renews the Lease if it can be; whether this replica holds it.
    async fn attempt(&mut self) -> Result<bool, Unread> {
        let Some(lease) = self.read().await? else {
            return self.create().await;
        };
        let (holder, renewed) = (holder(&lease).to_owned(), renewed(&lease));
        let known = self.seen.as_ref();
        if known.is_none_or(|seen| seen.holder != holder || seen.renewed != renewed) {
            self.seen = Some(Seen {
                holder: holder.clone(),
                renewed,
                at: Instant::now(),
            });
        }
        let silent = self
            .seen
            .as_ref()
            .map_or(Duration::ZERO, |seen| seen.at.elapsed());
        match step(&holder, &self.identity, silent) {
            Step::Wait => Ok(false),
            Step::Take => {
                let identity = self.identity.clone();
                self.write(&lease, &identity).await
            }
        }
    }

    async fn read(&self) -> Result<Option<Lease>, Unread> {
        let path = format!("{}/{}", self.collection, self.name);
        let read = timeout(CALL, self.cluster.get(&path)).await;
        let read = read.unwrap_or(Err(Unread::Timeout))?;
        read.map(|json| serde_json::from_slice(&json).map_err(|_| Unread::Garbled))
            .transpose()
    }

    async fn create(&self) -> Result<bool, Unread> {
        let now = now();
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name},
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": DURATION.as_secs(),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        });
        let json = Zeroizing::new(lease.to_string().into_bytes());
        let created = timeout(CALL, self.cluster.create(&self.collection, json)).await;
        created.unwrap_or(Err(Unread::Timeout))
    }

    /// Writes the Lease as it is to be, if it is still as it was read.
    async fn write(&self, lease: &Lease, holder_identity: &str) -> Result<bool, Unread> {
        let now = now();
        let spec = lease.spec.as_ref();
        let transitions = spec.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        let acquired = spec.and_then(|spec| spec.acquire_time.clone());
        let takes_over = holder(lease) != holder_identity && !holder_identity.is_empty();
        let (acquired, transitions) = match takes_over {
            true => (json!(now), transitions.saturating_add(1)),
            false => (json!(acquired), transitions),
        };
        let spec = json!({
            "holderIdentity": holder_identity,
            "leaseDurationSeconds": DURATION.as_secs(),
            "acquireTime": acquired,
            "renewTime": now,
            "leaseTransitions": transitions,
        });
        let version = &lease.metadata.resource_version;
        let patch = json!({"metadata": {"resourceVersion": version}, "spec": spec});
        let json = Zeroizing::new(patch.to_string().into_bytes());
        let path = format!("{}/{}", self.collection, self.name);
        let written = timeout(CALL, self.cluster.patch(&path, json)).await;
        written.unwrap_or(Err(Unread::Timeout))
    }

    fn why(&self, unread: &Unread) -> String {
        match unread {
            Unread::Forbidden => format!(
                "keyguard's account needs the right to get, create and patch the Lease {:?} of --lease",
                self.name
            ),
            Unread::Status(404) => "the namespace of --lease does not exist".to_owned(),
            unread => unread.what(),
        }
    }
}

fn now() -> String {
    humantime::format_rfc3339_micros(std::time::SystemTime::now()).to_string()
}

fn holder(lease: &Lease) -> &str {
    let spec = lease.spec.as_ref();
    spec.and_then(|spec| spec.holder_identity.as_deref())
        .unwrap_or_default()
}

fn renewed(lease: &Lease) -> String {
    let spec = lease.spec.as_ref();
    spec.and_then(|spec| spec.renew_time.as_ref())
        .map(|time| time.0.to_string())
        .unwrap_or_default()
}

/// What to do about a Lease of `holder` that did not change for the time `silent`.
fn step(holder: &str, me: &str, silent: Duration) -> Step {
    match holder.is_empty() || holder == me || silent >= DURATION {
        true => Step::Take,
        false => Step::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_taken_when_it_is_nobodys_or_its_holder_is_silent() {
        let short = DURATION - Duration::from_secs(1);
        for (holder, silent, expected) in [
            ("", Duration::ZERO, Step::Take),
            ("me", Duration::ZERO, Step::Take),
            ("me", DURATION, Step::Take),
            ("other", Duration::ZERO, Step::Wait),
            ("other", short, Step::Wait),
            ("other", DURATION, Step::Take),
        ] {
            assert_eq!(step(holder, "me", silent), expected, "{holder} {silent:?}");
        }
        assert!(DEADLINE + INTERVAL < DURATION);
    }
}
