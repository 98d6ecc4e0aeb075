//! The store: SQLite or PostgreSQL, by one schema.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::AnyPool;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::migrate::{MigrateError, Migrator};
use thiserror::Error;

use crate::merkle::{Hash, Tile};
use crate::note::NoteError;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// How long a statement waits for another program that writes to the same SQLite file.
const BUSY: Duration = Duration::from_secs(5);
/// How long opening the store may take.
const OPEN: Duration = Duration::from_secs(10);
/// The most connections.
const CONNECTIONS: u32 = 8;

/// Why the store cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The address is none.
    #[error("a store is sqlite:FILE or postgres://USER@HOST/DATABASE")]
    Address,
    /// It says no.
    #[error("the store does not answer")]
    Sql(#[from] sqlx::Error),
    /// Its schema is of another version.
    #[error(
        "the store has a schema that this version of keyguard does not know; use the version that wrote it, or a later one"
    )]
    Newer,
    /// Its schema cannot be made.
    #[error("the schema of the store cannot be brought up to date")]
    Migrate(#[source] MigrateError),
    /// What it holds makes no sense.
    #[error("the store is damaged: {0}; keyguard audit verify tells more")]
    Damaged(String),
    /// Another program writes to it.
    #[error("another keyguard writes to this store since; only one may")]
    TakenOver,
    /// A checkpoint cannot be read.
    #[error("a checkpoint of the store cannot be read")]
    Checkpoint(#[from] NoteError),
}

/// Where records are kept.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: AnyPool,
}

impl Store {
    /// Opens the store at `sqlite:FILE` or `postgres://…`, makes it when it is not there and `make`, and brings its schema
    /// up to date.
    ///
    /// # Errors
    /// When it cannot be opened, or a later version has written it.
    pub async fn open(address: &str, make: bool) -> Result<Store, StoreError> {
        install_default_drivers();
        let (address, migrations, is_file) = match address.split_once(':') {
            Some(("sqlite", file)) => {
                let file = file.trim_start_matches("//");
                let mode = match make {
                    true => "rwc",
                    false => "rw",
                };
                (format!("sqlite:{file}?mode={mode}"), &SQLITE, true)
            }
            Some(("postgres" | "postgresql", _)) => (address.to_owned(), &POSTGRES, false),
            _ => return Err(StoreError::Address),
        };
        let options = AnyConnectOptions::from_str(&address).map_err(|_| StoreError::Address)?;
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(OPEN)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if is_file {
                        // Each commit is on disk before it is acknowledged, and readers wait for nobody.
                        let busy = format!("PRAGMA busy_timeout = {}", BUSY.as_millis());
                        let settings = ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"];
                        for setting in settings.into_iter().chain([busy.as_str()]) {
                            sqlx::query(sqlx::AssertSqlSafe(setting.to_owned()))
                                .execute(&mut *connection)
                                .await?;
                        }
                    }
                    Ok(())
                })
            })
            .connect_with(options)
            .await?;
        match migrations.run(&pool).await {
            Ok(()) => Ok(Store { pool }),
            Err(MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..)) => {
                Err(StoreError::Newer)
            }
            Err(error) => Err(StoreError::Migrate(error)),
        }
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// A tile's hashes side by side, as they are stored and served.
pub(crate) fn packed(tile: &Tile) -> Vec<u8> {
    tile.hashes.concat()
}

/// The hashes of a stored tile; `None` when they are not whole.
pub(crate) fn unpacked(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| hashes.to_vec())
}
