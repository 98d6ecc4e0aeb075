use std::sync::Arc;

use keyguard_core::document::Node;
use keyguard_core::policy::check_finding::CheckFinding;
use keyguard_core::policy::check_rules::CheckRule;
use keyguard_core::runtime::chart::argocd_cm::{ArgocdChart, argocd_cm};
use keyguard_core::runtime::chart::rendering::references;
use keyguard_core::runtime::chart::version::ChartVersion;

use super::{Context, Files, Release, releases};
use crate::sources::yaml;

/// A tree of files from paths and texts.
pub(super) fn tree(texts: &[(&str, &str)]) -> Files {
    let read = |(path, text): &(&str, &str)| {
        let documents = yaml::read(text, &Arc::from(*path)).unwrap();
        ((*path).to_owned(), documents)
    };
    texts.iter().map(read).collect()
}

/// The releases of a tree about which nothing more is known.
pub(super) fn found(texts: &[(&str, &str)]) -> Vec<Release> {
    releases(&tree(texts), &Context::default())
}

/// The one release of a tree.
pub(super) fn only(texts: &[(&str, &str)]) -> Release {
    let mut found = found(texts);
    assert_eq!(found.len(), 1, "{found:?}");
    found.swap_remove(0)
}

/// The rule and place of each finding.
pub(super) fn told(findings: &[CheckFinding]) -> Vec<(CheckRule, String)> {
    findings
        .iter()
        .map(|it| (it.rule, format!("{}:{}", it.at.file, it.at.line)))
        .collect()
}

/// The Secret that App Proxy reads, as `name:key`, and where it is written.
pub(super) fn secret(release: &Release) -> (String, String) {
    let found = references(&release.values, &release.version);
    let first = found.first().unwrap();
    let secret = format!("{}:{}", first.secret.as_str(), first.key.as_str());
    (secret, format!("{}:{}", first.at.file, first.at.line))
}

/// The text under a path of values.
pub(super) fn text<'a>(values: &'a Node, path: &str) -> Option<&'a str> {
    let keys: Vec<&str> = path.split('.').collect();
    values.text_at(&keys)
}

const RUNTIME_CHART: &str = "apiVersion: v2\nname: ours\nversion: 1.0.0\ndependencies:\n- name: gitops-runtime\n  version: 0.30.0\n";
const GOOD: &str = "type: token, tokenSecretKeyRef: {name: s, key: token}";

fn auth(auth: &str) -> String {
    format!("global: {{integrations: {{argo-cd: {{server: {{auth: {{{auth}}}}}}}}}}}")
}

#[test]
fn a_dependency_has_its_values_under_its_name() {
    let values = format!("gitops-runtime:\n  {}\n", auth(GOOD));
    let release = only(&[("a/Chart.yaml", RUNTIME_CHART), ("a/values.yaml", &values)]);
    assert_eq!(release.version, ChartVersion::Exact("0.30.0".to_owned()));
    assert_eq!(
        secret(&release),
        ("s:token".to_owned(), "a/values.yaml:2".to_owned())
    );
    assert!(release.judge().is_empty() && release.unseen.is_empty());

    let chart = RUNTIME_CHART.replace("gitops-runtime\n", "gitops-runtime\n  alias: rt\n");
    let misplaced = only(&[("a/Chart.yaml", &chart), ("a/values.yaml", &values)]);
    let expected = (CheckRule::PathMisplaced, "a/values.yaml:2".to_owned());
    assert_eq!(told(&misplaced.judge()), [expected]);
    let values = values.replace("gitops-runtime", "rt");
    let release = only(&[("a/Chart.yaml", &chart), ("a/values.yaml", &values)]);
    assert_eq!(secret(&release).0, "s:token");
}

#[test]
fn the_global_values_of_the_parent_win() {
    let own = auth("type: token, tokenSecretKeyRef: {name: own, key: token}");
    let parent = auth("tokenSecretKeyRef: {name: parent}");
    let values = format!("gitops-runtime:\n  {own}\n{parent}\n");
    let release = only(&[("Chart.yaml", RUNTIME_CHART), ("values.yaml", &values)]);
    assert_eq!(
        secret(&release),
        ("parent:token".to_owned(), "values.yaml:3".to_owned())
    );
}

#[test]
fn further_values_files_are_laid_over_in_order() {
    let values = format!("gitops-runtime:\n  {}\n", auth(GOOD));
    let one = format!(
        "gitops-runtime:\n  {}\n",
        auth("tokenSecretKeyRef: {name: one, key: k}")
    );
    let two = format!(
        "gitops-runtime:\n  {}\n",
        auth("tokenSecretKeyRef: {name: two}")
    );
    let files = tree(&[
        ("Chart.yaml", RUNTIME_CHART),
        ("values.yaml", &values),
        ("one.yaml", &one),
        ("two.yaml", &two),
    ]);
    let context = Context {
        value_files: vec![
            "one.yaml".to_owned(),
            "two.yaml".to_owned(),
            "three.yaml".to_owned(),
        ],
        ..Context::default()
    };
    let found = releases(&files, &context);
    assert_eq!(found.len(), 1);
    assert_eq!(
        secret(&found[0]),
        ("two:k".to_owned(), "two.yaml:2".to_owned())
    );
    assert!(
        found[0].unseen[0].what.contains("three.yaml"),
        "{:?}",
        found[0].unseen
    );
}

#[test]
fn the_version_of_the_dependency_tells_what_is_read() {
    let values = "gitops-runtime:\n  argo-cd: {enabled: false}\n  global:\n    external-argo-cd:\n      auth:\n        type: token\n        tokenSecretKeyRef: {name: s, key: k}\n";
    for (version, dead) in [("0.25.2", false), ("0.26.0", true), (">=0.26.0", true)] {
        let chart = RUNTIME_CHART.replace("0.30.0", &format!("\"{version}\""));
        let release = only(&[("Chart.yaml", &chart), ("values.yaml", values)]);
        let expected = (CheckRule::PathNotRead, "values.yaml:5".to_owned());
        let expected: Vec<_> = dead.then_some(expected).into_iter().collect();
        assert_eq!(told(&release.judge()), expected, "{version}");
    }
}

#[test]
fn a_dependency_that_is_switched_off_is_none() {
    let chart = format!("{RUNTIME_CHART}  condition: gitops-runtime.enabled\n");
    let values = "gitops-runtime:\n  enabled: false\n";
    assert!(found(&[("Chart.yaml", &chart), ("values.yaml", values)]).is_empty());
    assert_eq!(found(&[("Chart.yaml", &chart)]).len(), 1);
}

#[test]
fn argo_cd_charts_have_their_accounts() {
    let chart = "name: ours\ndependencies:\n- {name: argo-cd, version: 7.0.0}\n";
    let values = "argo-cd:\n  configs:\n    cm:\n      accounts.admin: login\n";
    let release = only(&[("Chart.yaml", chart), ("values.yaml", values)]);
    assert_eq!(release.chart, ArgocdChart::ArgoCd);
    let cm = argocd_cm(&release.values, release.chart).unwrap();
    assert_eq!(cm.data["accounts.admin"], "login");
    assert_eq!(cm.data["admin.enabled"], "true");
    assert_eq!(cm.places["accounts.admin"].line, 4);

    let values =
        "gitops-runtime:\n  argo-cd:\n    configs:\n      cm:\n        accounts.admin: login\n";
    let release = only(&[("Chart.yaml", RUNTIME_CHART), ("values.yaml", values)]);
    let cm = argocd_cm(&release.values, release.chart).unwrap();
    assert_eq!(
        (cm.data["accounts.admin"].as_str(), cm.path),
        ("login", "argo-cd.configs.cm")
    );
    let release = only(&[("Chart.yaml", RUNTIME_CHART)]);
    let cm = argocd_cm(&release.values, release.chart).unwrap();
    assert_eq!(
        (cm.data["accounts.admin"].as_str(), cm.is_written),
        ("apiKey,login", false)
    );
    let values = "gitops-runtime: {argo-cd: {enabled: false}}\n";
    let release = only(&[("Chart.yaml", RUNTIME_CHART), ("values.yaml", values)]);
    assert!(argocd_cm(&release.values, release.chart).is_none());
}

#[test]
fn values_that_nothing_names_are_looked_at_too() {
    let dead = "global: {external-arg-cd: {auth: {type: token}}}\n";
    for text in [dead.to_owned(), format!("anything: {{{}}}\n", dead.trim())] {
        let release = only(&[("env/prod.yaml", &text)]);
        assert_eq!(release.version, ChartVersion::Unknown);
        let expected = (CheckRule::PathNotRead, "env/prod.yaml:1".to_owned());
        assert_eq!(told(&release.judge()), [expected], "{text}");
    }
    assert!(found(&[("a.yaml", "global: {other: 1}\n")]).is_empty());
    // The chart itself has a version.
    let chart = "name: gitops-runtime\nversion: 0.25.2\n";
    let release = only(&[("Chart.yaml", chart), ("values.yaml", &auth(GOOD))]);
    assert_eq!(release.version, ChartVersion::Exact("0.25.2".to_owned()));
}

#[test]
fn a_values_file_beside_a_chart_is_laid_over_it() {
    let base = format!("gitops-runtime:\n  {}\n", auth(GOOD));
    let prod = format!(
        "gitops-runtime:\n  {}\n",
        auth("tokenSecretKeyRef: {name: prod}")
    );
    let found = found(&[
        ("Chart.yaml", RUNTIME_CHART),
        ("values.yaml", &base),
        ("values-prod.yaml", &prod),
    ]);
    let secrets: Vec<_> = found.iter().map(|it| secret(it).0).collect();
    assert_eq!(secrets, ["s:token", "prod:token"]);
}

#[test]
fn kustomize_has_values_in_files_and_inline() {
    let text = "namespace: codefresh\nhelmCharts:\n- name: gitops-runtime\n  version: 0.30.0\n  releaseName: rt\n  valuesFile: base.yaml\n  additionalValuesFiles: [../more.yaml, gone.yaml]\n  valuesInline:\n    global: {integrations: {argo-cd: {server: {auth: {tokenSecretKeyRef: {name: inline}}}}}}\n";
    let more = auth("tokenSecretKeyRef: {key: more}");
    let at = |way: &str| {
        let text = format!("{text}  valuesMerge: {way}\n");
        only(&[
            ("k/kustomization.yaml", &text),
            ("k/base.yaml", &auth(GOOD)),
            ("more.yaml", &more),
        ])
    };
    let release = at("override");
    assert_eq!(
        secret(&release),
        (
            "inline:more".to_owned(),
            "k/kustomization.yaml:9".to_owned()
        )
    );
    assert_eq!(release.namespace.as_deref(), Some("codefresh"));
    assert_eq!(release.name.as_deref(), Some("rt"));
    assert!(
        release.unseen[0].what.contains("k/gone.yaml"),
        "{:?}",
        release.unseen
    );
    assert_eq!(secret(&at("merge")).0, "s:more");
    // Without `type`, the default is a password.
    assert_eq!(
        secret(&at("replace")).0,
        "argocd-initial-admin-secret:password"
    );
}

#[test]
fn nothing_that_is_printed_has_a_credential_in_it() {
    let plain = auth("type: token, token: hunter-hunter");
    let application = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec:\n  source:\n    chart: gitops-runtime\n    targetRevision: 0.30.0\n    helm:\n      values: '{plain}'\n      parameters: [{{name: app-proxy.env.ARGO_CD_PASSWORD, value: hunter-hunter}}]\n"
    );
    let broken = application.replace("}}}'", "}'");
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: v}}\nstringData: {{values.yaml: '{plain}'}}\n"
    );
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: r}\nspec:\n  chart: {spec: {chart: gitops-runtime, version: 0.30.0}}\n  valuesFrom: [{kind: Secret, name: v}]\n";
    let found = found(&[
        ("a.yaml", &application),
        ("b.yaml", &broken),
        ("c.yaml", &secret),
        ("d.yaml", release),
        ("values.yaml", &plain),
    ]);
    assert_eq!(found.len(), 4);
    for release in &found {
        let printed = format!("{release:?} {:?}", release.judge());
        assert!(!printed.contains("hunter"), "{printed}");
    }
    let plain = |release: &Release| {
        let found = release.judge();
        found.iter().any(|it| it.rule == CheckRule::PlainCredential)
    };
    assert_eq!(found.iter().filter(|it| plain(it)).count(), 4);
}
