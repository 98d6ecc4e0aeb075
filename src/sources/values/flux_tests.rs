use keyguard_core::policy::check_rules::CheckRule;
use keyguard_core::runtime::chart::version::ChartVersion;

use super::tests::{found, only, secret, text, told};

const RELEASE: &str = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: rt, namespace: flux}\nspec:\n  targetNamespace: codefresh\n  chart: {spec: {chart: gitops-runtime, version: 0.30.0}}\n";
const AUTH: &str = "global: {integrations: {argo-cd: {server: {auth: ";

fn auth(auth: &str) -> String {
    format!("{AUTH}{{{auth}}}}}}}}}}}")
}

#[test]
fn values_of_a_release_are_read_with_their_place() {
    let values = auth("type: token, tokenSecretKeyRef: {name: s, key: k}");
    let text = format!("{RELEASE}  values:\n    {values}\n");
    let release = only(&[("r.yaml", &text)]);
    assert_eq!(secret(&release), ("s:k".to_owned(), "r.yaml:8".to_owned()));
    assert_eq!(release.namespace.as_deref(), Some("codefresh"));
    assert_eq!(release.name.as_deref(), Some("rt"));
    assert!(release.judge().is_empty() && release.unseen.is_empty());

    let dead = format!(
        "{RELEASE}  values:\n    argo-cd: {{enabled: false}}\n    global:\n      external-argo-cd:\n        auth: {{type: token, tokenSecretKeyRef: {{name: s, key: k}}}}\n"
    );
    let expected = (CheckRule::PathNotRead, "r.yaml:11".to_owned());
    assert_eq!(told(&only(&[("r.yaml", &dead)]).judge()), [expected]);
    let range = dead.replace("0.30.0", "'>=0.18.0 <0.26.0'");
    assert!(only(&[("r.yaml", &range)]).judge().is_empty());
}

#[test]
fn values_are_laid_over_what_they_are_from_in_order() {
    let text = format!(
        "{RELEASE}  valuesFrom:\n  - {{kind: ConfigMap, name: one}}\n  - {{kind: Secret, name: two, valuesKey: v}}\n  - {{kind: ConfigMap, name: three, valuesKey: name, targetPath: global.integrations.argo-cd.server.auth.tokenSecretKeyRef.name}}\n  - {{kind: ConfigMap, name: gone, optional: true}}\n"
    );
    let one = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, namespace: flux}\ndata:\n  values.yaml: |\n    global:\n      integrations:\n        argo-cd: {server: {auth: {type: token, tokenSecretKeyRef: {name: one, key: one}}}}\n";
    // `global: {integrations: {argo-cd: {server: {auth: {tokenSecretKeyRef: {key: two}}}}}}`
    let two = "apiVersion: v1\nkind: Secret\nmetadata: {name: two}\ndata:\n  v: Z2xvYmFsOiB7aW50ZWdyYXRpb25zOiB7YXJnby1jZDoge3NlcnZlcjoge2F1dGg6IHt0b2tlblNlY3JldEtleVJlZjoge2tleTogdHdvfX19fX19Cg==\n";
    let three = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: three, namespace: flux}\ndata: {name: three}\n";
    let files = [
        ("r.yaml", text.as_str()),
        ("1.yaml", one),
        ("2.yaml", two),
        ("3.yaml", three),
    ];
    let release = only(&files);
    assert_eq!(
        secret(&release),
        ("three:two".to_owned(), "3.yaml:4".to_owned())
    );
    assert!(release.unseen.is_empty(), "{:?}", release.unseen);
    let of_one = release.values.path(&[
        "global",
        "integrations",
        "argo-cd",
        "server",
        "auth",
        "type",
    ]);
    assert_eq!(
        of_one.map(|it| (it.at.line, &*it.at.file)),
        Some((8, "1.yaml"))
    );

    let inline = format!(
        "{text}  values:\n    {}\n",
        auth("tokenSecretKeyRef: {name: inline}")
    );
    let mut files = files;
    files[0].1 = &inline;
    assert_eq!(
        secret(&only(&files)),
        ("inline:two".to_owned(), "r.yaml:13".to_owned())
    );
}

#[test]
fn what_is_not_in_the_tree_is_unseen() {
    let text = format!(
        "{RELEASE}  valuesFrom:\n  - {{kind: Secret, name: gone}}\n  - {{kind: Secret, name: sealed}}\n  - {{kind: ConfigMap, name: elsewhere}}\n"
    );
    let sealed = "apiVersion: v1\nkind: Secret\nmetadata: {name: sealed}\nstringData: {values.yaml: 'ENC[AES256_GCM,data:x]'}\nsops: {}\n";
    let elsewhere = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: elsewhere, namespace: other}\ndata: {values.yaml: 'a: 1'}\n";
    let release = only(&[("r.yaml", &text), ("s.yaml", sealed), ("e.yaml", elsewhere)]);
    let why: Vec<(u32, &str)> = release
        .unseen
        .iter()
        .map(|it| (it.line, it.why.as_str()))
        .collect();
    let expected = [
        (8, "it is not in the tree"),
        (9, "it is encrypted"),
        (10, "it is not in the tree"),
    ];
    assert_eq!(why, expected);
}

#[test]
fn a_generated_config_map_is_its_file() {
    let text = format!("{RELEASE}  valuesFrom: [{{kind: ConfigMap, name: values}}]\n");
    let kustomization =
        "configMapGenerator:\n- name: values\n  files: [values.yaml=rt-values.yaml]\n";
    let values = auth("type: token, tokenSecretKeyRef: {name: file, key: k}");
    let release = only(&[
        ("rt/r.yaml", &text),
        ("rt/kustomization.yaml", kustomization),
        ("rt/rt-values.yaml", &values),
    ]);
    assert_eq!(
        secret(&release),
        ("file:k".to_owned(), "rt/rt-values.yaml:1".to_owned())
    );
}

#[test]
fn the_chart_may_be_named_by_another_object() {
    let release = |reference: &str| {
        RELEASE.replace(
            "chart: {spec: {chart: gitops-runtime, version: 0.30.0}}",
            &format!("chartRef: {reference}"),
        )
    };
    let oci = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: codefresh, namespace: flux}\nspec: {url: oci://quay.io/codefresh/gitops-runtime, ref: {tag: 0.25.2}}\n";
    let text = release("{kind: OCIRepository, name: codefresh}");
    let found_release = only(&[("r.yaml", &text), ("o.yaml", oci)]);
    assert_eq!(
        found_release.version,
        ChartVersion::Exact("0.25.2".to_owned())
    );

    let chart = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmChart\nmetadata: {name: c, namespace: flux}\nspec: {chart: gitops-runtime, version: 0.26.x}\n";
    let text = release("{kind: HelmChart, name: c}");
    let found_release = only(&[("r.yaml", &text), ("c.yaml", chart)]);
    assert_eq!(
        found_release.version,
        ChartVersion::Range("0.26.x".to_owned())
    );

    let text = release("{kind: OCIRepository, name: gitops-runtime}");
    assert_eq!(only(&[("r.yaml", &text)]).unseen.len(), 1);
    assert!(found(&[("r.yaml", &release("{kind: OCIRepository, name: other}"))]).is_empty());
}

#[test]
fn a_chart_in_a_folder_is_looked_into() {
    let text = RELEASE.replace(
        "chart: gitops-runtime, version: 0.30.0",
        "chart: ./charts/rt, valuesFiles: [charts/rt/prod.yaml]",
    );
    let chart = "name: ours\ndependencies:\n- {name: gitops-runtime, version: 0.30.0}\n";
    let prod = format!(
        "gitops-runtime:\n  {}\n",
        auth("type: token, tokenSecretKeyRef: {name: prod, key: k}")
    );
    let release = only(&[
        ("r.yaml", &text),
        ("charts/rt/Chart.yaml", chart),
        ("charts/rt/prod.yaml", &prod),
    ]);
    assert_eq!(secret(&release).0, "prod:k");
    assert_eq!(text_of(&release.values), Some("token"));
}

fn text_of(values: &keyguard_core::document::Node) -> Option<&str> {
    text(values, "global.integrations.argo-cd.server.auth.type")
}
