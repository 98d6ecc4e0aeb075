use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::test_page::{Shown, record};
use super::*;

/// Records of so many bytes together that no socket takes all of them unread.
async fn large() -> Shown {
    let message = "x".repeat(50_000);
    let finding = json!({"rule": "accounts/api-key-removed", "effect": "deny", "fields": [], "message": message});
    let records: Vec<_> = (0..400)
        .map(|it| record(it, &json!({"findings": [finding]})))
        .collect();
    Shown::of(&records).await
}

fn export(shown: &Shown, still: Still) -> Export {
    Export {
        store: shown.page.store.clone(),
        filter: Filter::default(),
        format: Lines::Jsonl,
        still,
        asks_again: Duration::ZERO,
        patience: PATIENCE,
    }
}

#[test]
fn exports_are_bounded_for_one_viewer_and_for_all() {
    let exports = Arc::new(Exports::default());
    let mut running = Vec::new();
    for viewer in 0..MOST / MOST_OF_ONE {
        let viewer = viewer.to_string();
        for _ in 0..MOST_OF_ONE {
            running.push(exports.begin(&viewer).unwrap());
        }
        assert!(exports.begin(&viewer).is_none());
    }
    assert!(exports.begin("other").is_none());
    running.pop();
    assert!(exports.begin("other").is_some());
    drop(running);
    assert!(exports.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_export_of_who_may_not_see_it_any_more_breaks_off() {
    let shown = large().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let still: Still = Box::new(move || {
        let may = counted.fetch_add(1, Ordering::Relaxed) < 3;
        Box::pin(async move { Ok(may) })
    });
    let (sender, receiver) = mpsc::channel(1);
    let fed = tokio::spawn(export(&shown, still).feed(sender));
    let mut body = body(receiver);
    let mut frames = 0;
    let broken = loop {
        match body.frame().await {
            Some(Ok(_)) => frames += 1,
            other => break other,
        }
    };
    assert!(broken.unwrap().is_err());
    assert_eq!(frames, 3);
    assert!(matches!(fed.await.unwrap(), Err(BrokenOff::Forbidden)));
}

#[tokio::test]
async fn an_export_that_nobody_takes_ends() {
    let shown = large().await;
    let (sender, receiver) = mpsc::channel(1);
    let export = Export {
        patience: Duration::from_millis(1),
        ..export(&shown, Box::new(|| Box::pin(async { Ok(true) })))
    };
    assert!(matches!(export.feed(sender).await, Err(BrokenOff::Slow)));
    // What is kept for the reader is little.
    assert!(receiver.len() <= 1);
    assert!(body(receiver).collect().await.is_err());
}

#[tokio::test]
async fn an_export_that_runs_is_closed_for_no_other_connection_and_there_are_two_of_one_viewer() {
    let shown = large().await;
    let connect = shown.serve(3).await;
    let head = async |ends: &str| {
        let mut stream = connect().await;
        let line = "GET /export?format=jsonl HTTP/1.1";
        let request = format!("{line}\r\nHost: page\r\nConnection: {ends}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).await.unwrap();
        (stream, String::from_utf8(begin.into()).unwrap())
    };
    let mut running = Vec::new();
    for _ in 0..2 {
        let (stream, status) = head("close").await;
        assert_eq!(status, "HTTP/1.1 200");
        running.push(stream);
    }
    // There is one place for all of these, which stay open.
    let mut others = Vec::new();
    for _ in 0..5 {
        let (stream, status) = head("keep-alive").await;
        assert_eq!(status, "HTTP/1.1 503");
        others.push(stream);
    }
    for mut stream in running {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        let rest = String::from_utf8(rest).unwrap();
        assert_eq!(rest.matches("{\"id\":").count(), 400);
        assert!(rest.ends_with("\r\n0\r\n\r\n"), "it broke off");
    }
}
