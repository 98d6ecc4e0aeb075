//! What PostgreSQL alone can do to a store.

use std::process::Command;

use sqlx::{AssertSqlSafe, Row as _};

use crate::evidence::Evidence;
use crate::note::SigningKey;
use crate::store::{Store, StoreError};
use crate::test_store::{MONDAY, database, kept, record};
use crate::writer::Writer;

/// A command that takes `start` or `stop`.
const CONTROL: &str = "KEYGUARD_POSTGRESQL_CONTROL";

fn control(verb: &str) {
    let control = std::env::var(CONTROL).expect("tests/tools/postgresql/run names it");
    let command = format!("{control} {verb}");
    let done = Command::new("sh").args(["-c", &command]).status().unwrap();
    assert!(done.success(), "{command}: {done}");
}

/// Alone in its process: the others need the server that it stops (tests/tools/postgresql/run).
#[tokio::test]
async fn while_it_is_away_writes_fail_and_afterwards_everything_is_whole() {
    let mut kept = kept(300).await;
    control("stop");
    let records: Vec<_> = (301..=400).map(record).collect();
    let error = kept.writer.append(&records, MONDAY).await.unwrap_err();
    assert!(matches!(error, StoreError::Sql(_)), "{error:?}");
    assert!(kept.writer.append(&records, MONDAY).await.is_err());
    control("start");
    assert_eq!(kept.writer.append(&records, MONDAY).await.unwrap(), 100);
    let found = kept.verify(&[], None).await;
    assert_eq!((found.faults.len(), found.entries), (0, 400), "{found}");
}

#[tokio::test]
async fn the_password_is_in_no_error() {
    let address = database::address();
    let password = address.split_once("//").unwrap().1;
    let password = password.split_once(':').unwrap().1;
    let password = password.split_once('@').unwrap().0;
    let table = [
        address.replace(password, "wrong-password"),
        address.replace("127.0.0.1:", "127.0.0.1:1"),
        address.replace("/postgres", "/none"),
        format!("{address}?options[search_path]=none-such"),
        address.replace("postgres:", "postgresql:/"),
    ];
    for address in table {
        let Err(error) = Store::open(&address).await else {
            panic!("{address}");
        };
        let said = format!("{error} {error:?}");
        assert!(
            !said.contains(password) && !said.contains("wrong-password"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_write_that_was_stopped_in_its_middle_leaves_nothing_and_is_done_again() {
    let mut kept = kept(100).await;
    let records: Vec<_> = (101..=1100).map(record).collect();
    // A lock holds it up behind its entries, where it is stopped.
    let lock = format!(
        "LOCK TABLE {}.hours IN ACCESS EXCLUSIVE MODE",
        kept.schema()
    );
    let backends = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
                    WHERE query LIKE 'INSERT INTO hours%' AND wait_event_type = 'Lock'";
    let (_place, other) = database::fresh().await;
    for records in records.chunks(500) {
        let mut locked = other.pool.begin().await.unwrap();
        let lock = sqlx::query(AssertSqlSafe(lock.clone()));
        lock.execute(&mut *locked).await.unwrap();
        let stop = async {
            let mut stopped = 0_i64;
            while stopped == 0 {
                let row = sqlx::query(backends).fetch_one(&other.pool).await;
                stopped = row.unwrap().try_get(0).unwrap();
            }
            locked.rollback().await.unwrap();
        };
        let (written, ()) = tokio::join!(kept.writer.append(records, MONDAY), stop);
        assert!(written.is_err());
        assert_eq!(kept.writer.append(records, MONDAY).await.unwrap(), 500);
    }
    let found = kept.verify(&[], None).await;
    assert_eq!((found.faults.len(), found.entries), (0, 1100), "{found}");
}

#[tokio::test]
async fn who_may_only_read_can_verify_and_not_write() {
    let kept = kept(300).await;
    let schema = kept.schema();
    let grants = format!(
        "CREATE ROLE auditor_of_{schema} LOGIN PASSWORD 'auditor'; GRANT USAGE ON SCHEMA {schema} TO auditor_of_{schema}; \
         GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO auditor_of_{schema}"
    );
    database::execute(&kept.store, &grants).await;
    let (_, host) = database::address()
        .split_once('@')
        .map(|(user, host)| (user.to_owned(), host.to_owned()))
        .unwrap();
    let address =
        format!("postgres://auditor_of_{schema}:auditor@{host}?options[search_path]={schema}");
    let store = Store::open_to_read(&address).await.unwrap();
    let evidence = Evidence {
        key: &kept.key,
        older: &[],
        witness: None,
        last_number: None,
    };
    let found = store.verify(&evidence, |_| {}).await.unwrap();
    assert_eq!((found.faults.len(), found.entries), (0, 300), "{found}");
    let key = SigningKey::parse(&SigningKey::generate().unwrap()).unwrap();
    let writer = Writer::new(store, key, "test".to_owned(), "auditor".to_owned());
    assert!(writer.await.is_err());
}
