//! Bad days of the audit trail: reviews are answered, people see why it is not written, and what can be mended is whole.

use std::fs;
use std::path::PathBuf;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;

use super::audit_trail::{Trail, losing_review};
use crate::control_plane::ControlPlane;
use crate::control_plane::keyguard::{Keyguard, Options, Reads};
use crate::control_plane::tls_http::post_review;
use crate::control_plane::wait::wait_for;

/// A server over a folder of manifests, which needs no cluster.
fn started(trail: &Trail) -> Keyguard {
    let state = trail.beside("state");
    fs::create_dir_all(&state).unwrap();
    let options = Options {
        reads: Reads::State(state),
        ..trail.options()
    };
    Keyguard::start(ControlPlane::shared(), &options)
}

/// Sends a review of a change that must be refused.
fn refused(keyguard: &Keyguard, review: &str) {
    let authority = fs::read(keyguard.authority()).unwrap();
    let answer = post_review(keyguard.address, &authority, review).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(answer["response"]["allowed"], false, "{answer}");
}

fn await_records(trail: &Trail, count: usize) -> Vec<Value> {
    wait_for("the records", || {
        let ended = trail.audit("query", &["--format=json", "--limit=10000"]);
        let page: Value =
            serde_json::from_str(&ended.printed).map_err(|_| ended.printed.clone())?;
        let records = page["records"].as_array().cloned().unwrap_or_default();
        match records.len() == count {
            true => Ok(records),
            false => Err(format!("{} of {count}", records.len())),
        }
    })
}

/// The reason in the line that says so.
fn reason(keyguard: &Keyguard, message: &str) -> String {
    let line = keyguard.log_line(message, |line| {
        line["message"]
            .as_str()
            .is_some_and(|said| said.starts_with(message))
    });
    line["reason"].to_string()
}

const NOT_OPENED: &str = "the audit store cannot be opened; records wait in memory";

#[test]
fn a_store_in_a_folder_that_is_not_there_keeps_nobody_waiting_and_is_opened_once_it_is() {
    let trail = Trail::within("not-mounted-yet");
    let keyguard = started(&trail);
    refused(&keyguard, &losing_review());
    let why = reason(&keyguard, NOT_OPENED);
    assert!(why.contains("unable to open database file"), "{why}");
    let said = keyguard
        .log()
        .iter()
        .filter(|line| line["message"] == format!("{NOT_OPENED} and it is tried again"))
        .count();
    assert_eq!(said, 1, "once");
    let folder: PathBuf = trail.path("audit.db").parent().unwrap().to_owned();
    fs::create_dir_all(folder).unwrap();
    let records = await_records(&trail, 1);
    // The file of the number could not be made either.
    assert!(records[0].get("number").is_none(), "{}", records[0]);
    assert!(trail.verified(&[], 0).contains("intact"));
}

#[test]
fn a_file_that_is_no_store_is_said_and_left_as_it_is() {
    let trail = Trail::new();
    let content =
        "not a database, and longer than the header of one, which has a hundred bytes ".repeat(20);
    fs::write(trail.path("audit.db"), &content).unwrap();
    let keyguard = started(&trail);
    refused(&keyguard, &losing_review());
    let why = reason(&keyguard, NOT_OPENED);
    assert!(why.contains("not a database"), "{why}");
    assert_eq!(fs::read_to_string(trail.path("audit.db")).unwrap(), content);
    assert_eq!(trail.audit("verify", &[]).code, Some(2));
}

#[test]
fn a_key_that_is_gone_is_said_and_no_other_takes_its_place() {
    let trail = Trail::new();
    let keyguard = started(&trail);
    refused(&keyguard, &losing_review());
    await_records(&trail, 1);
    drop(keyguard);
    let key = fs::read(trail.path("audit.key")).unwrap();
    fs::remove_file(trail.path("audit.key")).unwrap();
    let keyguard = started(&trail);
    refused(&keyguard, &losing_review());
    let why = reason(&keyguard, NOT_OPENED);
    assert!(why.contains("restore it, or move the store away"), "{why}");
    assert!(!trail.path("audit.key").exists());
    fs::write(trail.path("audit.key"), key).unwrap();
    await_records(&trail, 2);
    assert!(trail.verified(&[], 0).contains("intact"));
}

#[test]
fn a_full_disk_is_said_and_all_is_stored_once_there_is_room() {
    let trail = Trail::new();
    let keyguard = started(&trail);
    refused(&keyguard, &losing_review());
    await_records(&trail, 1);
    // No file of the process may grow: what a full disk does, without one.
    let pid = Pid::from_raw(keyguard.pid().try_into().unwrap());
    let limit = |bytes| {
        let before = getrlimit(Resource::Fsize);
        let limit = Rlimit {
            current: bytes,
            ..before
        };
        prlimit(pid, Resource::Fsize, limit).unwrap();
    };
    // The store has more already; the log, which the test reads, has less.
    limit(Some(64 << 10));
    for _ in 0..30 {
        refused(&keyguard, &losing_review());
    }
    let why = reason(&keyguard, "the audit store cannot be written");
    assert!(why.contains("full") || why.contains("I/O"), "{why}");
    limit(None);
    await_records(&trail, 31);
    let said = trail.verified(&[], 0);
    assert!(
        said.contains("intact") && !said.contains("missing"),
        "{said}"
    );
}

#[test]
fn names_with_control_characters_are_stored_as_they_came_and_shown_as_what_they_are() {
    let trail = Trail::new();
    let keyguard = started(&trail);
    let name = "al\u{202e}ice\u{1b}[2J\u{7}";
    let review = losing_review().replace("\"alice\"", &serde_json::to_string(name).unwrap());
    refused(&keyguard, &review);
    let records = await_records(&trail, 1);
    assert_eq!(records[0]["user"]["name"], name);
    for format in ["--format=table", "--format=csv"] {
        let shown = trail.audit("query", &[format]).printed;
        let odd = |letter: char| {
            letter == '\u{202e}' || (letter.is_control() && !"\r\n".contains(letter))
        };
        assert!(!shown.contains(odd), "{shown:?}");
        assert!(shown.contains("ice"), "{shown}");
    }
    assert_eq!(trail.records(&["--user", name]).len(), 1);
    trail.verified(&[], 0);
}

#[test]
fn what_gets_no_review_is_on_record_with_why_and_nothing_of_what_was_sent() {
    let trail = Trail::new();
    let keyguard = started(&trail);
    let authority = fs::read(keyguard.authority()).unwrap();
    let deep = format!("{}\"a secret\"", "[".repeat(200));
    for (body, status, why) in [
        (
            "{\"a secret\": 1}",
            400,
            "is not an admission.k8s.io/v1 AdmissionReview",
        ),
        (&*deep, 400, "nested"),
    ] {
        let answer = post_review(keyguard.address, &authority, body).unwrap();
        assert_eq!(answer.status, status, "{}", answer.body);
        let record = keyguard.log_line("a review that failed", |line| {
            line["decision"] == "failed" && line["reason"].to_string().contains(why)
        });
        assert!(!record.to_string().contains("a secret"), "{record}");
    }
    let records = await_records(&trail, 2);
    assert!(
        records.iter().all(|record| record["decision"] == "failed"),
        "{records:?}"
    );
    assert_eq!(trail.records(&["--decision", "failed"]).len(), 2);
    let table = trail.audit("query", &[]).printed;
    assert!(table.contains("failed"), "{table}");
    assert!(trail.verified(&[], 0).contains("intact    2 entries"));
}
