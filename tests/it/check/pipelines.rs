//! What a pipeline runs: the steps of `action.yml`, and the snippet for GitLab in `docs/check.md`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::{Tree, deployment};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Runs a step as a runner does, by bash in the tree, with the program of this build in the PATH.
fn run(script: &str, tree: &Tree, variables: &[(&str, &str)]) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_keyguard")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", program.display());
    Command::new("bash")
        .args([
            "--noprofile",
            "--norc",
            "-e",
            "-o",
            "pipefail",
            "-c",
            script,
        ])
        .current_dir(tree.path())
        .env("PATH", path)
        .envs(variables.iter().copied())
        .output()
        .expect("bash is there")
}

#[test]
fn the_action_of_github_writes_sarif_and_annotations_and_fails_with_findings() {
    let action = fs::read_to_string(format!("{ROOT}/action.yml")).unwrap();
    let action: Value = serde_saphyr::from_str(&action).unwrap();
    let steps = action["runs"]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == "Check").unwrap();
    let script = step["run"].as_str().unwrap();
    let inputs = ["KEYGUARD", "PATHS", "FAIL_ON"];
    let given: Vec<&String> = step["env"].as_object().unwrap().keys().collect();
    assert!(
        inputs
            .iter()
            .all(|input| given.iter().any(|name| name == input)),
        "{given:?}"
    );
    for (secret, fail_on, code) in [("absent", "error", 1), ("absent", "never", 0)] {
        let tree = Tree::of(&[("apps/w.yaml", &deployment("w", secret)), ("x.txt", "")]);
        // What checkout leaves.
        fs::create_dir(tree.path().join(".git")).unwrap();
        let temporary = tree.path().join("temporary");
        fs::create_dir(&temporary).unwrap();
        let variables = [
            ("KEYGUARD", env!("CARGO_BIN_EXE_keyguard")),
            ("PATHS", "apps x.txt"),
            ("FAIL_ON", fail_on),
            ("RUNNER_TEMP", temporary.to_str().unwrap()),
        ];
        let output = run(script, &tree, &variables);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let why = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{fail_on}: {printed}{why}"
        );
        assert!(printed.contains("::error file=apps/w.yaml"), "{printed}");
        let sarif = fs::read(temporary.join("keyguard.sarif")).unwrap();
        let sarif: Value = serde_json::from_slice(&sarif).unwrap();
        let results = sarif["runs"][0]["results"].as_array().unwrap();
        assert_eq!(results.len(), 1, "{results:?}");
    }
}

#[test]
fn the_snippet_for_gitlab_writes_the_report_that_it_names() {
    let document = fs::read_to_string(format!("{ROOT}/docs/check.md")).unwrap();
    let snippet = document.split("GitLab:\n\n```yaml\n").nth(1).unwrap();
    let snippet = snippet.split("```").next().unwrap();
    let snippet: Value = serde_saphyr::from_str(snippet).unwrap();
    let job = &snippet["keyguard"];
    let report = job["artifacts"]["reports"]["junit"].as_str().unwrap();
    let tree = Tree::of(&[("apps/w.yaml", &deployment("w", "absent"))]);
    let script = job["script"].as_array().unwrap().iter();
    let script: Vec<&str> = script.map(|line| line.as_str().unwrap()).collect();
    let output = run(&script.join("\n"), &tree, &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = fs::read_to_string(tree.path().join(report)).unwrap();
    let report = roxmltree::Document::parse(&report).unwrap();
    let failures = report
        .descendants()
        .filter(|node| node.has_tag_name("failure"));
    assert_eq!(failures.count(), 1);
}
