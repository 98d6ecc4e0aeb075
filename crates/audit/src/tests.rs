//! The store as a whole: what is written is found, verified, and any change of it is named.

use keyguard_core::record::Record;

use crate::entry::Mark;
use crate::follower::Follower;
use crate::note::{Checkpoint, SigningKey};
use crate::query::{Cursor, Filter};
use crate::retention::Retention;
use crate::store::StoreError;
use crate::test_store::{Kept, MONDAY, WEEK, database, kept, record};
use crate::writer::Writer;

#[tokio::test]
async fn what_is_written_is_found_by_each_filter_a_page_at_a_time() {
    let kept = kept(1000).await;
    let text = |text: &str| Some(text.to_owned());
    let all = Filter::default();
    let table = [
        (all.clone(), 1000),
        (
            Filter {
                decision: text("deny"),
                ..all.clone()
            },
            333,
        ),
        (
            Filter {
                rule: text("accounts/api-key-removed"),
                ..all.clone()
            },
            333,
        ),
        (
            Filter {
                rule: text("accounts/api-key-removed"),
                user: text("user0"),
                ..all.clone()
            },
            47,
        ),
        (
            Filter {
                user: text("user1"),
                ..all.clone()
            },
            143,
        ),
        (
            Filter {
                tool: text("kubectl"),
                namespace: text("argocd"),
                object: text("argocd-cm"),
                ..all.clone()
            },
            1000,
        ),
        (
            Filter {
                fingerprint: text("f3"),
                dry_run: Some(true),
                ..all.clone()
            },
            100,
        ),
        (
            Filter {
                since: Some(MONDAY + 11_000),
                until: Some(MONDAY + 21_000),
                ..all.clone()
            },
            10,
        ),
        (
            Filter {
                user: text("nobody"),
                ..all
            },
            0,
        ),
    ];
    for (mut filter, expected) in table {
        let (mut found, mut pages) = (Vec::new(), 0);
        loop {
            let page = kept.store.query(&filter, 90).await.unwrap();
            found.extend(page.records.iter().map(|it| it.get().to_owned()));
            pages += 1;
            match page.next {
                Some(next) => filter.after = Some(Cursor::parse(&next).unwrap()),
                None => break,
            }
        }
        assert_eq!(found.len(), expected, "{filter:?}");
        assert_eq!(pages, expected.div_ceil(90).max(1), "{filter:?}");
        let number = |it: &String| serde_json::from_str::<Record>(it).unwrap().number;
        assert!(
            found
                .windows(2)
                .all(|pair| number(&pair[0]) > number(&pair[1]))
        );
    }
}

#[tokio::test]
async fn a_log_continues_after_a_restart_and_from_week_to_week_and_is_intact() {
    let mut kept = kept(700).await;
    assert_eq!(
        kept.append(600..=800, MONDAY).await,
        100,
        "what is there changes nothing"
    );
    let pem = SigningKey::generate().unwrap();
    let key = SigningKey::parse(&pem).unwrap();
    let other = Writer::new(kept.store.clone(), key, "test".to_owned(), "two".to_owned()).await;
    assert!(other.is_err(), "another key cannot continue the log");
    kept.append(801..=900, MONDAY + WEEK).await;
    // A clock that goes back does not open the log of a week that has passed.
    kept.append(901..=950, MONDAY).await;
    let found = kept.verify(&[], None).await;
    assert_eq!(found.faults, [""; 0]);
    assert_eq!((found.entries, found.logs), (951, 2));
    assert_eq!(
        kept.writer.head().unwrap().log.split('+').next(),
        Some("keyguard/test/2026-W49")
    );
    let head = kept.checkpoint().await;
    let head = Checkpoint::verify(&head, "keyguard/test/2026-W49", &kept.key).unwrap();
    assert_eq!(head.size, 151);
}

#[tokio::test]
async fn whole_weeks_go_when_they_are_too_old_or_too_much_and_the_rest_is_intact() {
    let mut kept = kept(300).await;
    let older = kept.checkpoint().await;
    for week in 1..5 {
        let first = 300 + u64::try_from(week).unwrap() * 50;
        kept.append(first..first + 50, MONDAY + week * WEEK).await;
    }
    let now = MONDAY + 4 * WEEK;
    let age = |weeks| Retention {
        milliseconds: Some(weeks * WEEK),
        bytes: None,
    };
    assert_eq!(
        kept.writer
            .retain(Retention::default(), now)
            .await
            .unwrap()
            .weeks,
        [""; 0]
    );
    assert_eq!(
        kept.writer.retain(age(4), now).await.unwrap().weeks,
        [""; 0]
    );
    // Its last moment was three weeks and a moment ago.
    assert_eq!(
        kept.writer.retain(age(3), now).await.unwrap().weeks,
        ["2026-W48"]
    );
    let found = kept.verify(&[older], None).await;
    assert_eq!(
        found.faults, [""; 0],
        "an older checkpoint of a log that was deleted is no fault"
    );
    assert!(
        found
            .notes
            .contains(&"the logs up to 2026-W48 were deleted, as an entry says".to_owned()),
        "{found}"
    );
    // Records of four weeks with a mark each, and the mark of the deletion.
    assert_eq!((found.logs, found.entries), (4, 205));
    let all = kept
        .store
        .query(&Filter::default(), 10_000)
        .await
        .unwrap()
        .records;
    assert_eq!(all.len(), 200);

    let two_weeks = Retention {
        milliseconds: None,
        bytes: Some(2 * 50 * 600),
    };
    assert_eq!(
        kept.writer.retain(two_weeks, now).await.unwrap().weeks,
        ["2026-W49", "2026-W50"]
    );
    let none = Retention {
        milliseconds: Some(0),
        bytes: Some(0),
    };
    assert_eq!(
        kept.writer.retain(none, now).await.unwrap().weeks,
        ["2026-W51"],
        "the week that grows stays"
    );
    kept.append(1_000..1_010, now).await;
    assert_eq!(kept.faults().await, [""; 0]);
    // What nobody says was deleted is missed.
    let mut other = kept_of_two_weeks().await;
    other
        .execute("DELETE FROM checkpoints WHERE week = (SELECT MIN(week) FROM checkpoints)")
        .await;
    let expected = "the log of 2026-W48 is missing, and no entry says that it was deleted";
    assert!(other.faults().await.contains(&expected.to_owned()));
    other.append(900..901, MONDAY + WEEK).await;
    assert!(other.faults().await.contains(&expected.to_owned()));
}

async fn kept_of_two_weeks() -> Kept {
    let mut kept = kept(50).await;
    kept.append(51..60, MONDAY + WEEK).await;
    kept
}

#[tokio::test]
async fn of_two_writers_the_one_that_began_first_stops() {
    let (_place, store) = database::fresh().await;
    let pem = SigningKey::generate().unwrap();
    let writer = async |id: &str| {
        let key = SigningKey::parse(&pem).unwrap();
        Writer::new(store.clone(), key, "test".to_owned(), id.to_owned())
            .await
            .unwrap()
    };
    let mut first = writer("first").await;
    first.append(&[record(1)], MONDAY).await.unwrap();
    let mut second = writer("second").await;
    second.append(&[record(2)], MONDAY).await.unwrap();
    let error = first.append(&[record(3)], MONDAY).await.unwrap_err();
    assert!(
        error.to_string().contains("another keyguard writes"),
        "{error}"
    );
    second.append(&[record(4)], MONDAY).await.unwrap();
}

#[cfg(not(feature = "postgresql-tests"))]
#[tokio::test]
async fn after_a_transaction_that_sqlite_ended_itself_what_is_said_to_be_written_is_there() {
    let mut kept = kept(100).await;
    // As on a full disk, SQLite ends the transaction by itself.
    kept.execute(
        "CREATE TRIGGER full BEFORE INSERT ON entries BEGIN SELECT RAISE(ROLLBACK, 'full'); END",
    )
    .await;
    let records: Vec<Record> = (101..=1000).map(record).collect();
    for _ in 0..3 {
        assert!(kept.writer.append(&records, MONDAY).await.is_err());
    }
    kept.execute("DROP TRIGGER full").await;
    for records in records.chunks(100) {
        assert_eq!(kept.writer.append(records, MONDAY).await.unwrap(), 100);
    }
    let found = kept.verify(&[], None).await;
    assert_eq!((found.faults.len(), found.entries), (0, 1000));
}

#[test]
fn both_databases_have_the_same_schema() {
    let sqlite = include_str!("../migrations/sqlite/0001_records.sql");
    let postgres = include_str!("../migrations/postgres/0001_records.sql");
    let plain = |schema: &str| {
        let one = |schema: String, (of, to): (&str, &str)| schema.replace(of, to);
        let types = [
            ("BIGINT", "INTEGER"),
            ("BYTEA", "BLOB"),
            (" WITHOUT ROWID", ""),
        ];
        let schema = types.into_iter().fold(schema.to_owned(), one);
        schema
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(plain(sqlite), plain(postgres));
}

#[tokio::test]
async fn a_mark_that_the_log_has_no_room_for_is_refused_and_leaves_it_as_it_was() {
    let mut kept = kept(3).await;
    let mark = Mark::Looked {
        user: "alice".to_owned(),
        // JSON has two bytes for each.
        at: "\\".repeat(40_000),
        time: "2026-11-27T12:00:00Z".to_owned(),
    };
    let refused = kept.writer.mark(&mark, MONDAY).await;
    assert!(matches!(refused, Err(StoreError::TooLong)), "{refused:?}");
    kept.append(4..=4, MONDAY).await;
    assert_eq!(kept.faults().await, [""; 0]);
}

#[tokio::test]
async fn what_is_deleted_before_it_was_sent_is_told() {
    let mut kept = kept(5).await;
    let mut follower = Follower::open(kept.store.clone(), "webhook").await.unwrap();
    kept.append(6..=8, MONDAY).await;
    let found = follower.next(1).await.unwrap();
    follower.has(found.last().unwrap()).await.unwrap();
    kept.append(9..=9, MONDAY + WEEK).await;
    let retention = Retention {
        milliseconds: Some(0),
        bytes: None,
    };
    let deleted = kept.writer.retain(retention, MONDAY + WEEK).await.unwrap();
    assert_eq!(deleted.weeks, ["2026-W48"]);
    assert_eq!(deleted.unsent, [("webhook".to_owned(), 2)]);
}
