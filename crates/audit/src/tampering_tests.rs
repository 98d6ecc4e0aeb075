//! What was changed after it was written is named.

use serde_json::json;

use crate::evidence::Evidence;
use crate::note::SigningKey;
use crate::tests::{MONDAY, WEEK, kept, record};
use crate::witness::Witness;

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
            "the first 500 entries of the log of 2026-W48 are not those that the older checkpoint has a checkpoint of"
        ]
    );
    // A checkpoint by another key is none.
    let older = kept(5).await.checkpoint().await;
    assert_eq!(forged.verify(&[older], None).await.faults.len(), 1);

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
