//! Bad days of a store: what a person sees, and that what can go on does.

use std::cell::Cell;

use crate::evidence::Evidence;
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
