//! The rows of a transaction.

use std::collections::HashSet;

use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};

use keyguard_core::record::Record;

use crate::counts::Hours;
use crate::entry::{Columns, searchable};
use crate::store::StoreError;

/// How many rows a statement adds.
const ROWS: usize = 100;

/// A record on its way into the store.
pub(crate) struct Row {
    pub(crate) position: i64,
    pub(crate) columns: Columns,
    pub(crate) body: Vec<u8>,
}

/// Which of the records are there already.
pub(crate) async fn known(
    records: &[Record],
    transaction: &mut Transaction<'_, Any>,
) -> Result<HashSet<String>, StoreError> {
    let mut known = HashSet::new();
    for records in records.chunks(ROWS) {
        let places: Vec<String> = (1..=records.len()).map(|it| format!("${it}")).collect();
        let sql = format!("SELECT id FROM records WHERE id IN ({})", places.join(", "));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for record in records {
            query = query.bind(searchable(&record.id));
        }
        for row in query.fetch_all(&mut **transaction).await? {
            known.insert(row.try_get("id")?);
        }
    }
    Ok(known)
}

/// `INSERT INTO … VALUES ($1, $2), ($3, $4), …`: a statement for each row takes several times as long.
fn insert_rows(table: &str, columns: usize, rows: usize) -> AssertSqlSafe<String> {
    let rows: Vec<String> = (0..rows)
        .map(|row| {
            let first = row * columns + 1;
            let places = (first..first + columns).map(|it| format!("${it}"));
            format!("({})", places.collect::<Vec<_>>().join(", "))
        })
        .collect();
    AssertSqlSafe(format!("INSERT INTO {table} VALUES {}", rows.join(", ")))
}

pub(crate) async fn put(
    rows: &[Row],
    transaction: &mut Transaction<'_, Any>,
) -> Result<(), StoreError> {
    for rows in rows.chunks(ROWS) {
        let mut entries = sqlx::query(insert_rows("entries (position, body)", 2, rows.len()));
        let table = "records (position, id, time, decision, user_name, tool, namespace, object, fingerprint, dry_run, \
                     replica, number)";
        let mut records = sqlx::query(insert_rows(table, 12, rows.len()));
        for row in rows {
            let columns = &row.columns;
            entries = entries.bind(row.position).bind(&row.body);
            records = records
                .bind(row.position)
                .bind(&columns.id)
                .bind(columns.time)
                .bind(&columns.decision)
                .bind(&columns.user)
                .bind(&columns.tool)
                .bind(&columns.namespace)
                .bind(&columns.object)
                .bind(&columns.fingerprint)
                .bind(i64::from(columns.dry_run))
                .bind(&columns.replica)
                .bind(columns.number);
        }
        entries.execute(&mut **transaction).await?;
        records.execute(&mut **transaction).await?;
    }
    let rules = rows.iter().flat_map(|row| {
        let rules = row.columns.rules.iter();
        rules.map(|rule| (rule, row.columns.time, row.position))
    });
    let rules: Vec<_> = rules.collect();
    for rules in rules.chunks(ROWS) {
        let sql = insert_rows("record_rules (rule, time, position)", 3, rules.len());
        let mut query = sqlx::query(sql);
        for (rule, time, position) in rules {
            query = query.bind(*rule).bind(*time).bind(*position);
        }
        query.execute(&mut **transaction).await?;
    }
    Ok(())
}

/// Adds to the counts, or takes from them.
pub(crate) async fn add_hours(
    hours: Hours,
    sign: i64,
    transaction: &mut Transaction<'_, Any>,
) -> Result<(), StoreError> {
    for ((hour, decision, rule), count) in hours {
        let add = "INSERT INTO hours (hour, decision, rule, count) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (hour, decision, rule) DO UPDATE SET count = hours.count + excluded.count";
        sqlx::query(add)
            .bind(hour)
            .bind(decision)
            .bind(rule)
            .bind(sign * count)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

/// Adds an entry that is no record.
pub(crate) async fn insert(
    transaction: &mut Transaction<'_, Any>,
    position: i64,
    body: &[u8],
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO entries (position, body) VALUES ($1, $2)")
        .bind(position)
        .bind(body.to_vec())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
