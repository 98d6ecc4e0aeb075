//! What Kustomize makes of files, and what `kubectl kustomize` makes of the same.

use std::fs;
use std::process::Command;

use super::{Tree, deployment};
use crate::control_plane::binaries::Binaries;

const HEAD: &str = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";
const MISSING: &str = "error credentials/secret-missing";

fn kustomization(rest: &str) -> String {
    format!("{HEAD}{rest}\n")
}

/// A Secret whose value is filled in later.
fn secret(name: &str, namespace: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\nstringData: {{token: '${{TOKEN}}'}}\n"
    )
}

/// The workload of the app proxy refers to its Secret, the others have its name as a text.
fn by_name(name: &str, secret: &str) -> String {
    deployment(name, secret).replace(
        &format!(
            "        - name: ARGO_CD_TOKEN
          valueFrom:
            secretKeyRef: {{name: {secret}, key: token}}
"
        ),
        &format!(
            "        - {{name: ARGO_CD_TOKEN_SECRET_NAME, value: {secret}}}
        - {{name: ARGO_CD_TOKEN_SECRET_KEY, value: token}}
"
        ),
    )
}

/// Small trees whose outermost kustomization is in `top`, with the rules that `check` finds in them.
fn trees() -> Vec<(&'static str, Vec<(&'static str, String)>, Vec<&'static str>)> {
    let patch = |spec: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: w, namespace: codefresh}}\nspec: {{template: {{spec: {spec}}}}}\n"
        )
    };
    let container = |env: &str| {
        patch(&format!(
            "{{containers: [{{name: manager, env: [{env}]}}]}}"
        ))
    };
    vec![
        (
            "the namespace is that of the kustomization",
            vec![
                ("top/kustomization.yaml", kustomization("namespace: prod\nresources: [../base, s.yaml]")),
                ("top/s.yaml", secret("s", "other")),
                ("base/kustomization.yaml", kustomization("resources: [w.yaml]")),
                ("base/w.yaml", by_name("w", "s")),
            ],
            vec![],
        ),
        (
            "a patch in a file",
            vec![
                ("top/kustomization.yaml", kustomization("resources: [w.yaml, s.yaml]\npatches: [{path: p.yaml}]")),
                ("top/w.yaml", by_name("w", "gone")),
                ("top/s.yaml", secret("s", "codefresh")),
                ("top/p.yaml", container("{name: ARGO_CD_TOKEN_SECRET_NAME, value: s}, {name: NEW, value: a}")),
            ],
            vec![],
        ),
        (
            "a patch that breaks it",
            vec![
                ("top/kustomization.yaml", kustomization("resources: [w.yaml, s.yaml]\npatches: [{path: p.yaml}]")),
                ("top/w.yaml", by_name("w", "s")),
                ("top/s.yaml", secret("s", "codefresh")),
                ("top/p.yaml", container("{name: ARGO_CD_TOKEN_SECRET_NAME, value: gone}")),
            ],
            vec![MISSING],
        ),
        (
            "an inline JSON patch with a pattern in its target",
            vec![
                (
                    "top/kustomization.yaml",
                    kustomization(
                        "resources: [w.yaml, s.yaml]\npatches:\n- target: {kind: Deploy.*, name: \"w|x\"}\n  patch: |-\n    - {op: replace, path: /spec/template/spec/containers/0/env/0/value, value: s}\n    - {op: add, path: /metadata/annotations, value: {a~1b: c}}",
                    ),
                ),
                ("top/w.yaml", by_name("w", "gone")),
                ("top/s.yaml", secret("s", "codefresh")),
            ],
            vec![],
        ),
        (
            "a patch that deletes a variable, a key and a workload",
            vec![
                (
                    "top/kustomization.yaml",
                    kustomization(
                        "resources: [w.yaml, x.yaml]\npatches:\n- path: p.yaml\n- patch: '{apiVersion: apps/v1, kind: Deployment, metadata: {name: x, namespace: codefresh}, $patch: delete}'",
                    ),
                ),
                ("top/w.yaml", deployment("w", "gone")),
                ("top/x.yaml", deployment("x", "gone")),
                ("top/p.yaml", container("{name: ARGO_CD_TOKEN, $patch: delete}, {name: NEW, value: a}")),
            ],
            vec![],
        ),
        (
            "a reference follows the hash, a text does not",
            vec![
                ("top/kustomization.yaml", kustomization("namespace: codefresh\nresources: [w.yaml, x.yaml]\nsecretGenerator: [{name: s, literals: ['token=${TOKEN}']}]")),
                ("top/w.yaml", deployment("w", "s")),
                ("top/x.yaml", by_name("x", "s")),
            ],
            vec![MISSING],
        ),
        (
            "without the hash both find it",
            vec![
                ("top/kustomization.yaml", kustomization("namespace: codefresh\nresources: [w.yaml, x.yaml]\nsecretGenerator: [{name: s, literals: ['token=${TOKEN}']}]\ngeneratorOptions: {disableNameSuffixHash: true, labels: {a: b}}")),
                ("top/w.yaml", deployment("w", "s")),
                ("top/x.yaml", by_name("x", "s")),
            ],
            vec![],
        ),
        (
            "a prefix and a suffix, and what follows them",
            vec![
                ("top/kustomization.yaml", kustomization("namePrefix: a-\nnameSuffix: -z\nnamespace: codefresh\nresources: [../base, x.yaml]")),
                ("top/x.yaml", deployment("x", "s")),
                ("base/kustomization.yaml", kustomization("namePrefix: b-\nnamespace: codefresh\nresources: [w.yaml, y.yaml, s.yaml]")),
                ("base/w.yaml", deployment("w", "s")),
                ("base/y.yaml", by_name("y", "a-b-s-z")),
                ("base/s.yaml", secret("s", "codefresh")),
            ],
            vec![],
        ),
        (
            "a component generates and patches",
            vec![
                ("top/kustomization.yaml", kustomization("namespace: codefresh\nresources: [w.yaml]\ncomponents: [../part]")),
                ("top/w.yaml", deployment("w", "gone")),
                ("part/kustomization.yaml", kustomization("secretGenerator: [{name: s, literals: ['token=${TOKEN}']}]\npatches: [{path: p.yaml}]").replace("v1beta1", "v1alpha1").replace("Kustomization", "Component")),
                ("part/p.yaml", container("{name: ARGO_CD_TOKEN, valueFrom: {secretKeyRef: {name: s}}}")),
            ],
            vec![],
        ),
        (
            "an overlay merges into what a base generates",
            vec![
                ("top/kustomization.yaml", kustomization("resources: [../base]\nsecretGenerator: [{name: s, namespace: codefresh, behavior: merge, literals: ['token=${TOKEN}']}]\nconfigMapGenerator: [{name: argocd-cm, behavior: merge, literals: ['url=\"x\"']}]")),
                ("base/kustomization.yaml", kustomization("resources: [w.yaml, cm.yaml]\nsecretGenerator: [{name: s, namespace: codefresh, literals: [user=a]}]")),
                ("base/w.yaml", deployment("w", "s")),
                ("base/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, labels: {app.kubernetes.io/part-of: argocd}}\ndata: {'accounts.admin': 'apiKey, login'}\n".to_owned()),
            ],
            vec![],
        ),
        (
            "a replacement writes the name of a Secret",
            vec![
                ("top/kustomization.yaml", kustomization("namespace: codefresh\nresources: [w.yaml, s.yaml]\nreplacements:\n- source: {kind: Secret, name: s}\n  targets:\n  - select: {kind: Deployment}\n    fieldPaths: ['spec.template.spec.containers.[name=manager].env.[name=ARGO_CD_TOKEN_SECRET_NAME].value']")),
                ("top/w.yaml", by_name("w", "PLACEHOLDER")),
                ("top/s.yaml", secret("s", "codefresh")),
            ],
            vec![],
        ),
        (
            "labels make an argocd-cm one of Argo CD",
            vec![
                ("top/kustomization.yaml", kustomization("resources: [cm.yaml]\nlabels: [{pairs: {app.kubernetes.io/part-of: argocd}}]\npatchesStrategicMerge:\n- |-\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: argocd-cm}\n  data: {accounts.ci: null}")),
                ("top/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm}\ndata: {'accounts.admin': 'apiKey, login', accounts.ci: login}\n".to_owned()),
            ],
            vec![],
        ),
    ]
}

#[test]
fn a_build_of_kustomize_is_judged() {
    for (name, files, expected) in trees() {
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (*path, text.as_str()))
            .collect();
        let tree = Tree::of(&files);
        let found = tree.findings(&[]);
        let rules: Vec<&str> = found
            .iter()
            .map(|it| it.rsplit_once(' ').unwrap().0)
            .collect();
        assert_eq!(rules, expected, "{name}");
    }
}

#[test]
fn what_kubectl_builds_is_judged_alike() {
    for (name, files, expected) in trees() {
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (*path, text.as_str()))
            .collect();
        let tree = Tree::of(&files);
        let output = Command::new(&Binaries::shared().kubectl)
            .args(["kustomize", "top"])
            .current_dir(tree.path())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {error}");
        let built = tempfile::tempdir().unwrap();
        fs::write(built.path().join("built.yaml"), output.stdout).unwrap();
        let built = Tree(built);
        let rules: Vec<String> = built
            .findings(&[])
            .iter()
            .map(|it| it.rsplit_once(' ').unwrap().0.to_owned())
            .collect();
        assert_eq!(rules, expected, "{name}");
    }
}

#[test]
fn a_generated_name_that_a_text_does_not_follow_is_told_with_the_remedy() {
    let tree = Tree::of(&[
        (
            "kustomization.yaml",
            &kustomization(
                "namespace: codefresh\nresources: [w.yaml]\nsecretGenerator: [{name: s, files: [token]}]",
            ),
        ),
        ("w.yaml", &by_name("w", "s")),
    ]);
    let report = tree.report(&[]);
    let message = report["findings"][0]["message"].as_str().unwrap();
    let wanted =
        "Kustomize adds a hash to the name of the Secret \"s\" that kustomization.yaml generates";
    assert!(message.contains(wanted), "{message}");
    assert!(
        message.contains("generatorOptions: {disableNameSuffixHash: true}"),
        "{message}"
    );
}

#[test]
fn patches_of_an_argocd_cm_that_is_elsewhere_are_changes_of_it() {
    let inline = |patch: &str| {
        kustomization(&format!(
            "namespace: argocd\nresources: [https://x]\n{patch}"
        ))
    };
    let strategic = |data: &str| {
        inline(&format!(
            "patches:\n- patch: |-\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {{name: argocd-cm}}\n    data: {{{data}}}"
        ))
    };
    let state = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, namespace: argocd, labels: {app.kubernetes.io/part-of: argocd}}\ndata: {accounts.admin: login}\n";
    let json = inline("patches: [{target: {kind: ConfigMap, name: argocd-cm}, path: p.json}]");
    let generator = inline(
        "configMapGenerator: [{name: argocd-cm, behavior: merge, literals: [admin.enabled=false]}]",
    );
    let removed = "error accounts/api-key-removed kustomization.yaml";
    let disabled = "error accounts/account-disabled";
    for (kustomization, alone) in [
        (
            strategic("admin.enabled: 'false'"),
            format!("{disabled} kustomization.yaml:10:27"),
        ),
        (
            strategic("accounts.admin: null"),
            format!("{removed}:10:12"),
        ),
        (
            strategic("accounts.admin: login"),
            format!("{removed}:10:28"),
        ),
        (strategic("accounts.ci: null"), String::new()),
        (generator, format!("{disabled} kustomization.yaml:5:68")),
        (json, format!("{disabled} p.json:1:55")),
    ] {
        let tree = Tree::of(&[
            ("tree/kustomization.yaml", &kustomization),
            (
                "tree/p.json",
                r#"[{"op":"replace","path":"/data/admin.enabled","value":"false"}]"#,
            ),
            ("state/cm.yaml", state),
        ]);
        let found = |more: &[&str]| {
            tree.findings(&[&["tree", "--root", "tree"], more].concat())
                .join(" ")
        };
        assert_eq!(found(&[]), alone, "{kustomization}");
        // There the account has no key that it could lose.
        let over = found(&["--state", "state"]);
        assert!(!over.contains("error"), "{kustomization}: {over}");
    }
}

#[test]
fn what_a_patch_of_elsewhere_decides_is_not_seen_and_others_do_not_matter() {
    let patch = |env: &str| {
        kustomization(&format!(
            "resources: [https://x]\npatches:\n- patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {{name: w}}\n    spec: {{template: {{spec: {{containers: [{{name: m, env: [{{name: {env}, value: x}}]}}]}}}}}}"
        ))
    };
    for (env, code) in [("ARGO_CD_TOKEN_SECRET_NAME", 3), ("LOG_LEVEL", 0)] {
        let tree = Tree::of(&[("kustomization.yaml", &patch(env))]);
        assert_eq!(tree.run(&[]).code, Some(code), "{env}");
    }
}

#[test]
fn a_base_is_judged_in_each_overlay_and_told_where_it_was_asked_for() {
    let overlay =
        |namespace: &str| kustomization(&format!("namespace: {namespace}\nresources: [../base]"));
    let with_secret = kustomization("namespace: dev\nresources: [../base, s.yaml]");
    let tree = Tree::of(&[
        (
            "base/kustomization.yaml",
            &kustomization("resources: [w.yaml]"),
        ),
        ("base/w.yaml", &deployment("w", "s")),
        ("dev/kustomization.yaml", &with_secret),
        ("dev/s.yaml", &secret("s", "x")),
        ("prod/Kustomization", &overlay("prod")),
    ]);
    assert_eq!(tree.findings(&[]), [format!("{MISSING} base/w.yaml:12:11")]);
    assert_eq!(
        tree.findings(&["base", "--root", "."]),
        [format!("{MISSING} base/w.yaml:12:11")]
    );
    assert!(tree.findings(&["dev", "--root", "."]).is_empty());
    assert_eq!(
        tree.findings(&["prod", "--root", "."]),
        [format!("{MISSING} prod/Kustomization:4:13")]
    );
}

#[test]
fn overlays_change_the_values_of_releases() {
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: rt, namespace: flux}\nspec:\n  chart: {spec: {chart: gitops-runtime, version: 0.30.0}}\n  values: {argo-cd: {enabled: false}}\n";
    let patch = |path: &str| {
        format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: rt, namespace: flux}}\nspec:\n  values: {{global: {{{path}: {{server: {{auth: {{type: token, tokenSecretKeyRef: {{name: s, key: token}}}}}}}}}}}}\n"
        )
    };
    for (path, is_read) in [
        ("integrations: {argo-cd", true),
        ("external: {argo-cd", false),
    ] {
        let patch = patch(path).replace("}}}}}}\n", "}}}}}}}\n");
        let tree = Tree::of(&[
            ("base/hr.yaml", release),
            ("base/kustomization.yaml", "resources: [hr.yaml]\n"),
            ("top/hr.yaml", &patch),
            ("top/s.yaml", &secret("s", "x")),
            (
                "top/kustomization.yaml",
                "namespace: codefresh\nresources: [../base, s.yaml]\npatches: [{path: hr.yaml}]\n",
            ),
        ]);
        assert_eq!(tree.findings(&[]).is_empty(), is_read, "{path}");
    }
}

#[test]
fn kustomizations_that_name_each_other_end() {
    let tree = Tree::of(&[
        ("a/kustomization.yaml", &kustomization("resources: [../b]")),
        ("b/kustomization.yaml", &kustomization("resources: [../a]")),
        (
            "top/kustomization.yaml",
            &kustomization("resources: [../a, .]"),
        ),
    ]);
    assert_eq!(tree.run(&[]).code, Some(0));
}
