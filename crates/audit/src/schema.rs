//! Whether tables, indexes and triggers are those that the migrations make, and the file is sound.

use std::collections::BTreeSet;

use sqlx::Row as _;

use crate::findings::Findings;
use crate::store::{Store, StoreError};

/// What a SQLite database has, but for what is SQLite's and the migrator's own.
const OF_SQLITE: &str = "SELECT type || ' ' || name AS name, COALESCE(sql, '') AS made FROM sqlite_master \
                         WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> '_sqlx_migrations'";
/// The same of PostgreSQL, but for what belongs to an extension, such as `pg_stat_statements`. A trigger or rule that is none
/// of its own says what it does.
const OF_POSTGRES: &str = "SELECT 'index ' || indexname || CASE WHEN indexdef LIKE '% WHERE %' THEN ' of a part' ELSE '' END AS name, \
     '' AS made FROM pg_indexes \
     WHERE schemaname = current_schema() AND tablename <> '_sqlx_migrations' \
     UNION SELECT 'table ' || relname, '' FROM pg_class c WHERE relkind IN ('r', 'p', 'f') \
     AND relnamespace = current_schema()::regnamespace AND relname <> '_sqlx_migrations' \
     AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') \
     UNION SELECT 'view ' || relname, '' FROM pg_class c WHERE relkind IN ('v', 'm') \
     AND relnamespace = current_schema()::regnamespace \
     AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') \
     UNION SELECT 'trigger ' || tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t \
     JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT tgisinternal AND c.relnamespace = current_schema()::regnamespace \
     UNION SELECT 'rule ' || rulename, definition FROM pg_rules WHERE schemaname = current_schema() \
     AND NOT EXISTS (SELECT 1 FROM pg_depend d JOIN pg_class c ON c.oid = d.objid \
     WHERE c.relname = tablename AND c.relnamespace = current_schema()::regnamespace AND d.deptype = 'e')";

impl Store {
    /// Compares what the database is made of with what the migrations make.
    pub(crate) async fn compare_schema(&self, findings: &mut Findings) -> Result<(), StoreError> {
        let expected = match self.is_file {
            true => Store::in_memory().await?.made_of(OF_SQLITE).await?,
            false => of_migrations(),
        };
        let query = if self.is_file { OF_SQLITE } else { OF_POSTGRES };
        let found = self.made_of(query).await?;
        for (name, _) in found.difference(&expected) {
            findings.fault(format!("the {name} is not one of this schema"));
        }
        for (name, _) in expected.difference(&found) {
            findings.fault(format!("the {name} of this schema is missing, or another"));
        }
        if self.is_file {
            let check = sqlx::query("PRAGMA integrity_check");
            let damaged = match check.fetch_all(&self.pool).await {
                Ok(rows) => {
                    let said = rows.iter().map(|row| row.try_get::<String, _>(0));
                    said.collect::<Result<Vec<_>, _>>()?
                }
                Err(sqlx::Error::Database(error)) => vec![error.to_string()],
                Err(error) => return Err(error.into()),
            };
            for said in damaged.into_iter().filter(|said| said != "ok") {
                findings.fault(format!("SQLite finds the file damaged: {said}"));
            }
        }
        Ok(())
    }

    async fn made_of(&self, query: &'static str) -> Result<BTreeSet<(String, String)>, StoreError> {
        let rows = sqlx::query(query).fetch_all(&self.pool).await?;
        let made = rows
            .iter()
            .map(|row| Ok((row.try_get("name")?, row.try_get("made")?)));
        made.collect()
    }
}

/// What the migrations of PostgreSQL make: each table, its primary key, and the indexes.
fn of_migrations() -> BTreeSet<(String, String)> {
    let mut made = BTreeSet::new();
    for migration in Store::postgres_migrations() {
        let mut words = migration.split_whitespace();
        let mut table = "";
        while let Some(word) = words.next() {
            let name = match word {
                "CREATE" => match (words.next(), words.next()) {
                    (Some("TABLE"), Some(name)) => {
                        table = name;
                        made.insert((format!("index {name}_pkey"), String::new()));
                        format!("table {name}")
                    }
                    (Some("INDEX"), Some(name)) => format!("index {name}"),
                    _ => continue,
                },
                "UNIQUE," => format!("index {table}_id_key"),
                _ => continue,
            };
            made.insert((name, String::new()));
        }
    }
    made
}
