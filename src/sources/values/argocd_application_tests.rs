use keyguard_core::policy::check_finding::CheckSeverity;
use keyguard_core::policy::check_rules::CheckRule;
use keyguard_core::runtime::chart::account::{AccountInUse, account};
use keyguard_core::runtime::chart::version::{ChartVersion, Generation};

use super::tests::{found, only, secret, text, told, tree};
use super::{Context, Release, releases};

const CHART: &str =
    "repoURL: oci://quay.io/codefresh\n    chart: gitops-runtime\n    targetRevision: 0.30.0";
const AUTH: &str = "global: {integrations: {argo-cd: {server: {auth: ";

/// An Application whose one source has these lines of `helm`.
fn application(source: &str, helm: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: rt}}\nspec:\n  destination: {{namespace: codefresh}}\n  source:\n    {source}\n    helm:\n{helm}"
    )
}

fn of(helm: &str) -> Release {
    only(&[("app.yaml", &application(CHART, helm))])
}

#[test]
fn each_way_to_write_values_is_read_with_its_place() {
    let values = "      values: |\n        global:\n          integrations:\n            argo-cd:\n              server:\n                auth:\n                  type: token\n                  tokenSecretKeyRef:\n                    name: mine\n                    key: token\n";
    let release = of(values);
    // The line of `name: mine` in the file.
    assert_eq!(
        secret(&release),
        ("mine:token".to_owned(), "app.yaml:19".to_owned())
    );
    let at = release.values.path(&[
        "global",
        "integrations",
        "argo-cd",
        "server",
        "auth",
        "tokenSecretKeyRef",
        "name",
    ]);
    assert_eq!(at.map(|it| (it.at.line, it.at.column)), Some((19, 27)));
    assert_eq!(release.version, ChartVersion::Exact("0.30.0".to_owned()));
    assert_eq!(release.namespace.as_deref(), Some("codefresh"));
    assert!(release.judge().is_empty() && release.unseen.is_empty());

    let object = format!(
        "      valuesObject:\n        {AUTH}{{type: token, tokenSecretKeyRef: {{name: object, key: k}}}}}}}}}}}}\n"
    );
    assert_eq!(
        secret(&of(&object)),
        ("object:k".to_owned(), "app.yaml:12".to_owned())
    );

    let both = format!("{values}{object}");
    assert_eq!(secret(&of(&both)).0, "object:k");

    // Argo CD then ignores `values`: what only they say does not count.
    let other = "      valuesObject: {app-proxy: {enabled: true}}\n";
    let release = of(&format!("{values}{other}"));
    assert!(release.references().iter().all(|it| !it.is_written));

    let parameters = format!(
        "{both}      parameters:\n      - name: global.integrations.argo-cd.server.auth.tokenSecretKeyRef.name\n        value: parameter\n      - {{name: argo-cd.configs.cm.accounts\\.admin, value: login}}\n      - {{name: argo-cd.enabled, value: \"false\"}}\n"
    );
    let release = of(&parameters);
    assert_eq!(secret(&release).0, "parameter:k");
    let cm = release
        .values
        .path(&["argo-cd", "configs", "cm", "accounts.admin"]);
    assert_eq!(cm.and_then(|it| it.text()), Some("login"));
    let enabled = release.values.path(&["argo-cd", "enabled"]);
    assert!(enabled.is_some_and(|it| it.text().is_none()));
}

#[test]
fn a_dead_path_in_an_application_is_told_where_it_stands() {
    let helm = "      valuesObject:\n        argo-cd: {enabled: false}\n        global:\n          external-argo-cd:\n            auth:\n              type: token\n              tokenSecretKeyRef: {name: s, key: k}\n";
    let expected = (CheckRule::PathNotRead, "app.yaml:15".to_owned());
    assert_eq!(told(&of(helm).judge()), [expected]);
    let old = application(CHART, helm).replace("0.30.0", "0.25.*");
    assert!(only(&[("app.yaml", &old)]).judge().is_empty());
}

#[test]
fn value_files_of_a_reference_count_when_it_is_this_checkout() {
    let text = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec:\n  sources:\n  - repoURL: https://charts.example.com\n    chart: gitops-runtime\n    targetRevision: 0.30.0\n    helm:\n      valueFiles: [$own/env/values.yaml]\n  - repoURL: https://github.com/acme/gitops.git\n    ref: own\n";
    let values =
        format!("{AUTH}{{type: token, tokenSecretKeyRef: {{name: file, key: k}}}}}}}}}}}}\n");
    let files = tree(&[("apps/rt.yaml", text), ("env/values.yaml", &values)]);
    let at = |repository: &str| {
        let context = Context {
            repositories: vec![repository.to_owned()],
            ..Context::default()
        };
        let mut found = releases(&files, &context);
        found.retain(|it| it.at.file.starts_with("apps/"));
        found.swap_remove(0)
    };
    let release = at("git@github.com:acme/gitops.git");
    assert_eq!(
        secret(&release),
        ("file:k".to_owned(), "env/values.yaml:1".to_owned())
    );
    assert!(release.unseen.is_empty());
    let release = at("git@github.com:acme/other.git");
    assert_eq!(release.unseen.len(), 1, "{:?}", release.unseen);
    assert!(release.unseen[0].what.contains("$own/env/values.yaml"));

    // Without remotes, the folder of another source of the same repository tells.
    let path = text.replace("ref: own", "ref: own\n    path: env");
    let found = found(&[("apps/rt.yaml", &path), ("env/values.yaml", &values)]);
    assert_eq!(secret(&found[0]).0, "file:k");
    assert_eq!(found.len(), 1);
}

#[test]
fn what_is_elsewhere_is_unseen() {
    let table = [
        ("      valueFiles: [values-prod.yaml]\n", "inside the chart"),
        (
            "      valueFiles: [https://example.com/v.yaml]\n",
            "at an address",
        ),
        (
            "      valueFiles: [$gone/v.yaml]\n",
            "no source has ref: gone",
        ),
        ("      valueFiles: ['{{cluster}}.yaml']\n", "template"),
        (
            "      values: |\n        {{- x }}\n        a: b\n",
            "no YAML",
        ),
    ];
    for (helm, why) in table {
        let release = of(helm);
        assert_eq!(release.unseen.len(), 1, "{helm} {:?}", release.unseen);
        assert!(release.unseen[0].why.contains(why), "{:?}", release.unseen);
    }
}

#[test]
fn what_is_not_written_may_stand_in_a_layer_that_is_unseen() {
    let helm = format!(
        "      valueFiles: [$gone/v.yaml]\n      valuesObject:\n        {AUTH}{{tokenSecretKeyRef: {{name: s, key: k}}}}}}}}}}}}\n"
    );
    let release = of(&helm);
    assert!(!release.is_complete && release.references().is_empty());
    let severities: Vec<_> = release.judge().iter().map(|it| it.severity).collect();
    assert_eq!(severities, [CheckSeverity::Warning]);
    let release = of(&helm.replace("      valueFiles: [$gone/v.yaml]\n", ""));
    assert!(release.is_complete && release.references().len() == 5);
    let severities: Vec<_> = release.judge().iter().map(|it| it.severity).collect();
    assert_eq!(severities, [CheckSeverity::Error]);
}

#[test]
fn a_chart_of_this_checkout_has_its_values_below() {
    let chart = "name: ours\ndependencies:\n- {name: gitops-runtime, version: 0.30.0}\n";
    let values = format!(
        "gitops-runtime:\n  {AUTH}{{type: token, tokenSecretKeyRef: {{name: base, key: k}}}}}}}}}}}}\n"
    );
    let prod = format!("{AUTH}{{tokenSecretKeyRef: {{name: prod}}}}}}}}}}}}\n");
    let source = "repoURL: https://github.com/acme/gitops\n    path: charts/rt";
    let helm =
        "      valueFiles: [values-prod.yaml, gone.yaml]\n      ignoreMissingValueFiles: true\n";
    let release = only(&[
        ("app.yaml", &application(source, helm)),
        ("charts/rt/Chart.yaml", chart),
        ("charts/rt/values.yaml", &values),
        ("charts/rt/values-prod.yaml", &prod),
    ]);
    assert_eq!(
        secret(&release),
        (
            "prod:k".to_owned(),
            "charts/rt/values-prod.yaml:1".to_owned()
        )
    );
    assert!(release.unseen.is_empty(), "{:?}", release.unseen);
    assert_eq!(release.namespace.as_deref(), Some("codefresh"));
}

#[test]
fn templates_in_what_decides_are_unseen_and_no_finding() {
    let text = "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nspec:\n  template:\n    spec:\n      destination: {namespace: '{{namespace}}'}\n      source:\n        chart: gitops-runtime\n        targetRevision: '{{version}}'\n        helm:\n          valuesObject:\n            global: {integrations: {argo-cd: {server: {auth: {type: '{{type}}', username: '{{user}}', tokenSecretKeyRef: {name: '{{secret}}', key: token}}}}}}\n";
    let release = only(&[("set.yaml", text)]);
    let what: Vec<&str> = release.unseen.iter().map(|it| it.what.as_str()).collect();
    let base = "global.integrations.argo-cd.server.auth";
    let expected = [
        "the namespace of the release".to_owned(),
        "the version of the chart".to_owned(),
        format!("{base}.tokenSecretKeyRef.name"),
        format!("{base}.type"),
        format!("{base}.username"),
    ];
    assert_eq!(what, expected);
    assert_eq!(release.namespace, None);
    assert_eq!(release.version, ChartVersion::Unknown);
    // Only that the version decides.
    let judged = told(&release.judge());
    assert_eq!(judged, [(CheckRule::PathNotRead, "set.yaml:12".to_owned())]);
    assert_eq!(
        account(&release.values, Generation::Integrations),
        AccountInUse::Untold
    );
    assert_eq!(text_of(&release), Some("{{type}}"));

    let any = text.replace("chart: gitops-runtime", "chart: '{{chart}}'");
    assert_eq!(only(&[("set.yaml", &any)]).unseen.len(), 6);
    let other = "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nspec: {template: {spec: {source: {chart: '{{chart}}', helm: {values: 'a: 1'}}}}}\n";
    assert!(found(&[("set.yaml", other)]).is_empty());
}

fn text_of(release: &Release) -> Option<&str> {
    text(
        &release.values,
        "global.integrations.argo-cd.server.auth.type",
    )
}

#[test]
fn patterns_of_value_files_find_what_no_other_entry_names() {
    let chart = "name: umbrella\ndependencies:\n- {name: gitops-runtime, version: 0.30.0}\n";
    let values = |name: &str| {
        format!(
            "gitops-runtime: {{{AUTH}{{type: token, tokenSecretKeyRef: {{name: {name}, key: k}}}}}}}}}}}}}}\n"
        )
    };
    let of = |files: &str, more: &str| {
        let text = application(
            "repoURL: https://x.example/y\n    path: rt",
            &format!("      valueFiles: {files}\n{more}"),
        );
        let [a, b, c] = ["a", "b", "c"].map(values);
        let tree = tree(&[
            ("app.yaml", &text),
            ("rt/Chart.yaml", chart),
            ("rt/env/a.yaml", &a),
            ("rt/env/deep/b.yaml", &b),
            ("rt/env/c.yaml", &c),
        ]);
        let mut found = releases(&tree, &Context::default());
        found.retain(|it| it.files.contains(&"rt/Chart.yaml".to_owned()));
        found.swap_remove(0)
    };
    let table = [
        ("['env/*.yaml']", "c:k"),
        ("['env/**/*.yaml']", "b:k"),
        ("[env/c.yaml, 'env/*.yaml']", "a:k"),
        ("['env/*.yaml', env/a.yaml]", "a:k"),
        ("[env/a.yaml, env/c.yaml, env/a.yaml]", "c:k"),
    ];
    for (files, expected) in table {
        let release = of(files, "");
        assert_eq!(secret(&release).0, expected, "{files}");
        assert!(release.unseen.is_empty(), "{files}: {:?}", release.unseen);
    }
    assert_eq!(of("['env/z*.yaml']", "").unseen.len(), 1);
    let absent = of("['env/z*.yaml']", "      ignoreMissingValueFiles: true\n");
    assert!(absent.unseen.is_empty());
}

#[test]
fn a_patch_of_the_template_and_the_namespace_of_helm_count() {
    let set = |patch: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nspec:\n  template:\n    spec:\n      destination: {{namespace: other}}\n      source: {{repoURL: 'oci://quay.io/codefresh', chart: gitops-runtime, targetRevision: 0.30.0, helm: {{namespace: codefresh}}}}\n  templatePatch: |\n    spec:\n      source:\n        helm:\n          valuesObject:\n            {AUTH}{{type: token, tokenSecretKeyRef: {{name: {patch}, key: k}}}}}}}}}}}}\n"
        )
    };
    let release = only(&[("set.yaml", &set("patched"))]);
    assert_eq!(
        secret(&release),
        ("patched:k".to_owned(), "set.yaml:13".to_owned())
    );
    assert_eq!(release.namespace.as_deref(), Some("codefresh"));
    let release = only(&[("set.yaml", &set("'{{.name}}'"))]);
    assert!(!release.is_complete && release.unseen[0].what == "templatePatch");
}

#[test]
fn parameters_that_are_texts_count_last_and_those_from_files_are_unseen() {
    let name = "global.integrations.argo-cd.server.auth.tokenSecretKeyRef.name";
    let helm = format!(
        "      parameters:\n      - {{name: {name}, value: text, forceString: true}}\n      - {{name: {name}, value: plain}}\n      - {{name: global.integrations.argo-cd.server.auth.tokenSecretKeyRef.key, value: k}}\n      - {{name: global.integrations.argo-cd.server.auth.type, value: token}}\n"
    );
    let release = of(&helm);
    assert_eq!(secret(&release).0, "text:k");
    let from_file = "      fileParameters: [{name: global.integrations.argo-cd.server.auth.token, path: t}, {name: other, path: o}]\n";
    let release = of(&format!("{helm}{from_file}"));
    assert_eq!(release.unseen.len(), 1);
    assert!(!release.is_complete);
}
