//! `keyguard check` on the renderings of the real chart: what it finds before, admission refuses.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use super::chart::{Needed, Rendering};
use super::installs::{broken, refers_to};

const PROGRAM: &str = env!("CARGO_BIN_EXE_keyguard");

/// Checks these objects as one file; the exit code, and each error as rule and name of its object.
fn checked(objects: &[Value]) -> (Option<i32>, BTreeSet<(String, String)>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let documents: Vec<String> = objects.iter().map(Value::to_string).collect();
    fs::write(folder.path().join("all.yaml"), documents.join("\n---\n")).expect("a file");
    let output = Command::new(PROGRAM)
        .args(["check", "--format", "json"])
        .arg(folder.path())
        .output()
        .expect("keyguard runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let findings = report["findings"].as_array().expect("findings").iter();
    let errors = findings.filter(|finding| finding["severity"] == "error");
    let errors = errors.map(|finding| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&finding["rule"]), text(&finding["object"]["name"]))
    });
    (output.status.code(), errors.collect(), text)
}

fn everything(rendering: &Rendering, secret: Option<Value>) -> Vec<Value> {
    let mut objects = rendering.config_maps();
    objects.extend(rendering.deployments());
    objects.extend(secret);
    objects
}

#[test]
fn check_finds_nothing_in_a_rendering_whose_secret_is_right() {
    for rendering in Rendering::all() {
        let secret = rendering.needs().map(|needed| needed.good());
        let (code, errors, text) = checked(&everything(&rendering, secret));
        let (chart, mode) = (&rendering.chart, &rendering.mode);
        assert_eq!(
            (code, errors),
            (Some(0), BTreeSet::new()),
            "{chart} {mode}: {text}"
        );
        assert!(!text.contains("\"warning\""), "{chart} {mode}: {text}");
    }
}

#[test]
fn check_finds_every_broken_secret_under_the_rule_of_admission_in_every_rendering() {
    let mut cases = 0;
    for rendering in Rendering::all() {
        let Some(needed) = rendering.needs() else {
            continue;
        };
        for (secret, rule) in broken(&needed) {
            cases += 1;
            // In files an encrypted value is what it should be.
            let encrypted = secret.as_ref().is_some_and(is_encrypted);
            let (code, errors, text) = checked(&everything(&rendering, secret));
            let expected = match encrypted {
                true => BTreeSet::new(),
                false => users(&rendering, &needed, rule),
            };
            let (chart, mode) = (&rendering.chart, &rendering.mode);
            assert_eq!(errors, expected, "{chart} {mode} {rule}: {text}");
            assert_eq!(code, Some(i32::from(!encrypted)), "{chart} {mode} {rule}");
        }
    }
    assert_eq!(cases, 2 * (2 * 9 + 3 * 7));
}

fn users(rendering: &Rendering, needed: &Needed, rule: &str) -> BTreeSet<(String, String)> {
    let deployments = rendering.deployments().into_iter();
    let users = deployments.filter(|deployment| refers_to(deployment, needed));
    users
        .map(|user| {
            let name = user["metadata"]["name"].as_str().unwrap_or_default();
            (rule.to_owned(), name.to_owned())
        })
        .collect()
}

fn is_encrypted(secret: &Value) -> bool {
    // base64 of "ENC[AES256_GCM,"
    secret["data"].to_string().contains("RU5DW0FFUzI1Nl9HQ00s")
}
