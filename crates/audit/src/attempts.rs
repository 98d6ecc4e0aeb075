//! Records taken together: the attempts of one fingerprint, the namespaces that have records, the counts of a day.

use std::collections::HashSet;

use sqlx::Row as _;

use crate::entry::searchable;
use crate::query::{Cursor, Filter, Found};
use crate::store::{Store, StoreError};
use keyguard_core::record::Record;

/// The most records of one fingerprint that are looked at: who tries that often is known well enough.
pub const MOST_ATTEMPTS: i64 = 1_000;
/// How many records are read at once, and how often, until a page is full: what fills it is not bounded otherwise.
const READ: u32 = 200;
const ROUNDS: usize = 10;

/// What the latest records of one fingerprint come to; times are in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// How many there are, at most [`MOST_ATTEMPTS`].
    pub count: i64,
    /// How many users made them.
    pub users: i64,
    /// When the first of them was.
    pub first: i64,
    /// When it was stored last in spite of what was found.
    pub passed: Option<i64>,
    /// When that was by break glass.
    pub broke_glass: Option<i64>,
}

/// The newest record of those with one fingerprint that a filter asks for.
#[derive(Debug)]
pub struct Attempt {
    /// The record.
    pub record: Record,
    /// All that have its fingerprint, unless it has none.
    pub attempts: Option<Attempts>,
}

/// A page of attempts.
#[derive(Debug)]
pub struct AttemptsPage {
    /// The attempts, newest first.
    pub rows: Vec<Attempt>,
    /// What to continue after; nothing when there are no more.
    pub next: Option<Cursor>,
}

/// How often what was decided on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayCount {
    /// The day in UTC, counted from 1 January 1970.
    pub day: i64,
    /// What was decided.
    pub decision: String,
    /// The rule that found something; empty for none.
    pub rule: String,
    /// How often.
    pub count: i64,
}

impl Store {
    /// At most `rows` attempts that `filter` asks for: each fingerprint once, by its newest record; all records of it when
    /// `filter` names one.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn attempts(&self, filter: &Filter, rows: usize) -> Result<AttemptsPage, StoreError> {
        let mut filter = filter.clone();
        let is_first = filter.after.is_none();
        let each = filter.fingerprint.is_some();
        let (mut page, mut seen) = (Vec::new(), HashSet::new());
        for _ in 0..ROUNDS {
            let (found, more) = self.find(&filter, READ).await?;
            for found in found {
                filter.after = Some(found.cursor);
                let record = found.record()?;
                let print = record.fingerprint.clone();
                if each || print.is_empty() {
                    page.push(Attempt {
                        record,
                        attempts: None,
                    });
                } else if seen.insert(print)
                    && (is_first || self.is_newest(&found, &record, &filter).await?)
                {
                    let attempts = self.attempts_of(&record.fingerprint).await?;
                    page.push(Attempt { record, attempts });
                }
                if page.len() == rows {
                    return Ok(AttemptsPage {
                        rows: page,
                        next: filter.after,
                    });
                }
            }
            if !more {
                filter.after = None;
                break;
            }
        }
        Ok(AttemptsPage {
            rows: page,
            next: filter.after,
        })
    }

    /// Whether a page before has not shown its fingerprint.
    async fn is_newest(
        &self,
        found: &Found,
        record: &Record,
        filter: &Filter,
    ) -> Result<bool, StoreError> {
        let same = Filter {
            fingerprint: Some(record.fingerprint.clone()),
            after: None,
            ..filter.clone()
        };
        let (newest, _) = self.find(&same, 1).await?;
        Ok(newest
            .first()
            .is_none_or(|newest| newest.cursor == found.cursor))
    }

    /// What the records of a fingerprint come to; nothing for an empty one.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn attempts_of(&self, fingerprint: &str) -> Result<Option<Attempts>, StoreError> {
        if fingerprint.is_empty() {
            return Ok(None);
        }
        let sql = "WITH latest AS (SELECT time, decision, user_name, dry_run FROM records WHERE fingerprint = $1 \
                   ORDER BY time DESC, position DESC LIMIT $2) \
                   SELECT COUNT(*) AS attempts, COUNT(DISTINCT user_name) AS users, COALESCE(MIN(time), 0) AS first, \
                   MAX(CASE WHEN decision <> 'deny' AND dry_run = 0 THEN time END) AS passed, \
                   MAX(CASE WHEN decision = 'break-glass' AND dry_run = 0 THEN time END) AS broke_glass FROM latest";
        let row = sqlx::query(sql)
            .bind(searchable(fingerprint))
            .bind(MOST_ATTEMPTS)
            .fetch_one(&self.pool)
            .await?;
        Ok(Some(Attempts {
            count: row.try_get("attempts")?,
            users: row.try_get("users")?,
            first: row.try_get("first")?,
            passed: row.try_get("passed")?,
            broke_glass: row.try_get("broke_glass")?,
        }))
    }

    /// At most `limit` namespaces of which there are records, in their order; the empty one is that of objects without.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn namespaces(&self, limit: u32) -> Result<Vec<String>, StoreError> {
        // From one to the next by the index: a DISTINCT would read all of it.
        let sql = "WITH RECURSIVE names (name) AS (SELECT MIN(namespace) FROM records UNION ALL \
                   SELECT (SELECT MIN(namespace) FROM records WHERE namespace > names.name) FROM names \
                   WHERE names.name IS NOT NULL) SELECT name FROM names WHERE name IS NOT NULL LIMIT $1";
        let rows = sqlx::query(sql)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        let names = rows.iter().map(|row| row.try_get("name"));
        Ok(names.collect::<Result<_, sqlx::Error>>()?)
    }

    /// What was decided on each day in UTC from `since` on, before `until`; both are days, counted from 1 January 1970.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn days(&self, since: i64, until: i64) -> Result<Vec<DayCount>, StoreError> {
        let sql = "SELECT hour / 24 AS day, decision, rule, CAST(SUM(count) AS BIGINT) AS count FROM hours \
                   WHERE hour >= $1 AND hour < $2 GROUP BY hour / 24, decision, rule ORDER BY 1, 2, 3";
        let rows = sqlx::query(sql)
            .bind(since.saturating_mul(24))
            .bind(until.saturating_mul(24))
            .fetch_all(&self.pool)
            .await?;
        let counts = rows.iter().map(|row| {
            Ok(DayCount {
                day: row.try_get("day")?,
                decision: row.try_get("decision")?,
                rule: row.try_get("rule")?,
                count: row.try_get("count")?,
            })
        });
        counts.collect::<Result<_, StoreError>>()
    }
}

#[cfg(test)]
#[path = "attempts_tests.rs"]
mod tests;
