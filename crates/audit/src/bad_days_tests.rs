//! Bad days of a store: what a person sees, and that what can go on does.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::poll_immediate;
use serde_json::json;

use crate::evidence::Evidence;
use crate::query::{Cursor, Filter};
use crate::store::{Store, StoreError};
use crate::test_store::{MONDAY, database, kept, record};

#[tokio::test]
async fn a_store_of_a_newer_schema_is_left_alone() {
    let kept = kept(10).await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 SELECT 9999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    database::execute(&kept.store, newer).await;
    for opened in [
        Store::open(&kept.address()).await,
        Store::open_to_read(&kept.address()).await,
    ] {
        let error = opened.unwrap_err();
        assert!(matches!(error, StoreError::Newer), "{error:?}");
        assert!(
            error.to_string().contains("use the version that wrote it"),
            "{error}"
        );
    }
}

#[cfg(not(feature = "postgresql-tests"))]
#[tokio::test]
async fn a_store_that_is_locked_is_waited_for_and_said_and_written_once_it_is_free() {
    let mut kept = kept(10).await;
    let mut other = kept.store.pool.acquire().await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE")
        .execute(&mut *other)
        .await
        .unwrap();
    let error = kept.writer.append(&[record(11)], MONDAY).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("locked"), "{source}");
    sqlx::query("ROLLBACK").execute(&mut *other).await.unwrap();
    assert_eq!(kept.writer.append(&[record(11)], MONDAY).await.unwrap(), 1);
    assert_eq!(kept.faults().await, [""; 0]);
}

#[cfg(not(feature = "postgresql-tests"))]
#[tokio::test]
async fn pages_that_a_disk_has_damaged_are_found() {
    use std::io::{Seek as _, SeekFrom, Write as _};
    let kept = kept(1000).await;
    let copy = kept.copy().await;
    copy.store.close().await;
    let path = copy.path();
    let length = std::fs::metadata(&path).unwrap().len();
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(length / 2 / 4096 * 4096))
        .unwrap();
    file.write_all(&[0xa5; 4 * 4096]).unwrap();
    drop(file);
    let damaged = Store::open_to_read(&format!("sqlite:{}", path.display()))
        .await
        .unwrap();
    let evidence = Evidence {
        key: &kept.key,
        older: &[],
        witness: None,
        last_number: None,
    };
    let found = damaged.verify(&evidence, |_| {}).await.unwrap();
    let is_said = |fault: &String| fault.starts_with("SQLite finds the file damaged");
    assert!(found.faults.iter().any(is_said), "{found}");
}

#[tokio::test]
async fn a_store_is_verified_as_it_was_at_a_moment_while_somebody_writes_to_it() {
    let mut kept = kept(2_000).await;
    let address = kept.address();
    let key = kept.key.clone();
    let done = Cell::new(false);
    let writing = async {
        for number in 2_001.. {
            if done.get() {
                return number - 1;
            }
            kept.append(number..=number, MONDAY).await;
        }
        0
    };
    let verifying = async {
        let mut sizes = Vec::new();
        for _ in 0..3 {
            let store = Store::open_snapshot(&address).await.unwrap();
            let evidence = Evidence {
                key: &key,
                older: &[],
                witness: None,
                last_number: None,
            };
            let found = store.verify(&evidence, |_| {}).await.unwrap();
            assert_eq!(found.faults, [""; 0]);
            sizes.push(found.entries);
        }
        done.set(true);
        sizes
    };
    let (written, sizes) = tokio::join!(writing, verifying);
    assert!(sizes.is_sorted() && sizes[0] >= 2_000, "{sizes:?}");
    assert!(written > sizes[0], "{written} after {sizes:?}");
}

#[tokio::test]
async fn a_name_with_the_character_nul_is_stored_as_it_was_sent_and_found() {
    let mut kept = kept(3).await;
    let mut odd = record(4);
    odd.tool = serde_json::from_value(json!({"helmRelease": "a\0b"})).unwrap();
    odd.user.name = "eve\0".to_owned();
    assert_eq!(kept.writer.append(&[odd.clone()], MONDAY).await.unwrap(), 1);
    let wanted = Filter {
        user: Some(odd.user.name.clone()),
        tool: Some("a\0b".to_owned()),
        ..Filter::default()
    };
    let (found, _) = kept.store.find(&wanted, 10).await.unwrap();
    assert_eq!(found.first().unwrap().record().unwrap(), odd);
    assert_eq!(kept.faults().await, [""; 0]);
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_any_more_leaves_no_doubt_behind() {
    let mut kept = kept(5).await;
    for number in 6..60 {
        let records = [record(number)];
        {
            // Given up at another moment each time; most of them are in the middle of the write.
            let mut write = std::pin::pin!(kept.writer.append(&records, MONDAY));
            for _ in 0..number % 27 {
                if poll_immediate(&mut write).await.is_some() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        // A sender that got no answer sends the same again.
        kept.writer.append(&records, MONDAY).await.unwrap();
    }
    let all: Vec<_> = (1..60).map(record).collect();
    kept.writer.append(&all, MONDAY).await.unwrap();
    assert_eq!(kept.writer.append(&all, MONDAY).await.unwrap(), 0);
    let found = kept.verify(&[], None).await;
    assert_eq!((found.faults, found.entries), (Vec::new(), 59));
}

#[tokio::test]
async fn a_page_of_long_records_is_shorter_and_goes_on_where_it_ends() {
    let mut kept = kept(0).await;
    let long: Vec<_> = (1..=300)
        .map(|number| {
            let mut record = record(number);
            record.reason = "x".repeat(60_000);
            record
        })
        .collect();
    for long in long.chunks(100) {
        kept.writer.append(long, MONDAY).await.unwrap();
    }
    let (mut filter, mut pages, mut all) = (Filter::default(), 0, 0);
    loop {
        let page = kept.store.query(&filter, 10_000).await.unwrap();
        pages += 1;
        all += page.records.len();
        let Some(next) = page.next else { break };
        filter.after = Cursor::parse(&next);
    }
    assert_eq!((pages, all), (3, 300));
}
