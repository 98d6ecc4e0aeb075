//! `argocd-cm` in files.

use super::Tree;

fn argocd_cm(admin: &str) -> String {
    format!(
        "apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  namespace: argocd
  labels: {{app.kubernetes.io/part-of: argocd}}
data:
  accounts.admin: {admin}
"
    )
}

#[test]
fn it_is_judged_as_new_and_over_a_state_as_a_change() {
    let (good, bad) = (argocd_cm("apiKey, login"), argocd_cm("login"));
    let tree = Tree::of(&[
        ("good/cm.yaml", &good),
        ("bad/cm.yaml", &bad),
        ("state/cm.yaml", &good),
        ("lost/cm.yaml", &bad),
    ]);
    let root = |folder| [folder, "--root", folder];
    assert!(tree.findings(&root("good")).is_empty());
    assert_eq!(
        tree.findings(&root("bad")),
        ["warning accounts/api-key-missing cm.yaml:8:19"]
    );
    let over = |folder, state| [&root(folder)[..], &["--state", state]].concat();
    assert_eq!(
        tree.findings(&over("bad", "state")),
        ["error accounts/api-key-removed cm.yaml:8:19"]
    );
    assert!(tree.findings(&over("good", "state")).is_empty());
    // What was lost before is not lost again.
    assert!(tree.findings(&over("bad", "lost")).is_empty());
}

#[test]
fn a_patch_of_kustomize_is_a_change_of_the_one_in_the_tree() {
    let patch = |line: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: argocd-cm}}\ndata:\n  {line}\n")
    };
    let kustomization = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [base.yaml]\npatches: [{path: patch.yaml}]\n";
    for (line, expected) in [
        ("url: https://cd.example.com", vec![]),
        (
            "accounts.admin: login",
            vec!["error accounts/api-key-removed patch.yaml:5:19"],
        ),
        (
            "admin.enabled: 'false'",
            vec!["error accounts/account-disabled patch.yaml:5:18"],
        ),
    ] {
        let patch = patch(line);
        let whole = Tree::of(&[
            ("kustomization.yaml", kustomization),
            ("base.yaml", &argocd_cm("apiKey, login")),
            ("patch.yaml", &patch),
        ]);
        assert_eq!(whole.findings(&[]), expected, "{line}");
        // The base may be elsewhere.
        let alone = Tree::of(&[
            ("kustomization.yaml", kustomization),
            ("patch.yaml", &patch),
        ]);
        assert_eq!(alone.findings(&[]), expected, "{line}");
    }
}
