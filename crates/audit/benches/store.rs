//! How fast a store is with many records: `cargo bench -p keyguard-audit -- --records 1000000 [--store URL]`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement"
)]

use std::time::{Duration, Instant};

use keyguard_audit::entry::{milliseconds, rfc3339};
use keyguard_audit::evidence::Evidence;
use keyguard_audit::note::SigningKey;
use keyguard_audit::query::Filter;
use keyguard_audit::store::Store;
use keyguard_audit::writer::{MOST_RECORDS, Writer};
use keyguard_core::record::Record;
use serde_json::json;

const BEGIN: &str = "2026-10-01T00:00:00Z";

/// One in twenty is a refusal; names are those of a cluster of some size.
fn record(number: u64, time: i64) -> Record {
    let denied = number.is_multiple_of(20);
    let rule = ["accounts/api-key-removed", "credentials/secret-missing"][(number % 2) as usize];
    let findings = json!([{"rule": rule, "effect": "deny", "fields": ["data[\"accounts.admin\"]"],
        "message": "account \"admin\" loses apiKey (data[\"accounts.admin\"]: \"apiKey, login\" → \"login\"): the GitOps Runtime \
                    authenticates with an API key of this account and would stop at once. Keep apiKey in \
                    data[\"accounts.admin\"]. [accounts/api-key-removed]"}]);
    let record = json!({
        "id": format!("{number:08x}-0000-7000-8000-000000000000"), "time": rfc3339(time),
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "cluster": "production",
        "replica": format!("keyguard-{}", number % 3), "number": number / 3 + 1,
        "fingerprint": format!("{:024x}", number % 5_000),
        "decision": if denied { "deny" } else { "allow" },
        "rules": if denied { json!([rule]) } else { json!([]) },
        "findings": if denied { findings } else { json!([]) },
        "webhook": "argocd-cm", "operation": "UPDATE", "dryRun": number.is_multiple_of(9),
        "object": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": format!("team-{}", number % 200), "name": format!("argocd-cm-{}", number % 50)},
        "user": {"name": format!("user-{}@example.com", number % 300), "groups": ["system:authenticated", "developers"]},
        "tool": {"fieldManager": (["kubectl-edit", "argocd-controller", "helm"][(number % 3) as usize])},
        "durationSeconds": 0.0005,
    });
    serde_json::from_value(record).unwrap()
}

fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let records = argument("--records").map_or(20_000, |it| it.parse().expect("a number"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.db");
    let address = argument("--store").unwrap_or_else(|| format!("sqlite:{}", file.display()));
    let store = Store::open(&address).await.unwrap();
    let key = SigningKey::parse(&SigningKey::generate().unwrap()).unwrap();
    let public = key.verifying_key();
    let writer = Writer::new(store.clone(), key, "bench".to_owned(), "bench".to_owned());
    let mut writer = writer.await.unwrap();
    let begin = milliseconds(BEGIN).unwrap();
    // Spread over eight weeks.
    let at = |number: u64| begin + i64::try_from(number * 8 * 7 * 86_400_000 / records).unwrap();
    let (started, mut slowest) = (Instant::now(), Duration::ZERO);
    let mut next = 0;
    while next < records {
        let end = records.min(next + MOST_RECORDS as u64);
        let batch: Vec<Record> = (next..end)
            .map(|number| record(number, at(number)))
            .collect();
        let begun = Instant::now();
        writer.append(&batch, at(next)).await.unwrap();
        slowest = slowest.max(begun.elapsed());
        next = end;
    }
    let took = started.elapsed();
    println!(
        "{records} records in {took:.1?}: {:.0} a second, slowest batch {slowest:.1?}",
        records as f64 / took.as_secs_f64()
    );
    if let Ok(metadata) = std::fs::metadata(&file) {
        println!(
            "{:.0} bytes on disk a record",
            metadata.len() as f64 / records as f64
        );
    }
    let text = |text: &str| Some(text.to_owned());
    let all = Filter::default();
    let filters = [
        ("nothing", all.clone()),
        (
            "decision",
            Filter {
                decision: text("deny"),
                ..all.clone()
            },
        ),
        (
            "rule",
            Filter {
                rule: text("accounts/api-key-removed"),
                ..all.clone()
            },
        ),
        (
            "user",
            Filter {
                user: text("user-7@example.com"),
                ..all.clone()
            },
        ),
        (
            "tool",
            Filter {
                tool: text("helm"),
                ..all.clone()
            },
        ),
        (
            "namespace",
            Filter {
                namespace: text("team-7"),
                ..all.clone()
            },
        ),
        (
            "object",
            Filter {
                object: text("argocd-cm-7"),
                ..all.clone()
            },
        ),
        (
            "fingerprint",
            Filter {
                fingerprint: Some(format!("{:024x}", 7)),
                ..all.clone()
            },
        ),
        (
            "dry run",
            Filter {
                dry_run: Some(true),
                ..all.clone()
            },
        ),
        (
            "until long ago",
            Filter {
                until: Some(at(records / 10)),
                ..all.clone()
            },
        ),
        (
            "nobody's refusals",
            Filter {
                decision: text("deny"),
                user: text("nobody"),
                ..all.clone()
            },
        ),
        (
            "decision and namespace",
            Filter {
                decision: text("deny"),
                namespace: text("team-40"),
                ..all.clone()
            },
        ),
        (
            "rule and user",
            Filter {
                rule: text("accounts/api-key-removed"),
                user: text("user-7@example.com"),
                ..all
            },
        ),
    ];
    for (name, filter) in filters {
        let mut times: Vec<Duration> = Vec::new();
        let mut found = 0;
        for _ in 0..5 {
            let begun = Instant::now();
            found = store.query(&filter, 50).await.unwrap().records.len();
            times.push(begun.elapsed());
        }
        times.sort();
        println!(
            "first page by {name}: {:.1?} (slowest {:.1?}), {found} records",
            times[2], times[4]
        );
    }
    let begun = Instant::now();
    let evidence = Evidence {
        key: &public,
        older: &[],
        witness: None,
        last_number: None,
    };
    let found = store.verify(&evidence, |_| {}).await.unwrap();
    println!(
        "verified in {:.1?}: {}",
        begun.elapsed(),
        found.to_string().trim()
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or_default();
    println!("{peak}");
}
