//! Stores for tests: SQLite, or PostgreSQL with the feature `postgresql-tests` (tests/tools/postgresql).

use keyguard_core::record::Record;
use serde_json::json;

use crate::evidence::Evidence;
use crate::findings::Findings;
use crate::note::{SigningKey, VerifyingKey};
use crate::store::Store;
use crate::witness::Witness;
use crate::writer::Writer;

pub(crate) const MONDAY: i64 = 1_795_392_000_000; // 23 November 2026
pub(crate) const WEEK: i64 = 7 * 86_400_000;

pub(crate) fn record(number: u64) -> Record {
    let decision = if number.is_multiple_of(3) {
        "deny"
    } else {
        "allow"
    };
    let rules = if number.is_multiple_of(3) {
        json!(["accounts/api-key-removed"])
    } else {
        json!([])
    };
    let time = crate::entry::rfc3339(MONDAY + i64::try_from(number).unwrap() * 1000);
    let record = json!({
        "id": format!("0199{number:08x}-0000-7000-8000-{number:012x}"), "time": time, "uid": "u",
        "cluster": "test", "replica": "keyguard-0", "number": number, "fingerprint": format!("f{}", number % 5),
        "decision": decision, "rules": rules, "webhook": "argocd-cm", "operation": "UPDATE", "dryRun": number.is_multiple_of(2),
        "object": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "argocd", "name": "argocd-cm"},
        "user": {"name": format!("user{}", number % 7)}, "tool": {"fieldManager": "kubectl"}, "durationSeconds": 0.001,
    });
    serde_json::from_value(record).unwrap()
}

/// A store with records, and what writes to it.
pub(crate) struct Kept {
    place: database::Place,
    pub(crate) store: Store,
    pub(crate) writer: Writer,
    pem: String,
    pub(crate) key: VerifyingKey,
}

pub(crate) async fn kept(records: u64) -> Kept {
    let pem = SigningKey::generate().unwrap().to_string();
    let mut kept = Kept::of(database::fresh().await, pem).await;
    kept.append(1..=records, MONDAY).await;
    kept
}

impl Kept {
    async fn of((place, store): (database::Place, Store), pem: String) -> Kept {
        let key = SigningKey::parse(&pem).unwrap();
        let public = key.verifying_key();
        let writer = Writer::new(store.clone(), key, "test".to_owned(), "one".to_owned());
        Kept {
            place,
            writer: writer.await.unwrap(),
            store,
            pem,
            key: public,
        }
    }

    /// The schema that it is in.
    #[cfg(feature = "postgresql-tests")]
    pub(crate) fn schema(&self) -> String {
        self.place.0.clone()
    }

    /// Its address.
    pub(crate) fn address(&self) -> String {
        database::address_of(&self.place)
    }

    /// Its file.
    #[cfg(not(feature = "postgresql-tests"))]
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.place.path().join("audit.db")
    }

    /// Another store with the same content.
    pub(crate) async fn copy(&self) -> Kept {
        let copied = database::copy(&self.place, &self.store).await;
        Kept::of(copied, self.pem.clone()).await
    }

    /// Another writer, with this key.
    pub(crate) async fn write_with(&mut self, pem: &str, id: &str) {
        let key = SigningKey::parse(pem).unwrap();
        self.key = key.verifying_key();
        let writer = Writer::new(self.store.clone(), key, "test".to_owned(), id.to_owned());
        self.writer = writer.await.unwrap();
    }

    pub(crate) async fn append(&mut self, numbers: impl Iterator<Item = u64>, now: i64) -> usize {
        let records: Vec<Record> = numbers.map(record).collect();
        let mut new = 0;
        for records in records.chunks(100) {
            new += self.writer.append(records, now).await.unwrap();
        }
        new
    }

    pub(crate) async fn verify(&self, older: &[String], witness: Option<&Witness>) -> Findings {
        let evidence = Evidence {
            key: &self.key,
            older,
            witness,
            last_number: None,
        };
        self.store.verify(&evidence, |_| {}).await.unwrap()
    }

    pub(crate) async fn faults(&self) -> Vec<String> {
        self.verify(&[], None).await.faults
    }

    pub(crate) async fn execute(&self, sql: &str) {
        database::execute(&self.store, sql).await;
    }

    pub(crate) async fn checkpoint(&self) -> String {
        self.store.logs().await.unwrap().pop().unwrap().1
    }
}

#[cfg(not(feature = "postgresql-tests"))]
pub(crate) mod database {
    use sqlx::AssertSqlSafe;

    use crate::store::Store;

    /// Removed when it is dropped.
    pub(crate) type Place = tempfile::TempDir;

    /// An empty store.
    pub(crate) async fn fresh() -> (Place, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&address_of(&folder)).await.unwrap();
        (folder, store)
    }

    pub(crate) fn address_of(place: &Place) -> String {
        format!("sqlite:{}", place.path().join("audit.db").display())
    }

    /// A store with the same content.
    pub(crate) async fn copy(_: &Place, store: &Store) -> (Place, Store) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db").display().to_string();
        execute(store, &format!("VACUUM INTO '{path}'")).await;
        let copy = Store::open(&format!("sqlite:{path}")).await.unwrap();
        (folder, copy)
    }

    pub(crate) async fn execute(store: &Store, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        sql.execute(&store.pool).await.unwrap();
    }

    /// A text as bytes.
    pub(crate) fn bytes(text: &str) -> String {
        format!("CAST('{text}' AS BLOB)")
    }

    /// As many bytes, all of them 0.
    pub(crate) fn zeros(length: &str) -> String {
        format!("zeroblob({length})")
    }
}

#[cfg(feature = "postgresql-tests")]
pub(crate) mod database {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use sqlx::AssertSqlSafe;

    use crate::store::Store;

    /// The address of a database in which schemas may be made.
    const ADDRESS: &str = "KEYGUARD_POSTGRESQL";

    /// A schema; the database itself is thrown away.
    pub(crate) struct Place(pub(crate) String);

    pub(crate) fn address() -> String {
        std::env::var(ADDRESS).expect("tests/tools/postgresql/run names the database")
    }

    pub(crate) async fn fresh() -> (Place, Store) {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let schema = format!(
            "test_{}_{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        // Several that make the first schema of a database at once would be in each other's way.
        let admin = sqlx::postgres::PgPool::connect(&address()).await.unwrap();
        let create = sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {schema}")));
        create.execute(&admin).await.unwrap();
        admin.close().await;
        let store = Store::open(&within(&schema)).await.unwrap();
        (Place(schema), store)
    }

    pub(crate) fn address_of(place: &Place) -> String {
        within(&place.0)
    }

    /// The address of a schema.
    fn within(schema: &str) -> String {
        format!("{}?options[search_path]={schema}", address())
    }

    pub(crate) async fn copy(from: &Place, _: &Store) -> (Place, Store) {
        let (place, copy) = fresh().await;
        for table in [
            "entries",
            "records",
            "record_rules",
            "tiles",
            "checkpoints",
            "hours",
        ] {
            let (from, to) = (&from.0, &place.0);
            let rows = format!("INSERT INTO {to}.{table} SELECT * FROM {from}.{table}");
            execute(&copy, &rows).await;
        }
        (place, copy)
    }

    pub(crate) async fn execute(store: &Store, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        sql.execute(&store.pool).await.unwrap();
    }

    pub(crate) fn bytes(text: &str) -> String {
        format!("convert_to('{text}', 'UTF8')")
    }

    pub(crate) fn zeros(length: &str) -> String {
        format!("decode(repeat('00', {length}), 'hex')")
    }
}
