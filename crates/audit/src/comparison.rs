//! What is kept beside the log, to search and to count by, compared with what the log says.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::counts::RowSum;
use crate::entry::{Columns, Entry};
use crate::findings::Findings;
use crate::seen::Seen;
use crate::store::{Store, StoreError, damage};
use crate::week::{Place, Week};

/// A row of `record_rules`.
fn rule_row(row: &AnyRow) -> Result<(String, i64, i64), sqlx::Error> {
    Ok((
        row.try_get("rule")?,
        row.try_get("time")?,
        row.try_get("position")?,
    ))
}

fn hour_row(row: &AnyRow) -> Result<((i64, String, String), i64), sqlx::Error> {
    let key = (
        row.try_get("hour")?,
        row.try_get("decision")?,
        row.try_get("rule")?,
    );
    Ok((key, row.try_get("count")?))
}

impl Store {
    /// Compares what records are searched and counted by with what they say.
    pub(crate) async fn compare_with_log(
        &self,
        seen: &mut Seen<'_>,
        findings: &mut Findings,
    ) -> Result<(), StoreError> {
        let mut sum = RowSum::default();
        let mut rows =
            sqlx::query("SELECT rule, time, position FROM record_rules").fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            match rule_row(&row) {
                Ok((rule, time, position)) => sum.add(&rule, time, position),
                Err(error) => {
                    damage(error)?;
                    sum = RowSum::default();
                    findings.fault("a row of record_rules has values of other types".to_owned());
                    break;
                }
            }
        }
        drop(rows);
        if sum != seen.rules {
            self.name_rules(findings).await?;
        }
        self.compare_hours(seen, findings).await?;
        let orphans = "SELECT r.id FROM records r LEFT JOIN entries e ON e.position = r.position \
                       WHERE e.position IS NULL LIMIT 1000";
        for row in sqlx::query(orphans).fetch_all(&self.pool).await? {
            let id: String = row
                .try_get("id")
                .or_else(|error| damage(error).map(|()| "?".to_owned()))?;
            findings.fault(format!("record {id} can be searched, and is in no log"));
        }
        Ok(())
    }

    /// Names the rows that lead to other records than they should, and the records that a rule does not lead to.
    async fn name_rules(&self, findings: &mut Findings) -> Result<(), StoreError> {
        let rows = "SELECT w.rule, w.time, w.position, e.body FROM record_rules w \
                    LEFT JOIN entries e ON e.position = w.position";
        let mut rows = sqlx::query(rows).fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            let (rule, time, position) = match rule_row(&row) {
                Ok(row) => row,
                Err(error) => {
                    damage(error)?;
                    continue;
                }
            };
            let body: Option<Vec<u8>> = row
                .try_get("body")
                .or_else(|error| damage(error).map(|()| None))?;
            let record = body.and_then(|body| columns(&body));
            match record {
                Some(record) if record.time == time && record.rules.contains(&rule) => {}
                Some(record) => findings.fault(format!(
                    "the rule {rule} leads to record {}, which has it not, or not at this time",
                    record.id
                )),
                None => {
                    let place = Place::at(position);
                    let place = place.map_or_else(
                        || "no place".to_owned(),
                        |place| format!("entry {} of {}", place.index, place.week),
                    );
                    findings.fault(format!(
                        "the rule {rule} leads to {place}, where no record is"
                    ));
                }
            }
        }
        drop(rows);
        let mut rows =
            sqlx::query("SELECT position, body FROM entries ORDER BY position").fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            let position: i64 = row.try_get("position")?;
            let body: Vec<u8> = row
                .try_get("body")
                .or_else(|error| damage(error).map(|()| Vec::new()))?;
            let Some(record) = columns(&body) else {
                continue;
            };
            for rule in &record.rules {
                let row = "SELECT 1 AS one FROM record_rules WHERE rule = $1 AND time = $2 AND position = $3";
                let found = sqlx::query(row).bind(rule).bind(record.time).bind(position);
                if found.fetch_optional(&self.pool).await?.is_none() {
                    let id = &record.id;
                    findings.fault(format!(
                        "the rule {rule} does not lead to record {id}, which has it"
                    ));
                }
            }
        }
        Ok(())
    }

    async fn compare_hours(
        &self,
        seen: &mut Seen<'_>,
        findings: &mut Findings,
    ) -> Result<(), StoreError> {
        let rows =
            sqlx::query("SELECT hour, decision, rule, count FROM hours").fetch_all(&self.pool);
        for row in rows.await? {
            let (key, count) = match hour_row(&row) {
                Ok(row) => row,
                Err(error) => {
                    damage(error)?;
                    findings.fault("a row of hours has values of other types".to_owned());
                    continue;
                }
            };
            let expected = seen.hours.remove(&key).unwrap_or_default();
            if expected != count {
                findings.fault(hour_fault(&key, count, expected));
            }
        }
        for (key, expected) in std::mem::take(&mut seen.hours) {
            findings.fault(hour_fault(&key, 0, expected));
        }
        Ok(())
    }

    /// Compares the tiles that are there with those that logs of these sizes have, as far as they are too many or of another
    /// length; their hashes are compared with the entries.
    pub(crate) async fn compare_tiles(
        &self,
        sizes: &BTreeMap<i64, u64>,
        findings: &mut Findings,
    ) -> Result<(), StoreError> {
        use crate::merkle::TILE_WIDTH;
        let rows = "SELECT week, level, place, CAST(LENGTH(hashes) AS BIGINT) AS length FROM tiles";
        let mut rows = sqlx::query(rows).fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            let numbers =
                ["week", "level", "place", "length"].map(|name| row.try_get::<i64, _>(name));
            let [week, level, place, length] = match numbers {
                [Ok(week), Ok(level), Ok(place), Ok(length)] => [week, level, place, length],
                _ => {
                    findings.fault("a row of tiles has values of other types".to_owned());
                    continue;
                }
            };
            let size = sizes.get(&week).copied().unwrap_or_default();
            let level_of = u32::try_from(level).ok();
            let of_level = level_of.map_or(0, |level| size / TILE_WIDTH.saturating_pow(level));
            let before = u64::try_from(place)
                .unwrap_or(u64::MAX)
                .saturating_mul(TILE_WIDTH);
            let width = of_level.saturating_sub(before).min(TILE_WIDTH);
            let has = u64::try_from(length).unwrap_or(u64::MAX);
            if width == 0 || has > width * 32 {
                let week =
                    Week::numbered(week).map_or_else(|| week.to_string(), |week| week.to_string());
                findings.fault(format!(
                    "tile {place} of level {level} of the log of {week} has more than {width} hashes, which is what it should have"
                ));
            }
        }
        Ok(())
    }

    /// Compares how many entries there are with how many the logs have.
    pub(crate) async fn compare_entries(&self, findings: &mut Findings) -> Result<(), StoreError> {
        let row = sqlx::query("SELECT COUNT(*) AS count FROM entries").fetch_one(&self.pool);
        let count: i64 = row.await?.try_get("count")?;
        let others = u64::try_from(count)
            .unwrap_or(0)
            .saturating_sub(findings.entries);
        if others > 0 {
            findings.fault(format!(
                "{others} entries are in no log that has a checkpoint"
            ));
        }
        Ok(())
    }
}

fn columns(body: &[u8]) -> Option<Columns> {
    match Entry::parse(body) {
        Ok(Entry::Record(record)) => Some(Columns::of(&record)),
        Ok(Entry::Mark(_)) | Err(_) => None,
    }
}

fn hour_fault((hour, decision, rule): &(i64, String, String), count: i64, expected: i64) -> String {
    let hour = crate::entry::rfc3339(hour.saturating_mul(3_600_000));
    let rule = if rule.is_empty() { "no rule" } else { rule };
    format!(
        "{count} times {decision} by {rule} are counted in the hour of {hour}, and the log has {expected}"
    )
}
