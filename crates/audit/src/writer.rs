//! The one that writes: records, tiles, checkpoint and counts in one transaction.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, Connection as _, Row as _, Transaction};

use keyguard_core::record::Record;

use crate::counts::{Hours, count};
use crate::entry::{Columns, MOST_BYTES, Mark};
use crate::merkle::{Edge, Hash, Tile, leaf};
use crate::note::{Checkpoint, SigningKey, VerifyingKey};
use crate::rows::{Row, add_hours, insert, known, put};
use crate::store::{Store, StoreError, packed, unpacked};
use crate::week::{Place, Week};

/// The most records of one transaction.
pub const MOST_RECORDS: usize = 1_000;

/// Writes to a store. There is one at a time: it stops when another has begun.
pub struct Writer {
    pub(crate) store: Store,
    key: SigningKey,
    cluster: String,
    id: String,
    pub(crate) log: Option<Log>,
    /// Whether a write has begun and not ended well: what became of it says the store alone.
    is_unsure: bool,
}

/// The log of a week as it grows.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) week: Week,
    pub(crate) edge: Edge,
}

impl Log {
    /// Where the next entry goes.
    pub(crate) fn end(&self) -> Place {
        Place {
            week: self.week,
            index: self.edge.size(),
        }
    }
}

/// The last checkpoint, for those who cannot read the store. As text it is what the API server's audit log gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The log, by [`VerifyingKey::log_name`].
    pub log: String,
    /// How many entries the log has.
    pub size: u64,
    /// The root of its tree.
    pub root: Hash,
}

impl fmt::Display for Head {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Head { log, size, root } = self;
        write!(formatter, "{log} {size} {}", STANDARD.encode(root))
    }
}

/// The origin of the log of a week: the name that its checkpoints and its key have.
pub fn origin(cluster: &str, week: Week) -> String {
    format!("keyguard/{cluster}/{week}")
}

impl Writer {
    /// Begins to write to `store` for a cluster of this name; `id` is unique to this writer.
    ///
    /// # Errors
    /// When the store does not answer, or its log is damaged.
    pub async fn new(
        store: Store,
        key: SigningKey,
        cluster: String,
        id: String,
    ) -> Result<Writer, StoreError> {
        let mut writer = Writer {
            store,
            key,
            cluster,
            id,
            log: None,
            is_unsure: false,
        };
        // One who cannot go on with the log must not stop the one that does.
        let mut connection = writer.connection().await?;
        writer.last_log(&mut connection).await?;
        let claim = "INSERT INTO writer (one, id) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET id = excluded.id";
        let claim = sqlx::query(claim).bind(&writer.id);
        claim.execute(&mut *connection).await?;
        writer.log = writer.last_log(&mut connection).await?;
        Ok(writer)
    }

    /// The key by which its checkpoints are verified.
    pub fn verifying_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// What the log came to, if it has begun.
    pub fn head(&self) -> Option<Head> {
        let name = |week| self.verifying_key().log_name(&origin(&self.cluster, week));
        self.log.as_ref().map(|log| Head {
            log: name(log.week),
            size: log.edge.size(),
            root: log.edge.root(),
        })
    }

    async fn last_log(&self, store: &mut AnyConnection) -> Result<Option<Log>, StoreError> {
        let last = "SELECT week, note FROM checkpoints ORDER BY week DESC LIMIT 1";
        let Some(row) = sqlx::query(last).fetch_optional(&mut *store).await? else {
            return Ok(None);
        };
        let number: i64 = row.try_get("week")?;
        let note: String = row.try_get("note")?;
        let damaged = |what: &str| StoreError::Damaged(what.to_owned());
        let week = Week::numbered(number).ok_or_else(|| damaged("a week has no number"))?;
        let key = self.key.verifying_key();
        let checkpoint = Checkpoint::verify(&note, &origin(&self.cluster, week), &key)?;
        let mut tiles: BTreeMap<(u32, u64), Vec<Hash>> = BTreeMap::new();
        // Only those at the edge, of which each level has one.
        let (mut level, mut count) = (0_u32, checkpoint.size);
        while count > 0 {
            let place = count / crate::merkle::TILE_WIDTH;
            let tile = "SELECT hashes FROM tiles WHERE week = $1 AND level = $2 AND place = $3";
            let row = sqlx::query(tile)
                .bind(number)
                .bind(i64::from(level))
                .bind(i64::try_from(place).unwrap_or(i64::MAX))
                .fetch_optional(&mut *store)
                .await?;
            if let Some(row) = row {
                let hashes = unpacked(&row.try_get::<Vec<u8>, _>("hashes")?);
                tiles.insert((level, place), hashes.unwrap_or_default());
            }
            (level, count) = (level + 1, place);
        }
        let edge = Edge::of(checkpoint.size, |level, place| {
            tiles.remove(&(level, place))
        });
        let edge = edge.ok_or_else(|| damaged("tiles at the edge of the log are missing"))?;
        match edge.root() == checkpoint.root {
            true => Ok(Some(Log { week, edge })),
            false => Err(damaged("the tiles do not fit the checkpoint")),
        }
    }

    /// Writes records, of which those that are there already change nothing, and returns how many are new. `now` is in
    /// milliseconds since 1970. All of it is written, or nothing.
    ///
    /// # Errors
    /// When the store does not answer, or another writes to it.
    pub async fn append(&mut self, records: &[Record], now: i64) -> Result<usize, StoreError> {
        let mut connection = self.connection().await?;
        let appended = self.append_by(&mut connection, records, now).await;
        self.done(connection, appended).await
    }

    /// A connection for one write.
    pub(crate) async fn connection(&self) -> Result<PoolConnection<Any>, StoreError> {
        Ok(self.store.pool.acquire().await?)
    }

    /// Gives it back, unless the write failed.
    pub(crate) async fn done<T>(
        &mut self,
        connection: PoolConnection<Any>,
        written: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if written.is_err() {
            self.is_unsure = true;
            // After a full disk SQLite has ended the transaction by itself, and the connection would take each further one
            // for a part of it that nobody commits.
            let _ = connection.close().await;
        }
        written
    }

    async fn append_by(
        &mut self,
        connection: &mut PoolConnection<Any>,
        records: &[Record],
        now: i64,
    ) -> Result<usize, StoreError> {
        let (mut transaction, mut log) = self.begin(connection, now).await?;
        let mut batch = Batch {
            known: known(records, &mut transaction).await?,
            ..Batch::default()
        };
        for record in records {
            batch.add(record, &mut log);
        }
        let new = batch.rows.len();
        put(&batch.rows, &mut transaction).await?;
        // Nothing to be done, and nothing to be undone by what was known before.
        if new == 0 {
            return Ok(0);
        }
        add_hours(batch.hours, 1, &mut transaction).await?;
        self.commit(transaction, log, &batch.full).await?;
        Ok(new)
    }

    /// Writes marks: what is no record, and stands in the log all the same.
    ///
    /// # Errors
    /// When the store does not answer, or another writes to it.
    pub async fn mark(&mut self, mark: &Mark, now: i64) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        let marked = match self.begin(&mut connection, now).await {
            Ok((transaction, log)) => self.commit_mark(transaction, log, mark).await,
            Err(error) => Err(error),
        };
        self.done(connection, marked).await
    }

    /// Ends a transaction with a mark.
    pub(crate) async fn commit_mark(
        &mut self,
        mut transaction: Transaction<'_, Any>,
        mut log: Log,
        mark: &Mark,
    ) -> Result<(), StoreError> {
        let body = serde_json::to_vec(mark).unwrap_or_default();
        if body.len() > MOST_BYTES {
            return Err(StoreError::TooLong);
        }
        insert(&mut transaction, log.end().position(), &body).await?;
        let mut full: Vec<Tile> = Vec::new();
        log.edge.add(leaf(&body), |tile| full.push(tile));
        self.commit(transaction, log, &full).await
    }

    /// A transaction of the one that writes, and the log that grows now.
    pub(crate) async fn begin<'a>(
        &mut self,
        connection: &'a mut PoolConnection<Any>,
        now: i64,
    ) -> Result<(Transaction<'a, Any>, Log), StoreError> {
        let mut transaction = connection.begin().await?;
        let mine = "UPDATE writer SET id = $1 WHERE id = $1";
        let mine = sqlx::query(mine).bind(&self.id).execute(&mut *transaction);
        if mine.await?.rows_affected() == 0 {
            return Err(StoreError::TakenOver);
        }
        if self.is_unsure {
            // Only now has a write that was given up ended.
            self.log = self.last_log(&mut transaction).await?;
        }
        // A caller that goes away in the middle of the write leaves it so.
        self.is_unsure = true;
        let log = self.log_of_now(now, &mut transaction).await?;
        Ok((transaction, log))
    }

    /// Ends it with the tiles at the edge of the log, those that became full, and a checkpoint.
    pub(crate) async fn commit(
        &mut self,
        mut transaction: Transaction<'_, Any>,
        log: Log,
        full: &[Tile],
    ) -> Result<(), StoreError> {
        let partial: Vec<Tile> = log.edge.tiles().collect();
        for tile in full.iter().chain(&partial) {
            let put = "INSERT INTO tiles (week, level, place, hashes) VALUES ($1, $2, $3, $4) \
                       ON CONFLICT (week, level, place) DO UPDATE SET hashes = excluded.hashes";
            sqlx::query(put)
                .bind(log.week.number())
                .bind(i64::from(tile.level))
                .bind(i64::try_from(tile.index).unwrap_or(i64::MAX))
                .bind(packed(tile))
                .execute(&mut *transaction)
                .await?;
        }
        let note = self.sign(&log);
        let put = "INSERT INTO checkpoints (week, note) VALUES ($1, $2) \
                   ON CONFLICT (week) DO UPDATE SET note = excluded.note";
        sqlx::query(put)
            .bind(log.week.number())
            .bind(note)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        self.log = Some(log);
        self.is_unsure = false;
        Ok(())
    }

    /// The log that grows now: that of this week, but never one of a week that has passed.
    async fn log_of_now(
        &self,
        now: i64,
        transaction: &mut Transaction<'_, Any>,
    ) -> Result<Log, StoreError> {
        let week = Week::of(now);
        let last = match &self.log {
            Some(log) if log.week >= week => return Ok(log.clone()),
            last => last.as_ref(),
        };
        let mut log = Log {
            week,
            edge: Edge::default(),
        };
        if let Some(last) = last {
            let mark = Mark::Continues {
                week: last.week.to_string(),
                checkpoint: self.sign(last),
            };
            let body = serde_json::to_vec(&mark).unwrap_or_default();
            insert(transaction, log.end().position(), &body).await?;
            log.edge.add(leaf(&body), |_| {});
        }
        Ok(log)
    }

    fn sign(&self, log: &Log) -> String {
        let origin = origin(&self.cluster, log.week);
        self.key.sign(&origin, log.edge.size(), &log.edge.root())
    }
}

/// What a transaction adds.
#[derive(Default)]
struct Batch {
    /// The ids of records that are there.
    known: HashSet<String>,
    rows: Vec<Row>,
    full: Vec<Tile>,
    hours: Hours,
}

impl Batch {
    /// Adds a record, unless it is there.
    fn add(&mut self, record: &Record, log: &mut Log) {
        let body = serde_json::to_vec(record).unwrap_or_default();
        let fits = !body.is_empty() && body.len() <= MOST_BYTES;
        if !fits || !self.known.insert(record.id.clone()) {
            return;
        }
        let columns = Columns::of(record);
        let place = log.end();
        count(&mut self.hours, &columns);
        log.edge.add(leaf(&body), |tile| self.full.push(tile));
        self.rows.push(Row {
            position: place.position(),
            columns,
            body,
        });
    }
}
