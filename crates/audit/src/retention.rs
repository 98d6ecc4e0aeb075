//! Deleting what is too old or too much, in whole weeks.

use futures_util::TryStreamExt as _;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};

use crate::counts::{Hours, count};
use crate::entry::{Columns, Entry, Mark, rfc3339};
use crate::rows::add_hours;
use crate::store::StoreError;
use crate::week::{Place, Week};
use crate::writer::Writer;

/// How much is kept. The week that grows is never deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// For how long, in milliseconds: a week goes once all of it is older.
    pub milliseconds: Option<i64>,
    /// The most bytes of entries; the oldest weeks go first.
    pub bytes: Option<u64>,
}

/// What was deleted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// The weeks.
    pub weeks: Vec<String>,
    /// How many of their records those who follow the log had not got, by name.
    pub unsent: Vec<(String, i64)>,
}

impl Writer {
    /// Deletes the logs of weeks that are too old or too much, with all that is kept of them, and writes an entry that says
    /// so; all of it, or nothing. `now` is in milliseconds since 1970.
    ///
    /// # Errors
    /// When the store does not answer, or another writes to it.
    pub async fn retain(&mut self, keep: Retention, now: i64) -> Result<Deleted, StoreError> {
        let mut connection = self.connection().await?;
        let retained = self.retain_by(&mut connection, keep, now).await;
        self.done(connection, retained).await
    }

    async fn retain_by(
        &mut self,
        connection: &mut PoolConnection<Any>,
        keep: Retention,
        now: i64,
    ) -> Result<Deleted, StoreError> {
        let weeks = self.too_much(keep, now).await?;
        let Some([_, end]) = weeks.last().map(|week| positions(*week)) else {
            return Ok(Deleted::default());
        };
        let unsent = self.unsent(end).await?;
        let mut hours = Vec::new();
        for week in &weeks {
            hours.push(self.hours_of(*week).await?);
        }
        let names: Vec<String> = weeks.iter().map(Week::to_string).collect();
        let (mut transaction, log) = self.begin(connection, now).await?;
        for (week, hours) in weeks.iter().zip(hours) {
            delete(*week, &mut transaction).await?;
            add_hours(hours, -1, &mut transaction).await?;
        }
        sqlx::query("DELETE FROM hours WHERE count = 0")
            .execute(&mut *transaction)
            .await?;
        let mark = Mark::Deleted {
            weeks: names.clone(),
            time: rfc3339(now),
        };
        self.commit_mark(transaction, log, &mark).await?;
        Ok(Deleted {
            weeks: names,
            unsent,
        })
    }

    /// How many records before a position each of those who follow the log has not got.
    async fn unsent(&self, end: i64) -> Result<Vec<(String, i64)>, StoreError> {
        let unsent = "SELECT f.name AS name, COUNT(*) AS count FROM followers f \
                      JOIN records r ON r.position > f.position WHERE r.position < $1 GROUP BY f.name ORDER BY f.name";
        let unsent = sqlx::query(unsent).bind(end).fetch_all(&self.store.pool);
        let unsent = unsent.await?;
        let unsent = unsent.iter();
        unsent
            .map(|row| Ok((row.try_get("name")?, row.try_get("count")?)))
            .collect()
    }

    /// The weeks to delete, the oldest first: always all up to one, so that those that stay follow each other.
    async fn too_much(&self, keep: Retention, now: i64) -> Result<Vec<Week>, StoreError> {
        let logs = self.store.logs().await?;
        let mut sizes = Vec::new();
        for (week, _) in &logs {
            let [from, to] = positions(*week);
            let size = "SELECT CAST(COALESCE(SUM(LENGTH(body)), 0) AS BIGINT) AS size FROM entries \
                        WHERE position >= $1 AND position < $2";
            let row = sqlx::query(size)
                .bind(from)
                .bind(to)
                .fetch_one(&self.store.pool)
                .await?;
            sizes.push(u64::try_from(row.try_get::<i64, _>("size")?).unwrap_or(0));
        }
        let mut left: u64 = sizes.iter().sum();
        let mut deleted = Vec::new();
        let last = logs.len().saturating_sub(1);
        for ((week, _), size) in logs.iter().zip(sizes).take(last) {
            let is_old = keep
                .milliseconds
                .is_some_and(|keep| week.end().saturating_add(keep) <= now);
            let is_too_much = keep.bytes.is_some_and(|most| left > most);
            if !is_old && !is_too_much {
                break;
            }
            left -= size;
            deleted.push(*week);
        }
        Ok(deleted)
    }

    /// What the records of a week count for.
    async fn hours_of(&self, week: Week) -> Result<Hours, StoreError> {
        let [from, to] = positions(week);
        let bodies = "SELECT body FROM entries WHERE position >= $1 AND position < $2";
        let mut rows = sqlx::query(bodies)
            .bind(from)
            .bind(to)
            .fetch(&self.store.pool);
        let mut hours = Hours::new();
        while let Some(row) = rows.try_next().await? {
            let body: Vec<u8> = row.try_get("body")?;
            if let Ok(Entry::Record(record)) = Entry::parse(&body) {
                count(&mut hours, &Columns::of(&record));
            }
        }
        Ok(hours)
    }
}

/// The first position of a week, and the one behind its last.
fn positions(week: Week) -> [i64; 2] {
    let start = Place { week, index: 0 }.position();
    [start, start + (1 << 32)]
}

async fn delete(week: Week, transaction: &mut Transaction<'_, Any>) -> Result<(), StoreError> {
    let [from, to] = positions(week);
    for table in ["record_rules", "records", "entries"] {
        let rows = format!("DELETE FROM {table} WHERE position >= $1 AND position < $2");
        let rows = sqlx::query(AssertSqlSafe(rows)).bind(from).bind(to);
        rows.execute(&mut **transaction).await?;
    }
    for table in ["tiles", "checkpoints"] {
        let rows = format!("DELETE FROM {table} WHERE week = $1");
        let rows = sqlx::query(AssertSqlSafe(rows)).bind(week.number());
        rows.execute(&mut **transaction).await?;
    }
    Ok(())
}
