//! What was changed after it was written is named.

use serde_json::json;

use crate::note::SigningKey;
use crate::test_store::database::{bytes, zeros};
use crate::test_store::{MONDAY, WEEK, kept, record};
use crate::witness::Witness;

/// What somebody does to a store, by statements, and what must be said of it.
type Tampering = (&'static str, Vec<String>, String);

#[cfg(not(feature = "postgresql-tests"))]
const TRIGGER: &str = "CREATE TRIGGER hide AFTER INSERT ON records BEGIN DELETE FROM records WHERE decision = 'deny'; END";
#[cfg(feature = "postgresql-tests")]
const TRIGGER: &str = "CREATE FUNCTION hide() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; \
                       CREATE TRIGGER hide BEFORE INSERT ON records FOR EACH ROW EXECUTE FUNCTION hide()";

/// Changes of the log itself.
fn of_the_log() -> Vec<Tampering> {
    let body = |number: u64| {
        serde_json::to_string(&record(number))
            .unwrap()
            .replace("keyguard-0", "keyguard-1")
    };
    let one = |statement: &str| vec![statement.to_owned()];
    let position = "(SELECT position FROM records WHERE number = 300)";
    let other = "(SELECT position FROM records WHERE number = 400)";
    let id = record(300).id;
    let changed = bytes(&body(300));
    let longer = match cfg!(feature = "postgresql-tests") {
        true => "hashes || substring(hashes for 32)",
        false => "CAST(hashes || zeroblob(32) AS BLOB)",
    };
    vec![
        ("bytes", vec![format!("UPDATE entries SET body = {changed} WHERE position = {position}")], format!("record {id}, entry 299 of the log of 2026-W48, was changed")),
        ("no JSON", vec![format!("UPDATE entries SET body = {} WHERE position = {position}", bytes("x"))], format!("record {id} of 2026-W48 cannot be read any more")),
        ("no bytes", vec![format!("UPDATE entries SET body = 'text' WHERE position = {position}")], format!("record {id} of 2026-W48 cannot be read any more")),
        ("removed", vec![format!("DELETE FROM entries WHERE position = {position}"), "DELETE FROM records WHERE number = 300".to_owned()], "entry 299 of the log of 2026-W48 was removed".to_owned()),
        ("cut", one("DELETE FROM entries WHERE position >= (SELECT position FROM records WHERE number = 900)"), "101 entries are missing at the end of the log of 2026-W48, from number 899 on".to_owned()),
        ("inserted", vec![format!("INSERT INTO entries SELECT MAX(position) + 1, {changed} FROM entries")], format!("record {id} was inserted behind the end of the log of 2026-W48")),
        ("elsewhere", one("INSERT INTO entries SELECT position + 1099511627776, body FROM entries WHERE position = (SELECT MAX(position) FROM entries)"), "1 entries are in no log that has a checkpoint".to_owned()),
        ("swapped", vec![
            format!("CREATE TABLE kept AS SELECT body FROM entries WHERE position = {position}"),
            format!("UPDATE entries SET body = (SELECT body FROM entries WHERE position = {other}) WHERE position = {position}"),
            format!("UPDATE entries SET body = (SELECT body FROM kept) WHERE position = {other}"),
        ], format!("record {id} was moved to entry 399 of the log of 2026-W48 from entry 299")),
        ("tile", vec![format!("UPDATE tiles SET hashes = {} WHERE level = 1", zeros("length(hashes)"))], "tile 0 of level 1 of the log of 2026-W48 does not fit the entries below it".to_owned()),
        ("long tile", vec![format!("UPDATE tiles SET hashes = {longer} WHERE level = 0 AND place = 3")], "tile 3 of level 0 of the log of 2026-W48 has more than 232 hashes, which is what it should have".to_owned()),
        ("another tile", one("INSERT INTO tiles SELECT week, 0, 4, hashes FROM tiles WHERE level = 0 AND place = 0"), "tile 4 of level 0 of the log of 2026-W48 has more than 0 hashes, which is what it should have".to_owned()),
        ("tile of no log", one("INSERT INTO tiles SELECT week + 1, 0, 0, hashes FROM tiles WHERE level = 0 AND place = 0"), "tile 0 of level 0 of the log of 2026-W49 has more than 0 hashes, which is what it should have".to_owned()),
        ("text as a tile", one("UPDATE tiles SET hashes = 'text' WHERE level = 1"), "tile 0 of level 1 of the log of 2026-W48 does not fit the entries below it".to_owned()),
        ("checkpoint", one("UPDATE checkpoints SET note = replace(note, '1000', '0999')"), "the checkpoint of 2026-W48: not a checkpoint: origin, size and root in base64, an empty line, then signatures".to_owned()),
        ("a week without a name", one("INSERT INTO checkpoints VALUES (2000000000, 'x')"), "a checkpoint is of a week without a name".to_owned()),
    ]
}

/// Changes of what is kept beside it.
fn beside_the_log() -> Vec<Tampering> {
    let id = record(300).id;
    let one = |statement: &str| vec![statement.to_owned()];
    let position = "(SELECT position FROM records WHERE number = 300)";
    let searched = format!("what record {id} of 2026-W48 is searched by is not what it says");
    let rule = "accounts/api-key-removed";
    let hidden = format!("the rule {rule} does not lead to record {id}, which has it");
    vec![
        (
            "decision",
            one("UPDATE records SET decision = 'allow' WHERE number = 300"),
            searched.clone(),
        ),
        (
            "not among records",
            one("DELETE FROM records WHERE number = 300"),
            format!("record {id} of 2026-W48 is not among those that can be searched"),
        ),
        (
            "a record of no log",
            one(
                "INSERT INTO records SELECT position + 5000, 'invented', time, decision, user_name, tool, namespace, object, fingerprint, dry_run, replica, number FROM records WHERE number = 300",
            ),
            "record invented can be searched, and is in no log".to_owned(),
        ),
        (
            "no rule",
            vec![format!(
                "DELETE FROM record_rules WHERE position = {position}"
            )],
            hidden.clone(),
        ),
        (
            "another rule",
            vec![format!(
                "UPDATE record_rules SET rule = 'accounts/unreadable' WHERE position = {position}"
            )],
            hidden.clone(),
        ),
        (
            "time of a rule",
            vec![format!(
                "UPDATE record_rules SET time = time + 1 WHERE position = {position}"
            )],
            hidden.clone(),
        ),
        (
            "place of a rule",
            vec![format!(
                "UPDATE record_rules SET position = position + 1 WHERE position = {position}"
            )],
            hidden,
        ),
        (
            "count",
            one("UPDATE hours SET count = count + 1 WHERE decision = 'deny'"),
            format!(
                "334 times deny by {rule} are counted in the hour of 2026-11-23T00:00:00Z, and the log has 333"
            ),
        ),
        (
            "no count",
            one("DELETE FROM hours WHERE decision = 'deny'"),
            format!(
                "0 times deny by {rule} are counted in the hour of 2026-11-23T00:00:00Z, and the log has 333"
            ),
        ),
        (
            "trigger",
            one(TRIGGER),
            "the trigger hide is not one of this schema".to_owned(),
        ),
        (
            "view",
            one("CREATE VIEW shown AS SELECT * FROM records"),
            "the view shown is not one of this schema".to_owned(),
        ),
        (
            "index",
            one("DROP INDEX records_user"),
            "the index records_user of this schema is missing, or another".to_owned(),
        ),
        (
            "part of an index",
            one(
                "DROP INDEX records_user; CREATE INDEX records_user ON records (user_name, time, position) WHERE decision = 'allow'",
            ),
            "the index records_user of this schema is missing, or another".to_owned(),
        ),
    ]
}

/// Values of other types than their columns, which SQLite takes.
#[cfg(not(feature = "postgresql-tests"))]
fn of_other_types() -> Vec<Tampering> {
    let id = record(300).id;
    let one = |statement: &str| vec![statement.to_owned()];
    let position = "(SELECT position FROM records WHERE number = 300)";
    let searched = format!("what record {id} of 2026-W48 is searched by is not what it says");
    let hidden =
        format!("the rule accounts/api-key-removed does not lead to record {id}, which has it");
    vec![
        (
            "bytes as a checkpoint",
            one("UPDATE checkpoints SET note = CAST(note AS BLOB)"),
            "a checkpoint has values of other types".to_owned(),
        ),
        (
            "text as a time",
            one("UPDATE records SET time = 'now' WHERE number = 300"),
            searched.clone(),
        ),
        (
            "bytes as a user",
            one("UPDATE records SET user_name = x'ff' WHERE number = 300"),
            searched,
        ),
        (
            "text as the time of a rule",
            vec![format!(
                "UPDATE record_rules SET time = 'then' WHERE position = {position}"
            )],
            hidden.clone(),
        ),
    ]
}

#[cfg(not(feature = "postgresql-tests"))]
#[tokio::test]
async fn each_value_of_another_type_is_named() {
    is_named(of_other_types()).await;
}

async fn is_named(tampered: Vec<Tampering>) {
    let kept = kept(1000).await;
    assert_eq!(kept.faults().await, [""; 0]);
    for (what, statements, expected) in tampered {
        let copy = kept.copy().await;
        for statement in statements {
            copy.execute(&statement).await;
        }
        let faults = copy.faults().await;
        assert!(faults.contains(&expected), "{what}: {faults:#?}");
    }
    assert_eq!(kept.faults().await, [""; 0]);
}

#[tokio::test]
async fn each_change_of_the_log_is_named() {
    is_named(of_the_log()).await;
}

#[tokio::test]
async fn each_change_of_what_is_beside_the_log_is_named() {
    is_named(beside_the_log()).await;
}

#[tokio::test]
async fn who_has_the_key_and_writes_everything_anew_is_found_by_what_others_kept() {
    let stolen = SigningKey::generate().unwrap();
    let mut forged = kept(0).await;
    forged.write_with(&stolen, "owner").await;
    forged.append(1..=500, MONDAY).await;
    let honest = forged.checkpoint().await;
    let head = forged.writer.head().unwrap();
    forged.execute("DELETE FROM entries").await;
    for table in ["records", "record_rules", "tiles", "checkpoints", "hours"] {
        forged.execute(&format!("DELETE FROM {table}")).await;
    }
    // All but one.
    forged.write_with(&stolen, "thief").await;
    forged
        .append((1..=600).filter(|it| *it != 300), MONDAY)
        .await;
    assert_eq!(forged.faults().await, [""; 0]);
    let found = forged.verify(&[honest], None).await.faults;
    assert_eq!(
        found,
        [
            "the first 500 entries of the log of 2026-W48 are not those that a checkpoint that was kept is of"
        ]
    );
    // A checkpoint by another key is none.
    let older = kept(5).await.checkpoint().await;
    assert_eq!(forged.verify(&[older], None).await.faults.len(), 1);

    let event = |number: u64| {
        let annotations = json!({
            "argocd-cm.keyguard.dev/record": record(number).id,
            "argocd-cm.keyguard.dev/checkpoint": head.to_string(),
        });
        json!({"kind": "Event", "auditID": format!("a{number}"), "stage": "ResponseComplete", "verb": "patch",
               "stageTimestamp": record(number).time, "annotations": annotations}).to_string()
    };
    let mut witness = Witness::default();
    let failed = json!({"kind": "Event", "auditID": "f", "stage": "ResponseComplete", "annotations": {
        "failed-open.validating.webhook.admission.k8s.io/round_0_index_0": "argocd-cm.keyguard.dev"}});
    let lines = format!("{}\n{}\n{}\n{failed}\n", event(299), event(300), event(301));
    witness.read(lines.as_bytes()).unwrap();
    let found = forged.verify(&[], Some(&witness)).await;
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
async fn an_entry_far_behind_the_end_is_found_soon() {
    let kept = kept(10).await;
    let week = crate::week::Week::of(MONDAY).number();
    kept.execute(&format!(
        "INSERT INTO entries VALUES ({}, {})",
        (week << 32) + 0xffff_ffff,
        bytes("x")
    ))
    .await;
    let faults = kept.faults().await;
    assert!(
        faults.iter().any(|fault| fault.contains("behind the end")),
        "{faults:?}"
    );
}
