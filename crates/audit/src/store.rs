//! The store: SQLite or PostgreSQL, by one schema.

use std::cmp::Ordering;
use std::str::FromStr as _;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection as _, Row as _};
use thiserror::Error;

use crate::merkle::{Hash, Tile};
use crate::note::NoteError;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// What cannot stand in the path of an address as it is.
const PATH: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ');
/// How long a statement waits for another program that writes to the same SQLite file.
const BUSY: Duration = Duration::from_secs(5);
/// How long opening the store may take.
const OPEN: Duration = Duration::from_secs(10);
/// The most connections.
const CONNECTIONS: u32 = 8;

/// The connections of a snapshot: one reads on while the other looks something up.
const SNAPSHOT_CONNECTIONS: u32 = 2;
/// How often a moment between two writes is looked for.
const MOMENTS: usize = 500;

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opened {
    ToWrite,
    ToRead,
    Snapshot,
}

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
    /// Its schema is of an earlier version.
    #[error(
        "the store has the schema of an earlier version of keyguard; keyguard serve brings it up to date"
    )]
    Older,
    /// Its schema cannot be made.
    #[error("the schema of the store cannot be brought up to date")]
    Migrate(#[source] MigrateError),
    /// What it holds makes no sense.
    #[error("the store is damaged: {0}; keyguard audit verify tells more")]
    Damaged(String),
    /// The log has no room for an entry of that length.
    #[error("an entry of the log has at most {} bytes", crate::entry::MOST_BYTES)]
    TooLong,
    /// There is no log in it, and nothing says that there was.
    #[error(
        "the store has no log: nothing was ever written to it, or all of it was removed, which a checkpoint or the API server's audit log would tell"
    )]
    Nothing,
    /// It grew while it was read.
    #[error("the store was written to meanwhile; verify a copy of it, or when nobody writes")]
    Growing,
    /// Another program writes to it.
    #[error(
        "another keyguard writes to this store since; only one may: end the other one, and start this one again"
    )]
    TakenOver,
    /// A checkpoint cannot be read.
    #[error("a checkpoint of the store cannot be read")]
    Checkpoint(#[from] NoteError),
}

/// Where records are kept.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: AnyPool,
    /// Whether it is SQLite.
    pub(crate) is_file: bool,
}

impl Store {
    /// Opens the store at `sqlite:FILE` or `postgres://…` to write to it, makes it when it is not there, and brings its
    /// schema up to date.
    ///
    /// # Errors
    /// When it cannot be opened, or a later version has written it.
    pub async fn open(address: &str) -> Result<Store, StoreError> {
        let (store, migrations) = Store::connect(address, Opened::ToWrite).await?;
        match migrations.run(&store.pool).await {
            Ok(()) => Ok(store),
            Err(MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..)) => {
                Err(StoreError::Newer)
            }
            Err(error) => Err(StoreError::Migrate(error)),
        }
    }

    /// Opens a store that is there, and changes nothing in it.
    ///
    /// # Errors
    /// When it cannot be opened, or another version has written it.
    pub async fn open_to_read(address: &str) -> Result<Store, StoreError> {
        Store::open_known(address, Opened::ToRead).await
    }

    /// The same as it is at this moment, whatever is written to it meanwhile.
    ///
    /// # Errors
    /// When it cannot be opened, another version has written it, or no moment is found between two writes.
    pub async fn open_snapshot(address: &str) -> Result<Store, StoreError> {
        let store = Store::open_known(address, Opened::Snapshot).await?;
        let mut connections = Vec::new();
        for _ in 0..SNAPSHOT_CONNECTIONS {
            connections.push(store.pool.acquire().await?);
        }
        for _ in 0..MOMENTS {
            // Each has begun a transaction of its own: they see the same when they see the same checkpoints.
            let mut seen = Vec::new();
            for connection in &mut connections {
                begin(connection, store.is_file).await?;
            }
            for connection in &mut connections {
                let notes = sqlx::query("SELECT note FROM checkpoints ORDER BY week");
                let notes = notes.fetch_all(&mut **connection).await?;
                let notes = notes.iter().map(|row| row.try_get::<String, _>("note"));
                seen.push(notes.collect::<Result<Vec<_>, _>>()?);
            }
            if seen.windows(2).all(|pair| pair.first() == pair.last()) {
                drop(connections);
                return Ok(store);
            }
            for connection in &mut connections {
                sqlx::query("ROLLBACK").execute(&mut **connection).await?;
            }
        }
        Err(StoreError::Growing)
    }

    async fn open_known(address: &str, opened: Opened) -> Result<Store, StoreError> {
        let (store, migrations) = Store::connect(address, opened).await?;
        let last = sqlx::query("SELECT MAX(version) AS version FROM _sqlx_migrations");
        let last = last.fetch_one(&store.pool).await?;
        let last: Option<i64> = last.try_get("version")?;
        let known = migrations.iter().map(|migration| migration.version).max();
        match last.cmp(&known) {
            Ordering::Equal => Ok(store),
            Ordering::Greater => Err(StoreError::Newer),
            Ordering::Less => Err(StoreError::Older),
        }
    }

    /// An empty store in memory, to compare with.
    pub(crate) async fn in_memory() -> Result<Store, StoreError> {
        install_default_drivers();
        // Each connection would have another.
        let pool = AnyPoolOptions::new().max_connections(1);
        let pool = pool.connect("sqlite::memory:").await?;
        SQLITE.run(&pool).await.map_err(StoreError::Migrate)?;
        Ok(Store {
            pool,
            is_file: true,
        })
    }

    /// The statements by which a PostgreSQL store is made.
    pub(crate) fn postgres_migrations() -> impl Iterator<Item = &'static str> {
        POSTGRES.iter().map(|migration| migration.sql.as_str())
    }

    async fn connect(
        address: &str,
        opened: Opened,
    ) -> Result<(Store, &'static Migrator), StoreError> {
        install_default_drivers();
        let mode = match opened {
            Opened::ToWrite => "rwc",
            Opened::ToRead | Opened::Snapshot => "ro",
        };
        let (address, migrations, is_file) = match address.split_once(':') {
            // In memory each connection would have a store of its own.
            Some(("sqlite", file)) if !file.contains(":memory:") && !file.is_empty() => {
                let file = file.strip_prefix("//").unwrap_or(file);
                let file = utf8_percent_encode(file, PATH);
                (format!("sqlite:{file}?mode={mode}"), &SQLITE, true)
            }
            Some(("postgres" | "postgresql", _)) => (address.to_owned(), &POSTGRES, false),
            _ => return Err(StoreError::Address),
        };
        let options = AnyConnectOptions::from_str(&address).map_err(|_| StoreError::Address)?;
        // A pool would try again until its time is over, and then say nothing of why.
        let mut first = AnyConnection::connect_with(&options).await?;
        prepare(&mut first, is_file, opened).await?;
        first.close().await?;
        let connections = match opened {
            Opened::Snapshot => SNAPSHOT_CONNECTIONS,
            Opened::ToRead | Opened::ToWrite => CONNECTIONS,
        };
        let pool = AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(OPEN)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(move |connection, _| Box::pin(prepare(connection, is_file, opened)))
            .connect_with(options)
            .await?;
        Ok((Store { pool, is_file }, migrations))
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Takes an error that says that a value has another type than its column: a sign of tampering, which the caller names.
///
/// # Errors
/// Every other one.
pub(crate) fn damage(error: sqlx::Error) -> Result<(), StoreError> {
    match error {
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::AnyDriverError(_) => Ok(()),
        error => Err(error.into()),
    }
}

/// Makes a connection to a file what the store needs.
async fn prepare(
    connection: &mut AnyConnection,
    is_file: bool,
    opened: Opened,
) -> Result<(), sqlx::Error> {
    let busy = format!("PRAGMA busy_timeout = {}", BUSY.as_millis());
    // Each commit is on disk before it is acknowledged, and readers wait for nobody.
    let lasting = ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"];
    let lasting = lasting.into_iter();
    let lasting = lasting.filter(|_| opened == Opened::ToWrite);
    // A container has no folder for temporary files that it may write to.
    let settings = lasting.chain(["PRAGMA temp_store = MEMORY", busy.as_str()]);
    for setting in settings.filter(|_| is_file) {
        let setting = sqlx::query(AssertSqlSafe(setting.to_owned()));
        setting.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Begins a transaction that ends with the connection, and sees what is there at its first statement.
async fn begin(connection: &mut AnyConnection, is_file: bool) -> Result<(), sqlx::Error> {
    let begin = match is_file {
        true => "BEGIN",
        false => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    };
    for statement in [begin, "SELECT COUNT(*) FROM checkpoints"] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    Ok(())
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
