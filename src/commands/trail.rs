//! The audit trail of `keyguard serve`.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keyguard_audit::note::SigningKey;
use keyguard_audit::store::Store;
use keyguard_audit::writer::Writer;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::cli::Serve;
use crate::commands::CommandError;
use crate::commands::audit::{beside, failed, no_key, said, unreadable};
use crate::telemetry::audit_store::Keeper;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::trail::{Numbers, Trail};
use keyguard_core::fingerprint::FingerprintKey;

/// How long the end of the program waits for records to be stored.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// The task that writes records.
pub(crate) struct Keeping(JoinHandle<()>);

impl Keeping {
    /// Waits until all that was handed over is written, which is once nobody hands over any more.
    pub(crate) async fn end(self) {
        if timeout(LAST_WRITE, self.0).await.is_err() {
            tracing::warn!("the end does not wait any longer for records to be stored");
        }
    }
}

/// The trail of a server that keeps records, and the task that writes them.
///
/// # Errors
/// When the store, its key or the file with its number cannot be used.
pub(crate) async fn trail(
    arguments: &Serve,
    metrics: &Arc<Metrics>,
) -> Result<Option<(Trail, Keeping)>, CommandError> {
    let Some(address) = &arguments.audit_store else {
        return Ok(None);
    };
    let cluster = arguments.audit_cluster.clone();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if cluster.is_empty() || cluster.len() > 63 || !cluster.bytes().all(allowed) {
        return Err(said(
            "--audit-cluster: at most 63 letters, digits, -, . and _",
        ));
    }
    let beside = beside(address).ok_or_else(|| {
        said("--audit-store: serve keeps records in sqlite:FILE, which belongs to one replica")
    })?;
    let path = arguments
        .audit_key
        .clone()
        .unwrap_or_else(|| beside.with_extension("key"));
    let pem = match fs::read_to_string(&path) {
        Ok(pem) => Zeroizing::new(pem),
        Err(error) if error.kind() == ErrorKind::NotFound => make_key(&path)?,
        Err(error) => return Err(unreadable(&path)(error)),
    };
    let key = SigningKey::parse(&pem).map_err(|error| no_key(&path, error))?;
    let numbers = beside.with_extension("number");
    let numbers = Numbers::open(&numbers).map_err(unreadable(&numbers))?;
    let store = Store::open(address).await.map_err(failed)?;
    let writer = Writer::new(store, key, cluster.clone(), Uuid::now_v7().to_string());
    let replica = std::env::var("HOSTNAME").unwrap_or_else(|_| "keyguard".to_owned());
    let fingerprints = FingerprintKey::derived_from(pem.as_bytes());
    let metrics = Arc::clone(metrics);
    let writer = writer.await.map_err(failed)?;
    let (trail, handed) = Trail::new(
        cluster,
        replica,
        numbers,
        fingerprints,
        Arc::clone(&metrics),
    );
    let keeper = Keeper {
        handed,
        writer,
        metrics,
    };
    Ok(Some((trail, Keeping(tokio::spawn(keeper.run())))))
}

fn make_key(path: &Path) -> Result<Zeroizing<String>, CommandError> {
    let pem = SigningKey::generate().map_err(|error| no_key(path, error))?;
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(pem.as_bytes())?;
        file.sync_all()
    });
    written.map_err(unreadable(path))?;
    Ok(pem)
}
