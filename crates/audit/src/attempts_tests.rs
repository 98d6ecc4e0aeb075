use super::*;
use crate::entry::Mark;
use crate::test_store::{MONDAY, kept, record};

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
    let mut filter = Filter::default();
    let mut shown = Vec::new();
    loop {
        let page = kept.store.attempts(&filter, 4).await.unwrap();
        shown.extend(page.rows.into_iter().map(|row| row.record));
        let Some(next) = page.next else { break };
        filter.after = Some(next);
    }
    let prints: HashSet<_> = shown.iter().map(|it| it.fingerprint.clone()).collect();
    assert_eq!((shown.len(), prints.len()), (15, 15));
    let newest: Vec<_> = shown.iter().take(5).map(|it| it.number).collect();
    assert_eq!(newest, [1000, 999, 998, 997, 996]);
    assert!(shown.is_sorted_by(|newer, older| newer.time >= older.time));
}

#[tokio::test]
async fn what_a_fingerprint_came_to_says_how_often_by_how_many_since_when_and_what_went_through() {
    let mut kept = kept(1000).await;
    let all = kept.store.attempts_of("f1").await.unwrap().unwrap();
    assert_eq!((all.count, all.users), (200, 7));
    assert_eq!(all.first, MONDAY + 1_000);
    // 1000 is no record of this fingerprint; 991 is one that was no dry run, and went through.
    assert_eq!(
        (all.passed, all.broke_glass),
        (Some(MONDAY + 991_000), None)
    );
    let mut glass = record(1200);
    glass.id = "glass".to_owned();
    glass.fingerprint = "f1".to_owned();
    glass.dry_run = false;
    glass.decision = keyguard_core::policy::verdict::Decision::BreakGlass;
    kept.writer.append(&[glass], MONDAY).await.unwrap();
    let all = kept.store.attempts_of("f1").await.unwrap().unwrap();
    let at = Some(MONDAY + 1_200_000);
    assert_eq!((all.count, all.passed, all.broke_glass), (201, at, at));
    assert_eq!(kept.store.attempts_of("").await.unwrap(), None);
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
