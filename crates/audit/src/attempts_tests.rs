use super::*;
use crate::entry::Mark;
use crate::test_store::{Kept, MONDAY, kept, record};

#[tokio::test]
async fn each_fingerprint_is_one_row_by_its_newest_record_over_all_pages() {
    let mut kept = kept(1000).await;
    // Ten more that nobody tried again, among those that many did.
    let alone: Vec<_> = (1..=10)
        .map(|number| {
            let mut record = record(number * 90);
            record.id = format!("alone-{number}");
            record.fingerprint = format!("alone-{number}");
            record
        })
        .collect();
    kept.writer.append(&alone, MONDAY).await.unwrap();
    let shown = walked(&mut kept, 4, async |_| {}).await;
    let prints: HashSet<_> = shown.iter().map(|it| it.fingerprint.clone()).collect();
    assert_eq!((shown.len(), prints.len()), (15, 15));
    let newest: Vec<_> = shown.iter().take(5).map(|it| it.number).collect();
    assert_eq!(newest, [1000, 999, 998, 997, 996]);
    assert!(shown.is_sorted_by(|newer, older| newer.time >= older.time));
}

/// What all pages of so many rows show, when something happens before each page but the first.
async fn walked(
    kept: &mut Kept,
    rows: usize,
    mut between: impl AsyncFnMut(&mut Kept),
) -> Vec<Record> {
    let mut filter = Filter::default();
    let (mut shown, mut as_of) = (Vec::new(), None);
    loop {
        let page = kept.store.attempts(&filter, as_of, rows).await.unwrap();
        assert!(
            !page.rows.is_empty(),
            "a page shows nothing after {}",
            shown.len()
        );
        assert!(page.rows.len() == rows || page.next.is_none());
        shown.extend(page.rows.into_iter().map(|row| row.record));
        let Some(next) = page.next else { break };
        (filter.after, as_of) = (Some(next), Some(page.as_of));
        between(kept).await;
    }
    shown
}

fn with_print(number: u64, id: &str, print: &str) -> Record {
    let mut record = record(number);
    (record.id, record.fingerprint) = (id.to_owned(), print.to_owned());
    record
}

#[tokio::test]
async fn as_many_as_a_page_holds_are_one_page_and_what_many_repeat_makes_none_empty() {
    // Five fingerprints, each of them 1,000 times.
    let mut kept = kept(5000).await;
    for rows in [1, 2, 4, 5, 6] {
        assert_eq!(
            walked(&mut kept, rows, async |_| {}).await.len(),
            5,
            "{rows}"
        );
    }
    // Far behind them, one that nobody repeated.
    let mut lonely = with_print(1, "lonely", "lonely");
    lonely.time = "2026-11-22T00:00:00Z".to_owned();
    kept.writer.append(&[lonely], MONDAY).await.unwrap();
    for rows in [1, 5, 6] {
        let shown = walked(&mut kept, rows, async |_| {}).await;
        assert_eq!((shown.len(), shown[5].id.as_str()), (6, "lonely"), "{rows}");
    }
}

#[tokio::test]
async fn what_is_tried_again_while_somebody_turns_the_pages_stays_where_it_was() {
    let mut kept = kept(0).await;
    let all: Vec<_> = (1..=30)
        .map(|number| with_print(number, &format!("first-{number}"), &format!("p{number}")))
        .collect();
    kept.writer.append(&all, MONDAY).await.unwrap();
    let mut turn = 0;
    let shown = walked(&mut kept, 10, async |kept| {
        turn += 1;
        // One is answered now; the record of another comes late.
        for (time, print) in [(100 + turn, 3), (turn, 4)] {
            let again = with_print(time, &format!("again-{turn}-{print}"), &format!("p{print}"));
            kept.writer.append(&[again], MONDAY).await.unwrap();
        }
    })
    .await;
    let ids: Vec<_> = shown.iter().map(|it| it.id.clone()).collect();
    let expected: Vec<_> = (1..=30)
        .rev()
        .map(|number| format!("first-{number}"))
        .collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn what_a_fingerprint_came_to_says_how_often_by_whom_since_when_and_what_went_through() {
    let mut kept = kept(1000).await;
    let every = Filter::default();
    let of = async |kept: &Kept, filter: &Filter| {
        let of = kept.store.attempts_of("f1", filter).await;
        of.unwrap().unwrap()
    };
    let all = of(&kept, &every).await;
    assert_eq!(
        (all.all, all.count, all.dry_runs, all.users.len()),
        (200, 200, 100, 7)
    );
    assert_eq!(all.first, MONDAY + 1_000);
    // 1000 is no record of this fingerprint; 991 is one that was no dry run, and went through.
    assert_eq!(
        (all.passed, all.broke_glass),
        (Some(MONDAY + 991_000), None)
    );
    let filter = Filter {
        user: Some("user1".to_owned()),
        decision: Some("deny".to_owned()),
        rule: Some("accounts/api-key-removed".to_owned()),
        dry_run: Some(false),
        since: Some(MONDAY + 400_000),
        ..Filter::default()
    };
    let told = of(&kept, &filter).await;
    let (found, _) = kept.store.find(&filter, 1000).await.unwrap();
    let same = found.iter().map(|it| it.record().unwrap());
    let same = same.filter(|it| it.fingerprint == "f1").count();
    let same = i64::try_from(same).unwrap();
    assert!(same > 1);
    assert_eq!((told.all, told.count, told.dry_runs), (200, same, 0));
    assert_eq!(told.users, [("user1".to_owned(), same)]);
    assert!(told.first >= MONDAY + 400_000);
    assert_eq!(told.passed, all.passed);
    let mut glass = with_print(1200, "glass", "f1");
    glass.dry_run = false;
    glass.decision = keyguard_core::policy::verdict::Decision::BreakGlass;
    kept.writer.append(&[glass], MONDAY).await.unwrap();
    let all = of(&kept, &every).await;
    let at = Some(MONDAY + 1_200_000);
    assert_eq!((all.count, all.passed, all.broke_glass), (201, at, at));
    assert_eq!(kept.store.attempts_of("", &every).await.unwrap(), None);
}

#[tokio::test]
async fn days_and_namespaces_are_told_together() {
    let mut kept = kept(300).await;
    let mut other = record(301);
    other.object.namespace = String::new();
    kept.writer.append(&[other], MONDAY).await.unwrap();
    let namespaces = kept.store.namespaces(10).await.unwrap();
    assert_eq!(namespaces, ["", "argocd"]);
    assert_eq!(kept.store.namespaces(1).await.unwrap(), [""]);
    let day = MONDAY / 86_400_000;
    let days = kept.store.days(day, day + 1).await.unwrap();
    let counts: Vec<_> = days
        .iter()
        .map(|it| (it.day, it.decision.as_str(), it.rule.as_str(), it.count))
        .collect();
    let rule = "accounts/api-key-removed";
    assert_eq!(counts, [(day, "allow", "", 201), (day, "deny", rule, 100)]);
    assert_eq!(kept.store.days(day + 1, day + 9).await.unwrap(), []);
}

#[tokio::test]
async fn that_somebody_looked_is_an_entry_of_the_log_and_no_record() {
    let mut kept = kept(10).await;
    let looked = Mark::Looked {
        user: "auditor".to_owned(),
        at: "/?decision=deny".to_owned(),
        time: "2026-11-27T12:00:00Z".to_owned(),
    };
    kept.writer.mark(&looked, MONDAY).await.unwrap();
    let found = kept.verify(&[], None).await;
    assert_eq!((found.faults.len(), found.entries), (0, 11), "{found}");
    let (records, _) = kept.store.find(&Filter::default(), 100).await.unwrap();
    assert_eq!(records.len(), 10);
    let one = kept.store.record("0199000000a-x").await.unwrap();
    assert!(one.is_none());
    let id = record(3).id;
    let one = kept.store.record(&id).await.unwrap().unwrap();
    assert_eq!(one.record().unwrap().number, 3);
    assert_eq!(one.place().unwrap().index, 2);
}

/// Puts other bytes in the place of the record with a running number.
async fn edited(kept: &Kept, number: i64, body: &[u8]) {
    let edit = "UPDATE entries SET body = $1 WHERE position = (SELECT position FROM records WHERE number = $2)";
    let edit = sqlx::query(edit).bind(body.to_vec()).bind(number);
    edit.execute(&kept.store.pool).await.unwrap();
}

#[tokio::test]
async fn a_record_of_another_version_is_counted_and_hides_no_other() {
    // Five fingerprints, each of them twice, and the newest record of the third is of another version.
    let mut kept = kept(10).await;
    edited(&kept, 8, br#"{"decided": "otherwise"}"#).await;
    let every = Filter::default();
    let page = kept.store.attempts(&every, None, 10).await.unwrap();
    assert_eq!((page.rows.len(), page.unreadable), (5, 1));
    for rows in [1, 2, 3] {
        let shown = walked(&mut kept, rows, async |_| {}).await;
        assert_eq!(shown.len(), 5, "{rows}");
    }
    edited(&kept, 10, &[0xff, 0]).await;
    let page = kept.store.attempts(&every, None, 10).await.unwrap();
    assert_eq!((page.rows.len(), page.unreadable), (5, 2));
}
