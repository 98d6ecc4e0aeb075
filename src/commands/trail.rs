//! The audit trail of `keyguard serve`: into a store of its own, or to a collector. Nothing of it keeps reviews from being
//! answered: what cannot be opened is tried again while records wait.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keyguard_audit::note::SigningKey;
use keyguard_audit::retention::Retention;
use keyguard_audit::store::Store;
use keyguard_audit::writer::Writer;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::cli::AuditTrail;
use crate::collector::client::Target;
use crate::collector::keys::fingerprint_key;
use crate::collector::sender::{Sending, Spooling};
use crate::collector::spool::Spool;
use crate::commands::CommandError;
use crate::commands::audited::{
    beside, cluster_name, failed, https, no_key, outlive_limits, retention, said, unreadable,
};
use crate::telemetry::audit_store::{Keeper, Retaining};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::trail::{Handed, Numbers, Shared, Trail};
use keyguard_core::fingerprint::FingerprintKey;

/// How long the end of the program waits for records to be stored.
const LAST_WRITE: Duration = Duration::from_secs(5);
/// From one try to open what records go to, to the next.
const RETRY: Duration = Duration::from_secs(1);
/// From one look for the key of fingerprints to the next.
const LOOK: Duration = Duration::from_secs(1);

/// What brings records to where they are kept.
pub(crate) struct Keeping {
    /// Ends once nobody hands over any more and all of it is in the store or the spool.
    written: JoinHandle<()>,
    /// What is sent by a collector's senders.
    spool: Option<Arc<Spool>>,
    /// What runs until the program ends.
    _beside: JoinSet<()>,
}

impl Keeping {
    /// Waits until all that was handed over is stored, which is once nobody hands over any more.
    pub(crate) async fn end(self) {
        let stored = async {
            let _ = self.written.await;
            while self.spool.as_ref().is_some_and(|spool| spool.bytes() > 0) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(LAST_WRITE, stored).await.is_err() {
            tracing::warn!("the end does not wait any longer for records to be stored");
        }
    }
}

/// The trail of a server that keeps records, and the task that brings them where they are kept.
///
/// # Errors
/// When what was typed makes no sense.
pub(crate) fn trail(
    arguments: &AuditTrail,
    metrics: &Arc<Metrics>,
) -> Result<Option<(Trail, Keeping)>, CommandError> {
    let cluster = cluster_name(&arguments.audit_cluster, "--audit-cluster")?;
    outlive_limits();
    let (numbers, to) = match (&arguments.audit_store, &arguments.audit_server) {
        (Some(address), _) => {
            let file = beside(address).ok_or_else(|| {
                said("--audit-store: serve keeps records in sqlite:FILE, which belongs to one replica")
            })?;
            let key = arguments.audit_key.clone();
            let opening = Opening {
                address: address.clone(),
                key: key.unwrap_or_else(|| file.with_extension("key")),
                cluster: cluster.clone(),
                keep: retention(&arguments.retention),
            };
            (file.with_extension("number"), To::Store(opening))
        }
        (None, Some(server)) => {
            let given = |file: &Option<PathBuf>| file.clone().unwrap_or_default();
            let spool = given(&arguments.audit_spool);
            let target = Target {
                server: https(server)?,
                ca: given(&arguments.audit_ca),
                token: given(&arguments.audit_token_file),
            };
            let key = arguments.audit_fingerprint_key.clone();
            let most_bytes = arguments.audit_spool_mib << 20;
            let opened = Spool::open(&spool, most_bytes).unwrap_or_else(|error| {
                tracing::error!(
                    path = %spool.display(),
                    reason = %error,
                    "the audit spool cannot be opened; records wait in memory, and a restart would lose them"
                );
                Spool::empty(&spool, most_bytes)
            });
            (
                spool.join("number"),
                To::Collector(Arc::new(opened), target, key),
            )
        }
        (None, None) => return Ok(None),
    };
    let replica = std::env::var("HOSTNAME").unwrap_or_else(|_| "keyguard".to_owned());
    let (trail, handed) = Trail::new(cluster, replica, counted(&numbers), Arc::clone(metrics));
    let keeping = match to {
        To::Store(opening) => Keeping {
            written: tokio::spawn(opening.keep(handed, Arc::clone(metrics))),
            spool: None,
            _beside: JoinSet::new(),
        },
        To::Collector(spool, target, key) => to_collector(spool, target, key, handed, metrics),
    };
    Ok(Some((trail, keeping)))
}

/// Where records go.
enum To {
    Store(Opening),
    Collector(Arc<Spool>, Target, Option<PathBuf>),
}

/// The running number; without its file, records have none, and gaps do not show.
fn counted(file: &Path) -> Option<Numbers> {
    let numbers = Numbers::open(file);
    numbers
        .inspect_err(|error| {
            tracing::error!(
                path = %file.display(),
                reason = %error,
                "the running number cannot be kept; records have none until the next start, and what is lost does not show"
            );
        })
        .ok()
}

fn to_collector(
    spool: Arc<Spool>,
    target: Target,
    key: Option<PathBuf>,
    handed: Handed,
    metrics: &Arc<Metrics>,
) -> Keeping {
    let shared = Arc::clone(&handed.shared);
    let spooling = Spooling {
        handed,
        spool: Arc::clone(&spool),
        metrics: Arc::clone(metrics),
    };
    let sending = Sending {
        spool: Arc::clone(&spool),
        target,
        shared: Arc::clone(&shared),
        metrics: Arc::clone(metrics),
    };
    let mut beside = JoinSet::new();
    beside.spawn(sending.run());
    if let Some(file) = key {
        beside.spawn(await_fingerprint_key(file, shared));
    }
    Keeping {
        written: tokio::spawn(spooling.run()),
        spool: Some(spool),
        _beside: beside,
    }
}

/// The kubelet brings the file once the collector has made the Secret.
async fn await_fingerprint_key(file: PathBuf, shared: Arc<Shared>) {
    loop {
        if let Some(key) = fingerprint_key(&file) {
            let key = FingerprintKey::derived_from(&key);
            shared.key.store(Some(Arc::new(key)));
            return tracing::info!("records have fingerprints from now on");
        }
        sleep(LOOK).await;
    }
}

/// A store of its own that is to be opened.
struct Opening {
    address: String,
    /// The file with the key that signs.
    key: PathBuf,
    cluster: String,
    keep: Retention,
}

impl Opening {
    /// Opens the store, and again while that fails; then writes into it until nobody hands over any more.
    async fn keep(self, handed: Handed, metrics: Arc<Metrics>) {
        let mut told = String::new();
        let writer = loop {
            match self.open(&handed.shared).await {
                Ok(writer) => break writer,
                Err(error) => {
                    let error = CommandError::chain(&error);
                    if error != told {
                        tracing::error!(
                            reason = error,
                            "the audit store cannot be opened; records wait in memory and it is tried again"
                        );
                        told = error;
                    }
                    sleep(RETRY).await;
                }
            }
        };
        if !told.is_empty() {
            tracing::info!("the audit store is open");
        }
        let keeper = Keeper {
            handed,
            writer,
            retaining: Retaining::new(self.keep),
            metrics,
        };
        keeper.run().await;
    }

    async fn open(&self, shared: &Shared) -> Result<Writer, CommandError> {
        let store = Store::open(&self.address).await.map_err(failed)?;
        let has_log = !store.logs().await.map_err(failed)?.is_empty();
        let pem = log_key(&self.key, has_log)?;
        let key = SigningKey::parse(&pem).map_err(|error| no_key(&self.key, error))?;
        shared
            .key
            .store(Some(Arc::new(FingerprintKey::derived_from(pem.as_bytes()))));
        let (cluster, id) = (self.cluster.clone(), Uuid::now_v7().to_string());
        Writer::new(store, key, cluster, id).await.map_err(failed)
    }
}

/// The key in a file, which is made when it is not there and no log was signed by it.
fn log_key(path: &Path, has_log: bool) -> Result<Zeroizing<String>, CommandError> {
    match fs::read_to_string(path) {
        Ok(pem) => Ok(Zeroizing::new(pem)),
        Err(error) if error.kind() == ErrorKind::NotFound && !has_log => make_key(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(said(&format!(
            "the store has a log, and the key that signs it is not at {}; restore it, or move the store away for a new one",
            path.display()
        ))),
        Err(error) => Err(unreadable(path)(error)),
    }
}

fn make_key(path: &Path) -> Result<Zeroizing<String>, CommandError> {
    let pem = SigningKey::generate().map_err(|error| no_key(path, error))?;
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let written: io::Result<()> = file.and_then(|mut file| {
        file.write_all(pem.as_bytes())?;
        file.sync_all()
    });
    written.map_err(unreadable(path))?;
    Ok(pem)
}
