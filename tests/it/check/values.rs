//! Values of the Runtime's chart, wherever people keep them.

use super::Tree;

/// Token settings in the shape of the values, indented.
fn auth(indent: usize, path: &[&str], auth: &[&str]) -> String {
    let mut text = String::new();
    for (depth, key) in path.iter().enumerate() {
        text.push_str(&format!("{}{key}:\n", "  ".repeat(indent + depth)));
    }
    for line in auth {
        text.push_str(&format!("{}{line}\n", "  ".repeat(indent + path.len())));
    }
    text
}

const NEW: [&str; 5] = ["global", "integrations", "argo-cd", "server", "auth"];
const OLD: [&str; 3] = ["global", "external-argo-cd", "auth"];
const TOKEN: [&str; 2] = ["type: token", "tokenSecretKeyRef: {name: key, key: token}"];

/// The four places in which people keep values, with a version of the chart.
fn places(
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

fn rules(files: &[(&'static str, String)], arguments: &[&str]) -> Vec<String> {
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

#[test]
fn further_files_are_laid_over_in_their_order_with_and_without_a_chart() {
    let chart = "apiVersion: v2\nname: umbrella\nversion: 1.0.0\ndependencies:\n- {name: gitops-runtime, version: 0.30.0, repository: 'oci://quay.io/codefresh'}\n";
    let values = |indent: usize, lines: &[&str]| auth(indent, &NEW, lines);
    for (indent, top, chart) in [(1, "gitops-runtime:\n", Some(chart)), (0, "", None)] {
        let base = format!("{top}{}", values(indent, &TOKEN));
        let other = ["tokenSecretKeyRef: {name: production}"];
        let production = format!("{top}{}", values(indent, &other));
        let mut files = vec![
            ("layers/base.yaml", base.as_str()),
            ("layers/production.yaml", production.as_str()),
        ];
        files.extend(chart.map(|chart| ("charts/runtime/Chart.yaml", chart)));
        let tree = Tree::of(&files);
        let (base, production) = ("layers/base.yaml", "layers/production.yaml");
        let arguments = |first, second| ["--chart-version=0.30.0", "-f", first, "--values", second];
        let both = tree.report(&arguments(base, production));
        let findings = both["findings"].as_array().unwrap();
        assert_eq!(findings.len(), 1, "{both}");
        let message = findings[0]["message"].as_str().unwrap();
        assert!(message.contains("\"production\""), "{message}");
        assert_eq!(findings[0]["file"], production);
        let reversed = tree.report(&arguments(production, base));
        let message = reversed["findings"][0]["message"].as_str().unwrap();
        assert!(message.contains("\"key\""), "{message}");
        let none = tree.run(&["-f", "gone.yaml"]);
        assert_eq!(none.code, Some(2));
        assert!(
            none.stderr.contains("gone.yaml cannot be read"),
            "{}",
            none.stderr
        );
    }
}

const UMBRELLA: &str = "apiVersion: v2\nname: umbrella\nversion: 1.0.0\ndependencies:\n- {name: gitops-runtime, version: 0.30.0, alias: rt, condition: 'rt.on,rt.enabled', tags: [runtime]}\n";

fn under(key: &str, values: &str) -> String {
    format!("{key}: {{{values}}}\n")
}

/// The settings of a token in one line.
fn token(name: &str) -> String {
    format!(
        "global: {{integrations: {{argo-cd: {{server: {{auth: {{type: token, tokenSecretKeyRef: {{name: {name}, key: token}}}}}}}}}}}}"
    )
}

#[test]
fn a_dependency_that_is_off_is_not_judged() {
    let own = token("gone");
    for (more, expected) in [
        ("", 1),
        ("rt: {enabled: false}", 0),
        ("rt: {on: true, enabled: false}", 1),
        ("rt: {on: neither, enabled: false}", 0),
        ("tags: {runtime: false}", 0),
        ("tags: {runtime: false}\nrt: {enabled: true}", 1),
    ] {
        let values = match more.split_once("rt: {") {
            Some((before, rest)) => format!("{before}rt: {{{own}, {rest}"),
            None => format!("{}{more}\n", under("rt", &own)),
        };
        let files = [
            ("Chart.yaml", UMBRELLA.to_owned()),
            ("values.yaml", values.clone()),
        ];
        assert_eq!(rules(&files, &[]).len(), expected, "{values}");
    }
}

#[test]
fn values_that_others_complete_are_not_judged_by_what_they_lack() {
    let base = under("rt", "argo-cd: {enabled: false}");
    let [dev, prod] = ["dev", "prod"].map(|name| under("rt", &token(name)));
    let secret = |name: &str| format!("codefresh/{name}:token");
    let (dev_secret, prod_secret) = (secret("dev"), secret("prod"));
    let by_hand = ["--secret", &dev_secret, "--secret", &prod_secret];
    let chart = |path| (path, UMBRELLA.to_owned());
    for files in [
        vec![chart("Chart.yaml"), ("values.yaml", base.clone()), ("values-prod.yaml", prod.clone())],
        vec![
            chart("rt/Chart.yaml"),
            ("rt/values.yaml", base.clone()),
            ("rt/env/dev.yaml", dev),
            ("rt/env/prod.yaml", prod),
        ],
        vec![
            chart("rt/Chart.yaml"),
            ("rt/values.yaml", base.clone()),
            ("all/Chart.yaml", "apiVersion: v2\nname: all\nversion: 1.0.0\ndependencies: [{name: umbrella, version: 1.0.0, repository: 'file://../rt'}]\n".to_owned()),
        ],
    ] {
        let found = rules(&files, &by_hand);
        assert!(found.is_empty(), "{files:?}: {found:?}");
    }
    let alone = [chart("Chart.yaml"), ("values.yaml", base)];
    assert_eq!(
        rules(&alone, &by_hand),
        ["error credentials/secret-missing"]
    );
}

#[test]
fn settings_of_the_other_type_that_say_nothing_are_none() {
    for lines in [
        [
            "type: token",
            "tokenSecretKeyRef: {name: key, key: token}",
            "passwordSecretKeyRef: {name: '', key: ''}",
        ],
        [
            "type: password",
            "passwordSecretKeyRef: {name: key, key: token}",
            "tokenSecretKeyRef: {name: '', key: ''}",
        ],
    ] {
        for (place, files) in places("0.30.0", &NEW, &lines) {
            let found = rules(&files, &["--secret", "codefresh/key:token"]);
            assert!(found.is_empty(), "{lines:?} in {place}: {found:?}");
        }
    }
}

#[test]
fn two_dependencies_on_the_chart_have_their_own_values() {
    let chart = "apiVersion: v2\nname: u\nversion: 1.0.0\ndependencies:\n- {name: gitops-runtime, alias: a, version: 0.30.0}\n- {name: gitops-runtime, alias: b, version: 0.30.0}\n";
    let values = format!("{}{}", under("a", &token("one")), under("b", &token("two")));
    let files = [("Chart.yaml", chart.to_owned()), ("values.yaml", values)];
    let by_hand = ["--secret", "x/one:token", "--secret", "x/two:token"];
    let found = rules(&files, &by_hand);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_account_that_the_values_name_is_the_one_that_must_stay() {
    let release = |cm: &str| {
        let auth = "global: {integrations: {argo-cd: {server: {auth: {type: password, username: cf, passwordSecretKeyRef: {name: p, key: password}}}}}}";
        let values = format!("{auth}, argo-cd: {{configs: {{cm: {{{cm}}}}}}}");
        format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: r, namespace: codefresh}}\nspec:\n  chart: {{spec: {{chart: gitops-runtime, version: 0.30.0}}}}\n  values: {{{values}}}\n"
        )
    };
    let by_hand = ["--secret", "codefresh/p:password"];
    for (cm, expected) in [
        (
            "accounts.cf: 'apiKey, login', admin.enabled: 'false'",
            vec![],
        ),
        ("accounts.cf: login", vec!["error accounts/api-key-removed"]),
    ] {
        let found = rules(&[("r.yaml", release(cm))], &by_hand);
        assert_eq!(found, expected, "{cm}");
    }
}
