//! The store as a whole: what is written is found, verified, and any change of it is named.

use keyguard_core::record::Record;
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::evidence::Evidence;
use crate::findings::Findings;
use crate::note::{Checkpoint, SigningKey, VerifyingKey};
use crate::query::{Cursor, Filter};
use crate::store::Store;
use crate::witness::Witness;
use crate::writer::Writer;

const MONDAY: i64 = 1_795_392_000_000; // 23 November 2026
const WEEK: i64 = 7 * 86_400_000;

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

struct Kept {
    _folder: tempfile::TempDir,
    store: Store,
    writer: Writer,
    key: VerifyingKey,
}

async fn kept(records: u64) -> Kept {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("sqlite:{}", folder.path().join("audit.db").display());
    let store = Store::open(&address).await.unwrap();
    let key = SigningKey::parse(&SigningKey::generate().unwrap()).unwrap();
    let public = key.verifying_key();
    let writer = Writer::new(store.clone(), key, "test".to_owned(), "one".to_owned());
    let mut kept = Kept {
        _folder: folder,
        store,
        writer: writer.await.unwrap(),
        key: public,
    };
    kept.append(1..=records, MONDAY).await;
    kept
}

impl Kept {
    async fn append(&mut self, numbers: impl Iterator<Item = u64>, now: i64) -> usize {
        let records: Vec<Record> = numbers.map(record).collect();
        let mut new = 0;
        for records in records.chunks(100) {
            new += self.writer.append(records, now).await.unwrap();
        }
        new
    }

    async fn verify(&self, older: &[String], witness: Option<&Witness>) -> Findings {
        let evidence = Evidence {
            key: &self.key,
            older,
            witness,
        };
        self.store.verify(&evidence, |_| {}).await.unwrap()
    }

    async fn faults(&self) -> Vec<String> {
        self.verify(&[], None).await.faults
    }

    async fn execute(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        sqlx::query(sql).execute(&self.store.pool).await.unwrap();
    }

    async fn checkpoint(&self) -> String {
        self.store.logs().await.unwrap().pop().unwrap().1
    }
}

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
    assert_eq!(kept.writer.head().unwrap().week, "2026-W49");
    let head = kept.checkpoint().await;
    let head = Checkpoint::verify(&head, "keyguard/test/2026-W49", &kept.key).unwrap();
    assert_eq!(head.size, 151);
}

#[tokio::test]
async fn of_two_writers_the_one_that_began_first_stops() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("sqlite:{}", folder.path().join("audit.db").display());
    let store = Store::open(&address).await.unwrap();
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

#[tokio::test]
async fn each_kind_of_tampering_is_named() {
    let body = |number: u64| {
        serde_json::to_string(&record(number))
            .unwrap()
            .replace("keyguard-0", "keyguard-1")
    };
    let position = "(SELECT position FROM records WHERE number = 300)";
    let other = "(SELECT position FROM records WHERE number = 400)";
    let id = record(300).id;
    let changed = body(300);
    let table: [(&str, Vec<String>, String); 9] = [
        ("bytes", vec![format!("UPDATE entries SET body = CAST('{changed}' AS BLOB) WHERE position = {position}")], format!("record {id}, entry 299 of the log of 2026-W48, was changed")),
        ("no JSON", vec![format!("UPDATE entries SET body = CAST('x' AS BLOB) WHERE position = {position}")], format!("record {id} of 2026-W48 cannot be read any more")),
        ("removed", vec![format!("DELETE FROM entries WHERE position = {position}"), "DELETE FROM records WHERE number = 300".to_owned()], "entry 299 of the log of 2026-W48 was removed".to_owned()),
        ("cut", vec!["DELETE FROM entries WHERE position >= (SELECT position FROM records WHERE number = 900)".to_owned()], "101 entries are missing at the end of the log of 2026-W48, from number 899 on".to_owned()),
        ("inserted", vec![format!("INSERT INTO entries SELECT MAX(position) + 1, CAST('{changed}' AS BLOB) FROM entries")], format!("record {id} was inserted behind the end of the log of 2026-W48")),
        ("swapped", vec![
            format!("CREATE TABLE kept AS SELECT body FROM entries WHERE position = {position}"),
            format!("UPDATE entries SET body = (SELECT body FROM entries WHERE position = {other}) WHERE position = {position}"),
            format!("UPDATE entries SET body = (SELECT body FROM kept) WHERE position = {other}"),
        ], format!("record {id} was moved to entry 399 of the log of 2026-W48 from entry 299")),
        ("columns", vec!["UPDATE records SET decision = 'allow' WHERE number = 300".to_owned()], format!("what record {id} of 2026-W48 is searched by is not what it says")),
        ("tile", vec!["UPDATE tiles SET hashes = zeroblob(length(hashes)) WHERE level = 1".to_owned()], "tile 0 of level 1 of the log of 2026-W48 does not fit the entries below it".to_owned()),
        ("checkpoint", vec!["UPDATE checkpoints SET note = replace(note, '1000', '0999')".to_owned()], "the checkpoint of 2026-W48: not a checkpoint: origin, size and root in base64, an empty line, then signatures".to_owned()),
    ];
    for (what, statements, expected) in table {
        let kept = kept(1000).await;
        assert_eq!(kept.faults().await, [""; 0]);
        for statement in statements {
            kept.execute(&statement).await;
        }
        let faults = kept.faults().await;
        assert!(faults.contains(&expected), "{what}: {faults:#?}");
    }
}

#[tokio::test]
async fn who_has_the_key_and_writes_everything_anew_is_found_by_what_others_kept() {
    let first = kept(500).await;
    let older = first.checkpoint().await;
    let mut second = kept(0).await;
    let key = SigningKey::parse(&SigningKey::generate().unwrap()).unwrap();
    second.key = key.verifying_key();
    let writer = Writer::new(second.store.clone(), key, "test".to_owned(), "x".to_owned());
    second.writer = writer.await.unwrap();
    // All but one.
    second
        .append((1..=600).filter(|it| *it != 300), MONDAY)
        .await;
    assert_eq!(second.faults().await, [""; 0]);

    // The same key, in a world where it was stolen.
    let mut third = kept(0).await;
    let stolen = SigningKey::generate().unwrap();
    let sign = || SigningKey::parse(&stolen).unwrap();
    third.key = sign().verifying_key();
    let writer = Writer::new(
        third.store.clone(),
        sign(),
        "test".to_owned(),
        "x".to_owned(),
    );
    third.writer = writer.await.unwrap();
    third.append(1..=500, MONDAY).await;
    let honest = third.checkpoint().await;
    let head = third.writer.head().unwrap();
    third.execute("DELETE FROM entries").await;
    for table in ["records", "record_rules", "tiles", "checkpoints", "hours"] {
        third.execute(&format!("DELETE FROM {table}")).await;
    }
    let writer = Writer::new(
        third.store.clone(),
        sign(),
        "test".to_owned(),
        "y".to_owned(),
    );
    third.writer = writer.await.unwrap();
    third
        .append((1..=600).filter(|it| *it != 300), MONDAY)
        .await;
    assert_eq!(third.faults().await, [""; 0]);
    let found = third.verify(&[honest], None).await.faults;
    assert_eq!(
        found,
        [
            "the first 500 entries of the log of 2026-W48 are not those that the older checkpoint has a checkpoint of"
        ]
    );
    // A checkpoint by another key is none.
    assert_eq!(third.verify(&[older], None).await.faults.len(), 1);

    use base64::Engine as _;
    let root = base64::engine::general_purpose::STANDARD.encode(head.root);
    let event = |number: u64| {
        let annotations = json!({
            "argocd-cm.keyguard.dev/record": record(number).id,
            "argocd-cm.keyguard.dev/checkpoint": format!("{} {} {root}", head.week, head.size),
        });
        json!({"kind": "Event", "auditID": format!("a{number}"), "stage": "ResponseComplete", "verb": "patch",
               "stageTimestamp": record(number).time, "annotations": annotations}).to_string()
    };
    let mut witness = Witness::default();
    let failed = json!({"auditID": "f", "stage": "ResponseComplete", "annotations": {
        "failed-open.validating.webhook.admission.k8s.io/round_0_index_0": "argocd-cm.keyguard.dev"}});
    let lines = format!("{}\n{}\n{}\n{failed}\n", event(299), event(300), event(301));
    witness.read(lines.as_bytes()).unwrap();
    let found = third.verify(&[], Some(&witness)).await;
    assert_eq!(found.faults.len(), 2, "{found}");
    assert!(
        found.faults[0].contains("the API server's event a299"),
        "{found}"
    );
    assert!(
        found.faults[1].starts_with(&format!("record {} is not here", record(300).id)),
        "{found}"
    );
    assert!(
        found
            .notes
            .iter()
            .any(|it| it.contains("keyguard was not asked")),
        "{found}"
    );
    assert!(
        found
            .notes
            .iter()
            .any(|it| it.starts_with("1 decisions of replica")),
        "{found}"
    );
}

#[tokio::test]
async fn a_week_that_is_put_back_to_what_it_was_in_its_middle_is_found() {
    let mut kept = kept(500).await;
    let older = kept.checkpoint().await;
    kept.append(501..=700, MONDAY).await;
    kept.append(701..=750, MONDAY + WEEK).await;
    assert_eq!(kept.faults().await, [""; 0]);
    let week = crate::week::Week::of(MONDAY);
    let [from, to] = [500, 1 << 31].map(|index| crate::week::Place { week, index }.position());
    for table in ["entries", "records", "record_rules"] {
        kept.execute(&format!(
            "DELETE FROM {table} WHERE position >= {from} AND position < {to}"
        ))
        .await;
    }
    kept.execute(&format!(
        "UPDATE checkpoints SET note = '{older}' WHERE week = {}",
        week.number()
    ))
    .await;
    let expected = "the checkpoint of 2026-W48 is not the one with which the next log continues it";
    let faults = kept.faults().await;
    assert!(faults.iter().any(|fault| fault == expected), "{faults:#?}");
}

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

#[tokio::test]
async fn an_entry_far_behind_the_end_and_a_week_without_a_name_end_soon() {
    let kept = kept(10).await;
    let week = crate::week::Week::of(MONDAY).number();
    kept.execute(&format!(
        "INSERT INTO entries VALUES ({}, x'00')",
        (week << 32) + 0xffff_ffff
    ))
    .await;
    let faults = kept.faults().await;
    assert!(
        faults.iter().any(|fault| fault.contains("behind the end")),
        "{faults:?}"
    );
    kept.execute("INSERT INTO checkpoints VALUES (2000000000, 'x')")
        .await;
    let evidence = Evidence {
        key: &kept.key,
        older: &[],
        witness: None,
    };
    assert!(kept.store.verify(&evidence, |_| {}).await.is_err());
}
