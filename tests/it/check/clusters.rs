//! One repository with several clusters.

use super::{Tree, deployment};

fn secret(key: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: codefresh}}\nstringData: {{{key}: {value}}}\n"
    )
}

#[test]
fn the_nearest_of_namesakes_counts() {
    let workload = deployment("w", "s");
    let good = secret("token", "'{{ .token }}'");
    let (bad, other) = (secret("token", "hunter2"), secret("other", "x"));
    let malformed = "error credentials/not-an-api-key clusters";
    let table: [(&str, &str, Option<&str>); 4] = [
        (
            &good,
            &bad,
            Some("error credentials/not-an-api-key clusters/prod/w.yaml"),
        ),
        (
            &bad,
            &good,
            Some("error credentials/not-an-api-key clusters/dev/w.yaml"),
        ),
        (
            &good,
            &other,
            Some("error credentials/key-missing clusters/prod/w.yaml"),
        ),
        (&good, &good, None),
    ];
    for (dev, prod, expected) in table {
        let tree = Tree::of(&[
            ("clusters/dev/w.yaml", &workload),
            ("clusters/dev/secrets/s.yaml", dev),
            ("clusters/prod/w.yaml", &workload),
            ("clusters/prod/s.yaml", prod),
        ]);
        let found = tree.findings(&[]);
        assert!(found.len() <= 1, "{found:?}");
        let found = found.first().map(|it| it.split_once(':').unwrap().0);
        assert_eq!(found, expected, "{malformed}");
    }
    // What lies in no cluster's folder is for all.
    let tree = Tree::of(&[
        ("clusters/dev/w.yaml", &workload),
        ("clusters/prod/w.yaml", &workload),
        ("shared/s.yaml", &good),
    ]);
    assert!(tree.findings(&[]).is_empty());
}

#[test]
fn a_secret_that_a_template_may_make_is_unseen() {
    let values = "global: {integrations: {argo-cd: {server: {auth: {type: token, tokenSecretKeyRef: {name: s, key: token}}}}}}\n";
    let values = format!("gitops-runtime: {{{}}}\n", values.trim());
    let chart = "apiVersion: v2\nname: u\nversion: 1.0.0\ndependencies:\n- {name: gitops-runtime, version: 0.30.0}\n";
    let unreadable = "{{- if .Values.x }}\nkind: ExternalSecret\n{{- end }}\n";
    let unnamed = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: '{{ .Values.name }}'}\nspec: {data: [{secretKey: token}]}\n";
    let named = unnamed.replace("'{{ .Values.name }}'", "s");
    for (template, unseen, found) in [
        (unreadable, true, &[][..]),
        (unnamed, true, &[]),
        (
            &named,
            false,
            &["warning secrets/made-too-late values.yaml:1:107"],
        ),
        (
            "",
            false,
            &["error credentials/secret-missing values.yaml:1:107"],
        ),
    ] {
        let tree = Tree::of(&[
            ("Chart.yaml", chart),
            ("values.yaml", &values),
            ("templates/es.yaml", template),
        ]);
        assert_eq!(tree.findings(&[]), found, "{template}");
        let report = tree.report(&[]);
        let is_unseen = !report["unseen"].as_array().unwrap().is_empty();
        assert_eq!(is_unseen, unseen, "{report}");
        let code = tree.run(&[]).code;
        let expected = match (unseen, found) {
            (true, _) => 3,
            (_, [found]) if found.starts_with("error") => 1,
            _ => 0,
        };
        assert_eq!(code, Some(expected), "{template}");
    }
}
