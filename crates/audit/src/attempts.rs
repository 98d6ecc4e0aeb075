//! Records taken together: the attempts of one fingerprint, the namespaces that have records, the counts of a day.

use std::collections::HashSet;

use sqlx::{AssertSqlSafe, Row as _};

use crate::query::{Conditions, Cursor, Filter, Found, Value, View};
use crate::store::{Store, StoreError};
use keyguard_core::record::Record;

/// The most records of one fingerprint that are looked at: who tries that often is known well enough.
pub const MOST_ATTEMPTS: i64 = 1_000;
/// How many records are read at once until a page is full.
const READ: u32 = 200;
/// The most fingerprints that the store is told to leave out: a statement of SQLite has 32,766 places.
const MOST_WITHOUT: usize = 10_000;

/// What the latest records of one fingerprint come to; times are in milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// How many there are, whatever a filter asks for; at most [`MOST_ATTEMPTS`].
    pub all: i64,
    /// How many of them a filter asks for.
    pub count: i64,
    /// How many of these were dry runs.
    pub dry_runs: i64,
    /// Who made these, and how often each: who did most often comes first.
    pub users: Vec<(String, i64)>,
    /// When the first of these was.
    pub first: i64,
    /// When one of all was stored last in spite of what was found.
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
    /// How many records were met that this version of keyguard cannot read.
    pub unreadable: usize,
    /// What to continue after; nothing when there are no more.
    pub next: Option<Cursor>,
    /// The last position that the store had when the first page was made: the pages after it show what was there then.
    pub as_of: i64,
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
    /// `filter` names one. A page that is not the first is told by `as_of` what the first one said.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn attempts(
        &self,
        filter: &Filter,
        as_of: Option<i64>,
        rows: usize,
    ) -> Result<AttemptsPage, StoreError> {
        let as_of = match as_of {
            Some(as_of) => as_of,
            None => self.last_position().await?,
        };
        let mut page: Vec<(Found, Record)> = Vec::new();
        // The fingerprints of this page, and of the pages before that were met.
        let mut shown: Vec<String> = Vec::new();
        let mut rest = filter.clone();
        let (mut more, mut unreadable) = (true, 0);
        // One more than the page has, as only that tells whether another page has any.
        while more && page.len() <= rows && self.has_others(&shown).await? {
            let without = shown.get(..MOST_WITHOUT).unwrap_or(&shown).to_owned();
            let view = View {
                as_of: Some(as_of),
                without: &without,
            };
            let found;
            (found, more) = self.find_in(view, &rest, READ).await?;
            let mut is_shown: HashSet<String> = shown.iter().cloned().collect();
            for found in found {
                rest.after = Some(found.cursor);
                let Ok(record) = found.record() else {
                    unreadable += 1;
                    continue;
                };
                let print = &record.fingerprint;
                if filter.fingerprint.is_none() && !print.is_empty() {
                    if !is_shown.insert(print.clone()) {
                        continue;
                    }
                    shown.push(print.clone());
                    if filter.after.is_some()
                        && !self.is_newest(&found, print, filter, as_of).await?
                    {
                        continue;
                    }
                }
                page.push((found, record));
                if page.len() > rows {
                    break;
                }
            }
        }
        let is_more = page.len() > rows;
        page.truncate(rows);
        let last = page.last().map(|(found, _)| found.cursor);
        let mut attempts = Vec::new();
        for (_, record) in page {
            attempts.push(Attempt {
                attempts: match filter.fingerprint {
                    Some(_) => None,
                    None => self.attempts_of(&record.fingerprint, filter).await?,
                },
                record,
            });
        }
        Ok(AttemptsPage {
            rows: attempts,
            unreadable,
            next: last.filter(|_| is_more),
            as_of,
        })
    }

    async fn last_position(&self) -> Result<i64, StoreError> {
        let last = sqlx::query("SELECT COALESCE(MAX(position), 0) AS last FROM records");
        Ok(last.fetch_one(&self.pool).await?.try_get("last")?)
    }

    /// Whether any record has another fingerprint than these: what saves looking through all records of a few.
    async fn has_others(&self, shown: &[String]) -> Result<bool, StoreError> {
        let limit = u32::try_from(shown.len()).unwrap_or(u32::MAX);
        let known = self
            .distinct("fingerprint", limit.saturating_add(1))
            .await?;
        Ok(known.len() > shown.len())
    }

    /// Whether a page before has not shown its fingerprint.
    async fn is_newest(
        &self,
        found: &Found,
        fingerprint: &str,
        filter: &Filter,
        as_of: i64,
    ) -> Result<bool, StoreError> {
        let same = Filter {
            fingerprint: Some(fingerprint.to_owned()),
            after: None,
            ..filter.clone()
        };
        let view = View {
            as_of: Some(as_of),
            ..View::default()
        };
        // The newest one may be none of this version, and shown nowhere.
        let (newest, _) = self.find_in(view, &same, READ).await?;
        let newest = newest.iter().find(|newest| newest.record().is_ok());
        Ok(newest.is_none_or(|newest| newest.cursor == found.cursor))
    }

    /// What the records of a fingerprint come to, and those of them that `filter` asks for; nothing for an empty one.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn attempts_of(
        &self,
        fingerprint: &str,
        filter: &Filter,
    ) -> Result<Option<Attempts>, StoreError> {
        if fingerprint.is_empty() {
            return Ok(None);
        }
        let mut wanted = Conditions::of(filter, "r.time", false, None);
        let condition = wanted.text();
        let place = wanted.place(Value::Text(fingerprint));
        let sql = format!(
            "WITH latest AS (SELECT r.time, r.decision, r.user_name, r.dry_run, \
             CASE WHEN {condition} THEN 1 ELSE 0 END AS wanted FROM records r WHERE r.fingerprint = {place} \
             ORDER BY r.time DESC, r.position DESC LIMIT {MOST_ATTEMPTS}) \
             SELECT user_name, COUNT(*) AS attempts, CAST(SUM(wanted) AS BIGINT) AS wanted, \
             CAST(SUM(wanted * dry_run) AS BIGINT) AS dry_runs, MIN(CASE WHEN wanted = 1 THEN time END) AS first, \
             MAX(CASE WHEN decision <> 'deny' AND dry_run = 0 THEN time END) AS passed, \
             MAX(CASE WHEN decision = 'break-glass' AND dry_run = 0 THEN time END) AS broke_glass FROM latest \
             GROUP BY user_name ORDER BY 3 DESC, 1"
        );
        let mut all = Attempts::default();
        let mut first: Option<i64> = None;
        for row in wanted.bind(sql).fetch_all(&self.pool).await? {
            let count: i64 = row.try_get("wanted")?;
            all.all += row.try_get::<i64, _>("attempts")?;
            all.count += count;
            all.dry_runs += row.try_get::<i64, _>("dry_runs")?;
            all.passed = all.passed.max(row.try_get("passed")?);
            all.broke_glass = all.broke_glass.max(row.try_get("broke_glass")?);
            if count > 0 {
                let began: i64 = row.try_get("first")?;
                first = Some(first.map_or(began, |first| first.min(began)));
                all.users.push((row.try_get("user_name")?, count));
            }
        }
        all.first = first.unwrap_or_default();
        Ok(Some(all))
    }

    /// At most `limit` namespaces of which there are records, in their order; the empty one is that of objects without.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn namespaces(&self, limit: u32) -> Result<Vec<String>, StoreError> {
        self.distinct("namespace", limit).await
    }

    /// At most `limit` of what stands in a column that has an index, each once.
    async fn distinct(&self, column: &'static str, limit: u32) -> Result<Vec<String>, StoreError> {
        // From one to the next by the index: a DISTINCT would read all of it.
        let sql = format!(
            "WITH RECURSIVE names (name) AS (SELECT MIN({column}) FROM records UNION ALL \
             SELECT (SELECT MIN({column}) FROM records WHERE {column} > names.name) FROM names \
             WHERE names.name IS NOT NULL) SELECT name FROM names WHERE name IS NOT NULL LIMIT $1"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
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
