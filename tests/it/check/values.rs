//! Values of the Runtime's chart, wherever people keep them.

use super::Tree;

/// Token settings in the shape of the values, indented.
pub(super) fn auth(indent: usize, path: &[&str], auth: &[&str]) -> String {
    let mut text = String::new();
    for (depth, key) in path.iter().enumerate() {
        text.push_str(&format!("{}{key}:\n", "  ".repeat(indent + depth)));
    }
    for line in auth {
        text.push_str(&format!("{}{line}\n", "  ".repeat(indent + path.len())));
    }
    text
}

pub(super) const NEW: [&str; 5] = ["global", "integrations", "argo-cd", "server", "auth"];
const OLD: [&str; 3] = ["global", "external-argo-cd", "auth"];
pub(super) const TOKEN: [&str; 2] = ["type: token", "tokenSecretKeyRef: {name: key, key: token}"];

/// The four places in which people keep values, with a version of the chart.
pub(super) fn places(
    version: &str,
    path: &[&str],
    lines: &[&str],
) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let chart = format!(
        "apiVersion: v2\nname: umbrella\nversion: 1.0.0\ndependencies:\n- {{name: gitops-runtime, version: {version}, repository: 'oci://quay.io/codefresh'}}\n"
    );
    let umbrella = format!("gitops-runtime:\n{}", auth(1, path, lines));
    let application = format!(
        "apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {{name: runtime, namespace: argocd}}
spec:
  destination: {{namespace: codefresh}}
  source:
    repoURL: quay.io/codefresh
    chart: gitops-runtime
    targetRevision: {version}
    helm:
      valuesObject:
{}",
        auth(4, path, lines)
    );
    let text = format!(
        "{}      values: |\n{}",
        application.split("      valuesObject").next().unwrap(),
        auth(4, path, lines)
    );
    let flux = format!("apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: runtime, namespace: codefresh}}
spec:
  chart: {{spec: {{chart: gitops-runtime, version: {version}, sourceRef: {{kind: HelmRepository, name: codefresh}}}}}}
  values:
{}", auth(2, path, lines));
    let kustomize = format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
helmCharts:
- name: gitops-runtime
  version: {version}
  namespace: codefresh
  valuesInline:
{}",
        auth(2, path, lines)
    );
    vec![
        (
            "an umbrella chart",
            vec![("Chart.yaml", chart), ("values.yaml", umbrella)],
        ),
        ("an Application", vec![("app.yaml", application)]),
        ("an Application with text", vec![("app.yaml", text)]),
        ("a HelmRelease", vec![("release.yaml", flux)]),
        ("a Kustomization", vec![("kustomization.yaml", kustomize)]),
    ]
}

pub(super) fn rules(files: &[(&'static str, String)], arguments: &[&str]) -> Vec<String> {
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (*path, text.as_str()))
        .collect();
    let found = Tree::of(&files).findings(arguments);
    let mut rules: Vec<String> = found
        .iter()
        .map(|it| it.rsplit_once(' ').unwrap().0.to_owned())
        .collect();
    rules.dedup();
    rules
}

#[test]
fn a_path_is_judged_by_the_version_of_the_chart_in_every_place() {
    let by_hand = ["--secret", "codefresh/key:token"];
    let not_read = "error values/path-not-read".to_owned();
    for (version, path, expected) in [
        ("0.30.0", &NEW[..], vec![]),
        ("0.26.0", &NEW[..], vec![]),
        ("0.25.2", &NEW[..], vec![not_read.clone()]),
        ("0.18.0", &OLD[..], vec![]),
        ("0.25.2", &OLD[..], vec![]),
        ("0.26.0", &OLD[..], vec![not_read.clone()]),
        (
            "0.30.0",
            &["global", "external-arg-cd", "auth"][..],
            vec![not_read.clone()],
        ),
        (
            "0.20.0",
            &["global", "external-arg-cd", "auth"][..],
            vec![not_read],
        ),
    ] {
        for (place, files) in places(version, path, &TOKEN) {
            let mut rules = rules(&files, &by_hand);
            // What the defaults then need is told as well.
            rules.retain(|rule| rule.starts_with("error values/"));
            assert_eq!(rules, expected, "{version} {path:?} in {place}");
        }
    }
}

#[test]
fn a_secret_that_nobody_makes_is_missing_in_every_place() {
    let missing = ["error credentials/secret-missing"];
    for (place, files) in places("0.30.0", &NEW, &TOKEN) {
        assert_eq!(rules(&files, &[]), missing, "{place}");
        let none: [&str; 0] = [];
        assert_eq!(
            rules(&files, &["--secret", "codefresh/key:token"]),
            none,
            "{place}"
        );
        let mut with_secret = files.clone();
        with_secret.push(("key.yaml", "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: key, namespace: codefresh}\nspec: {encryptedData: {token: x}}\n".to_owned()));
        assert_eq!(rules(&with_secret, &[]), none, "{place}");
    }
}

#[test]
fn each_mistake_has_its_rule_in_every_place_and_no_credential_is_printed() {
    let secret = ["--secret", "codefresh/key:token"];
    let table: [(&str, &[&str], &str); 4] = [
        (
            "the type",
            &["tokenSecretKeyRef: {name: key, key: token}"],
            "values/type-mismatch",
        ),
        (
            "both",
            &[
                "type: token",
                "token: hunter2hunter2",
                "tokenSecretKeyRef: {name: key, key: token}",
            ],
            "values/plain-and-reference",
        ),
        (
            "a plain credential",
            &["type: token", "token: hunter2hunter2"],
            "values/plain-credential",
        ),
        (
            "no text",
            &["type: password", "password: 12345"],
            "values/plain-not-text",
        ),
    ];
    for (what, lines, rule) in table {
        for (place, files) in places("0.30.0", &NEW, lines) {
            let rules = rules(&files, &secret);
            assert!(
                rules.iter().any(|found| found.ends_with(rule)),
                "{what} in {place}: {rules:?}"
            );
            let files: Vec<(&str, &str)> = files
                .iter()
                .map(|(path, text)| (*path, text.as_str()))
                .collect();
            for format in ["table", "json", "sarif", "junit", "github"] {
                let ended = Tree::of(&files).run(&["--format", format]);
                assert!(
                    !format!("{}{}", ended.stdout, ended.stderr).contains("hunter2"),
                    "{what} in {place}"
                );
            }
        }
    }
}

#[test]
fn the_place_is_in_the_values_and_not_in_what_is_rendered() {
    let (_, files) = &places("0.30.0", &OLD, &TOKEN)[0];
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (*path, text.as_str()))
        .collect();
    let found = Tree::of(&files).findings(&["--secret", "codefresh/key:token"]);
    assert!(
        found
            .iter()
            .any(|it| it.starts_with("error values/path-not-read values.yaml:4:7")),
        "{found:?}"
    );
}

#[test]
fn a_chart_of_argo_cd_must_not_take_the_api_key() {
    let release = |cm: &str| {
        format!("apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: runtime, namespace: codefresh}}
spec:
  chart: {{spec: {{chart: gitops-runtime, version: 0.30.0, sourceRef: {{kind: HelmRepository, name: codefresh}}}}}}
  values: {{argo-cd: {{configs: {{cm: {{{cm}}}}}}}}}
")
    };
    for (cm, expected) in [
        ("url: x", vec![]),
        ("accounts.admin: 'apiKey, login'", vec![]),
        (
            "accounts.admin: login",
            vec!["error accounts/api-key-removed"],
        ),
        (
            "admin.enabled: 'false'",
            vec!["error accounts/account-disabled"],
        ),
    ] {
        let release = release(cm);
        assert_eq!(rules(&[("r.yaml", release)], &[]), expected, "{cm}");
    }
}

#[test]
fn what_is_elsewhere_is_unseen_and_ends_with_3() {
    let application = "apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: runtime, namespace: argocd}
spec:
  destination: {namespace: codefresh}
  sources:
  - {repoURL: quay.io/codefresh, chart: gitops-runtime, targetRevision: 0.30.0, helm: {valueFiles: [$values/runtime.yaml]}}
  - {repoURL: 'https://example.com/elsewhere.git', ref: values}
";
    let tree = Tree::of(&[("app.yaml", application)]);
    let report = tree.report(&[]);
    assert_eq!(report["unseen"][0]["file"], "app.yaml", "{report}");
    assert_eq!(tree.run(&[]).code, Some(3), "{report}");
}
