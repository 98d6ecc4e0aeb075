//! The audit trail of a server: found, proved, exported, and whole after the worst.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use keyguard_audit::note::SigningKey;
use keyguard_audit::store::Store;
use keyguard_audit::writer::Writer;
use keyguard_core::record::Record;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::guard::{Guard, Scene};
use super::objects::argocd_cm;
use super::said::refused_by;
use crate::control_plane::ControlPlane;
use crate::control_plane::keyguard::{Keyguard, Options, Reads};
use crate::control_plane::tls_http::post_review;
use crate::control_plane::wait::wait_for;

const LOSS: [&str; 4] = [
    "patch",
    "configmap/argocd-cm",
    "--type=merge",
    r#"--patch={"data":{"accounts.admin":"login"}}"#,
];

/// The checker of another project.
pub(crate) const FSCK: &str = "github.com/transparency-dev/tessera/cmd/fsck@v1.0.4";

/// It ends with 0 also when it has found something.
pub(crate) fn fsck_is_content(output: &Output) {
    let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    let said = said.concat();
    assert!(
        output.status.success() && said.contains("Successfully fsck'd"),
        "{said}"
    );
}

/// A store of a server, and what `keyguard audit` says of it.
pub(super) struct Trail(TempDir, &'static str);

/// What a command ended with.
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) printed: String,
}

impl Trail {
    pub(super) fn new() -> Trail {
        Trail::within("")
    }

    /// In a folder of the test's that may not be there.
    pub(super) fn within(folder: &'static str) -> Trail {
        Trail(tempfile::tempdir().unwrap(), folder)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(self.1).join(name)
    }

    /// A path in the test's own folder.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn address(&self) -> String {
        format!("sqlite:{}", self.path("audit.db").display())
    }

    pub(super) fn options(&self) -> Options {
        let arguments = [
            format!("--audit-store={}", self.address()),
            "--audit-cluster=test".to_owned(),
        ];
        Options {
            arguments: arguments.to_vec(),
            ..Options::default()
        }
    }

    pub(super) fn audit(&self, command: &str, arguments: &[&str]) -> Ended {
        let output = Command::new(env!("CARGO_BIN_EXE_keyguard"))
            .args(["audit", command, "--store", &self.address()])
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended {
            code: output.status.code(),
            printed: text(&output.stdout) + &text(&output.stderr),
        }
    }

    pub(super) fn records(&self, arguments: &[&str]) -> Vec<Value> {
        self.pages(arguments).unwrap()
    }

    /// All pages of a query, or what it printed when it failed: a server that has just started may have no store yet.
    fn pages(&self, arguments: &[&str]) -> Result<Vec<Value>, String> {
        let (mut records, mut after) = (Vec::new(), None);
        loop {
            let after_it = after.map(|cursor| format!("--after={cursor}"));
            let next = after_it.iter().map(String::as_str);
            let all = arguments
                .iter()
                .copied()
                .chain(["--format=json", "--limit=10000"]);
            let ended = self.audit("query", &all.chain(next).collect::<Vec<_>>());
            if ended.code != Some(0) {
                return Err(ended.printed);
            }
            let page: Value = serde_json::from_str(&ended.printed).map_err(|it| it.to_string())?;
            records.extend(page["records"].as_array().into_iter().flatten().cloned());
            match page["next"].as_str() {
                Some(cursor) => after = Some(cursor.to_owned()),
                None => return Ok(records),
            }
        }
    }

    pub(super) fn verified(&self, arguments: &[&str], code: i32) -> String {
        let ended = self.audit("verify", arguments);
        assert_eq!(ended.code, Some(code), "{}", ended.printed);
        ended.printed
    }

    /// What the checker of another project says of the log as files.
    fn checked_by_fsck(&self) {
        let tiles = self.path("tiles");
        let _ = fs::remove_dir_all(&tiles);
        let shown = tiles.display().to_string();
        let exported = self.audit("export", &["--tiles", &shown]);
        assert_eq!(exported.code, Some(0), "{}", exported.printed);
        let output = Command::new("go")
            .args(["run", FSCK, "--ui=false"])
            .arg(format!("--storage_url=file://{shown}"))
            .arg(format!("--public_key={shown}/key.pub"))
            .output()
            .expect("go is there");
        fsck_is_content(&output);
    }
}

/// The events of a namespace in the API server's audit log, as a file.
fn events_of(scene: &Scene, folder: &Path) -> PathBuf {
    let events = scene.plane.audit_events().into_iter();
    let own = events.filter(|event| event["objectRef"]["namespace"] == scene.namespace);
    let lines: Vec<String> = own.map(|event| event.to_string()).collect();
    let file = folder.join("api-server.log");
    fs::write(&file, lines.join("\n")).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_attempt_is_found_proved_and_pinned_by_the_api_server() {
    let trail = Trail::new();
    let guard = Guard::start(&trail.options());
    let scene = guard.scene("audit-trail");
    scene
        .create(&[argocd_cm(&json!({"accounts.admin": "apiKey, login"}))])
        .expect_silence();
    for _ in 0..2 {
        refused_by(scene.alice().run(LOSS), &["accounts/api-key-removed"]);
    }
    let of_scene = ["--namespace", &scene.namespace];
    let denied = [&of_scene[..], &["--decision", "deny"]].concat();
    let records = wait_for("both refusals in the store", || {
        let records = trail.records(&denied);
        (records.len() == 2)
            .then_some(records)
            .ok_or_else(|| "not yet".to_owned())
    });
    let [first, second] = &records[..] else {
        panic!("{records:?}");
    };
    assert_eq!(first["fingerprint"], second["fingerprint"]);
    assert_eq!(first["cluster"], "test");
    assert_eq!(first["rules"], json!(["accounts/api-key-removed"]));
    assert_eq!(trail.records(&of_scene).len(), 3);
    let print = first["fingerprint"].as_str().unwrap();
    assert_eq!(trail.records(&["--fingerprint", print]).len(), 2);
    for (format, begins) in [
        ("jsonl", r#"{"id":"#),
        ("csv", r#""time","decision""#),
        ("ocsf", r#"{"action":"Denied""#),
    ] {
        let exported = trail.audit("export", &["--format", format, "--fingerprint", print]);
        assert_eq!(exported.code, Some(0), "{}", exported.printed);
        let lines = exported.printed.lines().count();
        assert_eq!(lines, 2 + usize::from(format == "csv"));
        assert!(exported.printed.starts_with(begins), "{}", exported.printed);
    }
    assert!(
        trail
            .audit("query", &of_scene)
            .printed
            .contains("accounts/api-key-removed")
    );
    assert!(
        trail
            .audit("query", &["--format=csv"])
            .printed
            .starts_with("\"time\",\"decision\"")
    );

    let pinned = |event: &Value| {
        event["objectRef"]["namespace"] == scene.namespace
            && event["annotations"]["argocd-cm.keyguard.dev/checkpoint"].is_string()
    };
    refused_by(scene.alice().run(LOSS), &["accounts/api-key-removed"]);
    scene
        .plane
        .audit_event("an answer with a checkpoint", pinned);
    wait_for("the last refusal in the store", || {
        let stored = trail.records(&denied).len();
        (stored == 3)
            .then_some(())
            .ok_or_else(|| stored.to_string())
    });
    let events = events_of(&scene, trail.0.path());
    let events = ["--audit-log", events.to_str().unwrap()];
    assert!(trail.verified(&[], 0).contains("intact"));
    let intact = trail.verified(&events, 0);
    assert!(
        intact.contains("intact") && !intact.contains("not in the API server's log"),
        "{intact}"
    );
    assert!(
        intact.contains("checkpoints of the API server's log were compared"),
        "{intact}"
    );
    let nothing = trail.verified(&["--audit-log=/dev/null"], 0);
    assert!(nothing.contains("so it proves nothing"), "{nothing}");
    trail.checked_by_fsck();
    let key = fs::read_to_string(trail.path("tiles/key.pub")).unwrap();
    assert!(trail.verified(&["--key", key.trim()], 0).contains("intact"));
    let part = trail.audit("query", &["--format=csv", "--limit=1"]).printed;
    assert!(part.contains("more: --after "), "{part}");

    // Somebody who has the key writes all of it anew, but for one record.
    let all: Vec<Record> = trail
        .records(&[])
        .into_iter()
        .rev()
        .map(|record| serde_json::from_value(record).unwrap())
        .collect();
    let gone = first["id"].as_str().unwrap();
    let forged = Trail::new();
    fs::copy(trail.path("audit.key"), forged.path("audit.key")).unwrap();
    let key = SigningKey::parse(&fs::read_to_string(trail.path("audit.key")).unwrap()).unwrap();
    let store = Store::open(&forged.address()).await.unwrap();
    let writer = Writer::new(store.clone(), key, "test".to_owned(), "thief".to_owned());
    let kept: Vec<Record> = all.into_iter().filter(|record| record.id != gone).collect();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let now = i64::try_from(now.as_millis()).unwrap();
    writer.await.unwrap().append(&kept, now).await.unwrap();
    store.close().await;
    assert!(forged.verified(&[], 0).contains("intact"));
    let found = forged.verified(&events, 1);
    assert!(
        found.contains(&format!("record {gone} is not here")),
        "{found}"
    );
}

/// A review of a change that is refused, as the API server sends it.
pub(crate) fn losing_review() -> String {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": "UPDATE", "name": "argocd-cm", "namespace": "argocd",
        "kind": {"group": "", "version": "v1", "kind": "ConfigMap"}, "userInfo": {"username": "alice"},
        "object": {"metadata": {"name": "argocd-cm", "namespace": "argocd"}, "data": {"accounts.admin": "login"}},
        "oldObject": {"metadata": {"name": "argocd-cm", "namespace": "argocd",
            "labels": {"app.kubernetes.io/part-of": "argocd"}}, "data": {"accounts.admin": "apiKey, login"}},
    }})
    .to_string()
}

#[test]
fn a_server_that_is_killed_again_and_again_leaves_a_log_that_is_whole() {
    let trail = Trail::new();
    let state = trail.path("state");
    fs::create_dir(&state).unwrap();
    let review = losing_review();
    let mut stored = 0;
    for _ in 0..10 {
        let options = Options {
            reads: Reads::State(state.clone()),
            ..trail.options()
        };
        let keyguard = Keyguard::start(ControlPlane::shared(), &options);
        let bundle = fs::read(keyguard.authority()).unwrap();
        let stop = AtomicBool::new(false);
        let address = keyguard.address;
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let _killed = post_review(address, &bundle, &review);
                    }
                });
            }
            // Answers may all lie in the time for which records gather, so what counts is what the store has.
            wait_for("records of this round", || {
                let now = trail.pages(&[])?.len();
                (now > stored + 50)
                    .then_some(())
                    .ok_or_else(|| format!("{now} after {stored}"))
            });
            drop(keyguard);
            stop.store(true, Ordering::Relaxed);
        });
        let said = trail.verified(&[], 0);
        assert!(said.contains("intact"), "{said}");
        let now = trail.records(&[]).len();
        assert!(now > stored, "{now} after {stored}");
        stored = now;
    }
    trail.checked_by_fsck();
    // What was answered and not stored is a gap in the running numbers, and no number comes twice.
    let mut numbers: Vec<u64> = trail
        .records(&[])
        .iter()
        .map(|record| record["number"].as_u64().unwrap())
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), stored);
}

#[test]
fn what_cannot_be_a_store_is_refused_at_the_start() {
    let trail = Trail::new();
    let serve = |arguments: &[&str]| {
        let own = ["--tls-cert=c", "--tls-key=k", "--state=s"];
        let arguments = own.iter().chain(arguments);
        Keyguard::attempt(&arguments.map(|it| (*it).to_owned()).collect::<Vec<_>>())
    };
    assert!(!serve(&["--audit-key=x"]).status.success());
    for (arguments, said) in [
        (["query", "--store=mysql://x"], "sqlite:FILE or postgres://"),
        (["verify", "--store=sqlite:/nowhere/audit.db"], "audit.key"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_keyguard"))
            .arg("audit")
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(said), "{told}");
    }
    assert_eq!(
        trail.audit("query", &[]).code,
        Some(2),
        "a store is not made by asking"
    );
}

#[test]
fn a_name_that_nothing_has_is_no_empty_answer() {
    let trail = Trail::new();
    for (flag, value, said) in [
        ("--decision", "denied", "one of allow, exempt"),
        ("--rule", "api-key-removed", "accounts/api-key-removed"),
        (
            "--object",
            "ConfigMap/argocd-cm",
            "without its kind: argocd-cm",
        ),
    ] {
        for (command, more) in [("query", "--limit=5"), ("export", "--format=csv")] {
            let ended = trail.audit(command, &[flag, value, more]);
            assert_eq!(ended.code, Some(2), "{flag} {value}");
            assert!(ended.printed.contains(said), "{}", ended.printed);
        }
    }
}
