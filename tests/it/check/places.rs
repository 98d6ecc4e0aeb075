//! Where findings are told.

use super::{Tree, deployment};

#[test]
fn a_finding_is_where_a_person_edits_through_anchors_and_merges() {
    let text = "apiVersion: apps/v1
kind: Deployment
metadata: {name: w, namespace: codefresh}
x-env: &env
- name: ARGO_CD_TOKEN
  valueFrom: {secretKeyRef: {name: absent, key: token}}
spec:
  template:
    spec:
      containers:
      - name: manager
        env: *env
";
    let tree = Tree::of(&[("w.yaml", text)]);
    assert_eq!(
        tree.findings(&[]),
        ["error credentials/secret-missing w.yaml:5:3"]
    );
}

#[test]
fn the_whole_tree_is_known_and_findings_are_told_for_the_paths() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: codefresh}\nstringData:\n  token: hunter2\n";
    let tree = Tree::of(&[
        (".git/HEAD", ""),
        ("apps/w.yaml", &deployment("w", "s")),
        ("apps/v.yaml", &deployment("v", "absent")),
        ("secrets/s.yaml", secret),
    ]);
    let not_a_key = "error credentials/not-an-api-key";
    assert_eq!(
        tree.findings(&["apps/w.yaml"]),
        [format!("{not_a_key} apps/w.yaml:12:11")]
    );
    // The workload that cannot use it is elsewhere.
    assert_eq!(
        tree.findings(&["secrets"]),
        [format!("{not_a_key} secrets/s.yaml:5:10")]
    );
    assert_eq!(tree.findings(&["apps"]).len(), 2);
    // Another root knows less.
    let alone = tree.findings(&["apps/w.yaml", "--root", "apps"]);
    assert_eq!(alone, ["error credentials/secret-missing w.yaml:12:11"]);
}

#[test]
fn files_of_git_ignore_and_exclude_are_left_out() {
    let workload = deployment("w", "absent");
    let tree = Tree::of(&[
        (".gitignore", "build/\n"),
        ("build/w.yaml", &workload),
        ("vendor/w.yaml", &workload),
        ("w.yaml", &workload),
    ]);
    assert_eq!(tree.findings(&[]).len(), 2);
    assert_eq!(tree.findings(&["--exclude", "vendor/"]).len(), 1);
    assert_eq!(tree.findings(&["vendor", "--exclude", "*.yaml"]).len(), 0);
}

#[test]
fn a_comment_with_a_reason_ignores_a_finding_and_the_report_says_so() {
    let ignored = deployment("w", "absent").replace(
        "        - name: ARGO_CD_TOKEN",
        "        # keyguard:ignore credentials/secret-missing the platform team makes it\n        - name: ARGO_CD_TOKEN",
    );
    let tree = Tree::of(&[("w.yaml", &ignored)]);
    let report = tree.report(&[]);
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(0));
    assert_eq!(
        report["suppressed"][0]["reason"],
        "the platform team makes it"
    );
    let without_a_reason = ignored.replace(" the platform team makes it", "");
    let tree = Tree::of(&[("w.yaml", &without_a_reason)]);
    assert_eq!(
        tree.findings(&[]),
        [
            "warning check/ignore-incomplete w.yaml:12:1",
            "error credentials/secret-missing w.yaml:13:11",
        ]
    );
}

#[test]
fn a_fingerprint_stays_when_lines_move() {
    let workload = deployment("w", "absent");
    let fingerprint = |text: &str| {
        let tree = Tree::of(&[("w.yaml", text)]);
        tree.report(&[])["findings"][0]["fingerprint"].clone()
    };
    let before = fingerprint(&workload);
    assert!(before.is_string());
    assert_eq!(before, fingerprint(&format!("# moved\n\n{workload}")));
    assert_ne!(before, fingerprint(&workload.replace("name: w", "name: v")));
}
