//! What the commands of the audit trail have in common.

use std::path::{Path, PathBuf};

use hyper::Uri;
use keyguard_audit::note::NoteError;
use keyguard_audit::retention::Retention;
use keyguard_audit::store::StoreError;
#[cfg(target_os = "linux")]
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::audit as cli;
use crate::commands::CommandError;

/// The file of an SQLite store.
pub(super) fn beside(address: &str) -> Option<PathBuf> {
    let file = address.strip_prefix("sqlite:")?;
    Some(PathBuf::from(file.strip_prefix("//").unwrap_or(file)))
}

/// The address of a store as others may see it: one in a database can hold a password.
pub(super) fn shown_name(address: &str) -> String {
    match address.starts_with("sqlite:") {
        true => address.to_owned(),
        false => "postgres://…".to_owned(),
    }
}

/// A name of a cluster, as an origin of a log can have it.
pub(super) fn cluster_name(name: &str, flag: &str) -> Result<String, CommandError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match name.is_empty() || name.len() > 63 || !name.bytes().all(allowed) {
        true => Err(said(&format!(
            "{flag}: at most 63 letters, digits, -, . and _"
        ))),
        false => Ok(name.to_owned()),
    }
}

/// An address of a collector.
pub(super) fn https(server: &Uri) -> Result<Uri, CommandError> {
    match (server.scheme_str(), server.host()) {
        (Some("https"), Some(_)) => Ok(server.clone()),
        _ => Err(said(
            "the address of the collector begins with https:// and names a host",
        )),
    }
}

/// A file that reaches the limit of the process is a write that fails, as on a full disk: without a handler it would be the
/// end of the process.
pub(super) fn outlive_limits() {
    #[cfg(target_os = "linux")]
    {
        let kind = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
        // Nobody waits for it: the handler is enough, and stays.
        let _ = signal(kind);
    }
}

/// How much is kept, as it was typed.
pub(super) fn retention(typed: &cli::Retention) -> Retention {
    Retention {
        milliseconds: typed
            .keep
            .map(|keep| i64::try_from(keep.as_millis()).unwrap_or(i64::MAX)),
        bytes: typed.max_mib.map(|mib| mib << 20),
    }
}

pub(super) fn said(what: &str) -> CommandError {
    CommandError::Said(what.to_owned())
}

pub(super) fn failed(error: StoreError) -> CommandError {
    CommandError::Failed("--audit-store or --store".to_owned(), error.into())
}

pub(super) fn no_key(path: &Path, error: NoteError) -> CommandError {
    CommandError::Failed(format!("{}", path.display()), error.into())
}

pub(super) fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> CommandError + use<> {
    let what = format!("{} cannot be used", path.display());
    move |error| CommandError::Failed(what, error.into())
}

/// What runs for ever, if it runs at all.
pub(super) async fn if_any(task: Option<impl Future<Output = ()>>) {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}
