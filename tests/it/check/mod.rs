//! `keyguard check`: what it finds in trees of files, where, and what it ends with.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test writes files, and a test that cannot go on fails"
)]

mod accounts;
mod charts;
mod clusters;
mod ends;
mod kustomize;
mod looked_at;
mod makers;
mod pipelines;
mod places;
mod values;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::ValueEnum as _;
use keyguard::report::Format;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The name of each form in which a report is written.
pub(crate) fn formats() -> impl Iterator<Item = String> {
    let values = Format::value_variants().iter();
    let values = values.filter_map(clap::ValueEnum::to_possible_value);
    values.map(|value| value.get_name().to_owned())
}

/// What a Deployment needs, and where.
fn deployment(name: &str, secret: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  namespace: codefresh
spec:
  template:
    spec:
      containers:
      - name: manager
        env:
        - name: ARGO_CD_TOKEN
          valueFrom:
            secretKeyRef: {{name: {secret}, key: token}}
"
    )
}

/// A tree of files, checked.
struct Tree(TempDir);

/// What keyguard ended with.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Tree {
    fn of(files: &[(&str, &str)]) -> Tree {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Tree(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs `keyguard check` in the tree.
    fn run(&self, arguments: &[&str]) -> Ended {
        self.with_input(arguments, "")
    }

    fn with_input(&self, arguments: &[&str], input: &str) -> Ended {
        let mut child = Command::new(env!("CARGO_BIN_EXE_keyguard"))
            .arg("check")
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("keyguard starts");
        // It may have ended without reading.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).expect("its output is text");
        Ended {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    fn report(&self, arguments: &[&str]) -> Value {
        let ended = self.run(&[arguments, &["--format", "json"]].concat());
        serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr))
    }

    /// Each finding as `SEVERITY RULE FILE:LINE:COLUMN`.
    fn findings(&self, arguments: &[&str]) -> Vec<String> {
        let report = self.report(arguments);
        let findings = report["findings"].as_array().unwrap().iter();
        findings
            .map(|finding| {
                let text = |key: &str| finding[key].as_str().unwrap_or_default();
                let (severity, rule, file) = (text("severity"), text("rule"), text("file"));
                format!(
                    "{severity} {rule} {file}:{}:{}",
                    finding["line"], finding["column"]
                )
            })
            .collect()
    }
}

#[test]
fn the_json_has_the_members_that_scripts_read() {
    let tree = Tree::of(&[("w.yaml", &deployment("w", "absent"))]);
    let mut report = tree.report(&[]);
    let finding = &mut report["findings"][0];
    let fingerprint = finding["fingerprint"].take();
    assert_eq!(fingerprint.as_str().map(str::len), Some(32));
    let message = finding["message"].take();
    let message = message.as_str().unwrap();
    assert!(
        message.contains("Nothing makes it in what was looked through: 1 file."),
        "{message}"
    );
    assert_eq!(finding["rule"], "credentials/secret-missing");
    assert_eq!(finding["severity"], "error");
    assert_eq!(
        (&finding["file"], &finding["line"], &finding["column"]),
        (&json!("w.yaml"), &json!(12), &json!(11))
    );
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "codefresh", "name": "w"});
    assert_eq!(finding["object"], object);
    assert_eq!(finding["field"], "spec.template.spec.containers[0].env[0]");
    assert_eq!(report["unseen"], json!([]));
    assert_eq!(report["checked"], json!({"files": 1, "objects": 1}));
}
