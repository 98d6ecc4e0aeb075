//! Pages as a browser gets them.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::test_page::{Shown, record};

/// Where a link leads that begins so.
fn link(body: &str, begin: &str) -> Option<String> {
    let (_, rest) = body.split_once(begin)?;
    let (_, rest) = rest
        .split_once("href=\"")
        .filter(|(between, _)| between.is_empty())?;
    let (path, _) = rest.split_once('"')?;
    Some(path.replace("&#38;", "&").replace("&amp;", "&"))
}

#[tokio::test]
async fn older_is_there_when_something_is() {
    let records: Vec<_> = (0..51).map(|it| record(it, &json!({}))).collect();
    let older = |body: &str| link(body, "<a rel=\"next\" ");
    let rows = |body: &str| body.matches("<li>").count();
    let exact = Shown::of(&records[1..]).await;
    let first = exact.get("/").await.body;
    assert_eq!((rows(&first), older(&first)), (50, None));
    let one_more = Shown::of(&records).await;
    let first = one_more.get("/").await.body;
    assert_eq!(rows(&first), 50);
    let second = one_more.get(&older(&first).unwrap()).await.body;
    assert_eq!((rows(&second), older(&second)), (1, None));
}

#[tokio::test]
async fn a_row_tells_what_is_filtered_of_its_fingerprint_and_how_many_there_are_in_all() {
    let users = ["alice", "bob", "bob", "bob"];
    let records = users.iter().enumerate().map(|(number, user)| {
        let other = json!({"fingerprint": "f", "user": {"name": user}, "dryRun": number == 3});
        record(number, &other)
    });
    let shown = Shown::of(&records.collect::<Vec<_>>()).await;
    let all = shown.get("/").await.body;
    assert!(
        all.contains("4 times (1 dry run)</a> by bob (3), alice (1) since"),
        "{all}"
    );
    let bob = shown.get("/?user=bob&dry-run=no").await.body;
    assert!(bob.contains("2 times</a> by bob since"), "{bob}");
    assert!(bob.contains(">4 in all</a>"), "{bob}");
    for (path, count) in [
        (link(&bob, "<p class=\"attempts\"><a "), 2),
        (link(&bob, "; <a "), 4),
    ] {
        let same = shown.get(&path.unwrap()).await.body;
        assert_eq!(same.matches("<li>").count(), count, "{same}");
    }
}

#[tokio::test]
async fn an_address_that_makes_no_sense_is_refused() {
    let shown = Shown::of(&[record(1, &json!({}))]).await;
    for (path, said) in [
        ("/?nspace=a", "unknown field"),
        ("/export?format=csv&nspace=a", "unknown field"),
        ("/?%E2%80%AE=1", "\\u{202e}"),
        ("/?namespace=a%2Fb", "no name of a namespace"),
        (
            "/scan?namespace=a%2Fpolicyreports%3Fx=",
            "no name of a namespace",
        ),
        ("/counts?since=7d", "takes no filter"),
        ("/decisions/id-1?user=a", "takes no filter"),
    ] {
        let seen = shown.get(path).await;
        assert_eq!(seen.status, 400, "{path}");
        assert!(
            seen.body.contains(said) && !seen.body.contains('\u{202e}'),
            "{path}: {}",
            seen.body
        );
    }
    assert_eq!(shown.get("/?since=100y").await.status, 200);
    let long = |bytes: usize| format!("/?user={}", "a".repeat(bytes - 7));
    assert_eq!(shown.get(&long(2_048)).await.status, 200);
    assert_eq!(shown.get(&long(2_049)).await.status, 414);
}

#[tokio::test]
async fn a_link_leads_to_a_decision_with_any_id() {
    let shown = Shown::of(&[record(1, &json!({"id": "a/b?c#d%e ü"}))]).await;
    let timeline = shown.get("/").await.body;
    let path = link(&timeline, "<p class=\"decision deny\"><a ").unwrap();
    let seen = shown.get(&path).await;
    assert_eq!(seen.status, 200, "{path}");
    assert!(seen.body.contains("Its place in the log"));
}

#[tokio::test]
async fn after_a_wrong_zone_the_form_leads_back_to_the_page() {
    let shown = Shown::of(&[]).await;
    let wrong = shown.post("/zone", "zone=Mars&next=%2F%3Fuser%3Da").await;
    assert_eq!(wrong.status, 400);
    assert!(
        wrong.body.contains("name=\"next\" value=\"/?user=a\""),
        "{}",
        wrong.body
    );
}

#[tokio::test]
async fn forms_that_do_not_come_whole_keep_nobody_out() {
    let shown = Shown::of(&[]).await;
    let connect = shown.serve(2).await;
    let mut halves = Vec::new();
    for _ in 0..2 {
        let mut half = connect().await;
        let begin = b"POST /sign-in HTTP/1.1\r\nHost: page\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n";
        half.write_all(begin).await.unwrap();
        // It says so when it begins to read the form.
        let mut continues = [0; 25];
        half.read_exact(&mut continues).await.unwrap();
        assert_eq!(&continues, b"HTTP/1.1 100 Continue\r\n\r\n");
        half.write_all(b"token=").await.unwrap();
        halves.push(half);
    }
    let mut other = connect().await;
    let whole = b"GET /style.css HTTP/1.1\r\nHost: page\r\nConnection: close\r\n\r\n";
    other.write_all(whole).await.unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // The first was closed for it, before it was answered.
    let mut rest = Vec::new();
    let _ = halves[0].read_to_end(&mut rest).await;
    assert_eq!(String::from_utf8(rest).unwrap(), "");
}
