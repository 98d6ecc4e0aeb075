//! What `check` ends with, and what it prints where.

use std::path::Path;

use super::{Tree, deployment, formats};
use crate::control_plane::kubectl::Client;
use crate::control_plane::workspace::Workspace;

#[test]
fn the_exit_code_tells_findings_from_what_is_broken_and_what_could_not_be_seen() {
    let broken = ("broken.yaml", "a: [1\n");
    let template = (
        "templates/t.yaml",
        "{{- if .Values.x }}\nname: ARGO_CD_TOKEN\n{{- end }}\n",
    );
    let other_template = (
        "templates/t.yaml",
        "{{- if .Values.x }}\nname: other\n{{- end }}\n",
    );
    let (absent, silent) = (deployment("w", "absent"), deployment("w", "argocd-token"));
    let (absent, silent) = (("w.yaml", &*absent), ("w.yaml", &*silent));
    let table: [(&[(&str, &str)], &[&str], i32); 11] = [
        (&[], &[], 3),
        (&[other_template], &[], 0),
        (&[template], &[], 3),
        (&[absent], &[], 1),
        (&[absent, template], &[], 1),
        (&[absent, broken], &[], 2),
        (&[absent], &["--fail-on", "never"], 0),
        (&[silent], &[], 0),
        (&[silent], &["--fail-on", "note"], 1),
        (&[absent], &["--fail-on", "sometimes"], 2),
        (&[absent], &["nowhere"], 2),
    ];
    for (files, arguments, expected) in table {
        let ended = Tree::of(files).run(arguments);
        assert_eq!(
            ended.code,
            Some(expected),
            "{files:?} {arguments:?} {}",
            ended.stderr
        );
    }
}

#[test]
fn every_broken_file_is_told_and_nothing_of_it() {
    let tree = Tree::of(&[
        ("a.yaml", "a: [hunter2\n"),
        ("b.yaml", "b: {hunter2\n"),
        ("package.json", "{ // a comment\n"),
        ("w.yaml", &deployment("w", "absent")),
    ]);
    let ended = tree.run(&["--format", "json"]);
    assert_eq!(ended.code, Some(2));
    let all = format!("{}{}", ended.stdout, ended.stderr);
    assert!(all.contains("a.yaml") && all.contains("b.yaml"), "{all}");
    assert!(
        !all.contains("package.json") && !all.contains("hunter2"),
        "{all}"
    );
    // What is no YAML does not hide what is wrong elsewhere.
    assert!(ended.stdout.contains("credentials/secret-missing"));
}

#[test]
fn standard_input_is_checked_as_a_file_of_its_own() {
    let tree = Tree::of(&[]);
    let ended = tree.with_input(&["-", "--format", "github"], &deployment("w", "absent"));
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stdout.starts_with("::error file=stdin,line=12,"),
        "{}",
        ended.stdout
    );
    let good = tree.with_input(
        &["-"],
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
    );
    assert_eq!(good.code, Some(0), "{}", good.stderr);
}

#[test]
fn no_value_is_ever_printed_in_any_format() {
    let value = "hunter2-hunter2-hunter2";
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: codefresh}}\nstringData: {{token: {value}}}\n"
    );
    let wrong =
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: t}}\ndata: {{token: {value}}}\n");
    let tree = Tree::of(&[
        ("w.yaml", &deployment("w", "s")),
        ("s.yaml", &secret),
        ("t.yaml", &wrong),
    ]);
    for format in formats() {
        let ended = tree.run(&["--format", &format]);
        assert_eq!(ended.code, Some(1), "{format}");
        assert!(
            !format!("{}{}", ended.stdout, ended.stderr).contains("hunter2"),
            "{format}"
        );
        assert!(
            ended.stdout.contains("credentials/not-an-api-key"),
            "{format}"
        );
    }
}

#[test]
fn the_output_goes_to_a_file_when_one_is_named() {
    let tree = Tree::of(&[("w.yaml", &deployment("w", "absent"))]);
    let ended = tree.run(&["--format", "sarif", "--output", "out.sarif"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    let written = std::fs::read_to_string(tree.path().join("out.sarif")).unwrap();
    assert!(written.contains("\"2.1.0\""), "{written}");
}

#[test]
fn what_helm_template_prints_is_checked_as_it_comes() {
    let workspace = Workspace::new();
    let template = deployment("w", "{{ .Values.secret }}").replace(
        "namespace: codefresh",
        "namespace: {{ .Release.Namespace }}",
    );
    workspace.write(
        "Chart.yaml",
        "apiVersion: v2\nname: runtime\nversion: 1.0.0\n",
    );
    workspace.write("values.yaml", "secret: absent\n");
    workspace.write("templates/w.yaml", template);
    let chart = workspace.path("").display().to_string();
    let rendered = |values: &str| {
        let helm = Client::helm(&workspace).with_kubeconfig(Path::new("/dev/null"));
        let helm = helm.namespace("codefresh");
        helm.run(["template", "runtime", &chart, "--set", values])
            .expect_ok()
            .stdout
    };
    let tree = Tree::of(&[(
        ".keyguard.yaml",
        "secrets: [codefresh/argocd-api-key:token]\n",
    )]);
    for (values, expected) in [("secret=absent", 1), ("secret=argocd-api-key", 0)] {
        let ended = tree.with_input(&["-"], &rendered(values));
        assert_eq!(ended.code, Some(expected), "{values}: {}", ended.stdout);
    }
    // The chart itself is no YAML before it is rendered; that is told, and it is not broken.
    let unrendered = Tree::of(&[]).run(&[&chart]);
    assert_eq!(unrendered.code, Some(3), "{}", unrendered.stdout);
}
