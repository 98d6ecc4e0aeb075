//! Who makes the Secret that a workload needs.

use super::{Tree, deployment};

const MISSING: &str = "error credentials/secret-missing";
const KEYS: &str = "note secrets/keys-unknown";
const LATE: &str = "warning secrets/made-too-late";

#[test]
fn a_secret_counts_by_what_makes_it() {
    let sealed = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: s, namespace: codefresh}\n";
    let external = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: s, namespace: codefresh}\n";
    let vault = "apiVersion: secrets.hashicorp.com/v1beta1\nkind: VaultStaticSecret\nmetadata: {name: v, namespace: codefresh}\n";
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: codefresh}\n";
    let table: [(&str, String, &[&str]); 27] = [
        ("nothing", String::new(), &[MISSING]),
        ("a SealedSecret with the key", format!("{sealed}spec: {{encryptedData: {{token: x}}}}"), &[]),
        ("a SealedSecret with another", format!("{sealed}spec: {{encryptedData: {{other: x}}}}"), &["error credentials/key-missing"]),
        ("a key in its template", format!("{sealed}spec: {{template: {{data: {{token: x}}}}}}"), &[]),
        ("an ExternalSecret", format!("{external}spec: {{data: [{{secretKey: token}}]}}"), &[]),
        ("with dataFrom", format!("{external}spec: {{dataFrom: [{{extract: {{key: x}}}}]}}"), &[KEYS]),
        ("under another name", format!("{external}spec: {{target: {{name: t}}, data: [{{secretKey: token}}]}}"), &[MISSING]),
        ("with a template in place of its data",
         format!("{external}spec: {{target: {{template: {{data: {{other: x}}}}}}, data: [{{secretKey: token}}]}}"), &["error credentials/key-missing"]),
        ("with a template beside it",
         format!("{external}spec: {{target: {{template: {{mergePolicy: Merge, data: {{other: x}}}}}}, data: [{{secretKey: token}}]}}"), &[]),
        ("that only adds to a Secret", format!("{external}spec: {{target: {{creationPolicy: Merge}}, data: [{{secretKey: token}}]}}"), &[MISSING]),
        ("that adds to one that is there",
         format!("{external}spec: {{target: {{creationPolicy: Merge}}, data: [{{secretKey: token}}]}}\n---\n{secret}stringData: {{other: x}}"), &[]),
        ("that adds another key to it",
         format!("{external}spec: {{target: {{creationPolicy: Merge}}, data: [{{secretKey: third}}]}}\n---\n{secret}stringData: {{other: x}}"),
         &["error credentials/key-missing"]),
        ("a ClusterExternalSecret",
         "apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\nmetadata: {name: all}\nspec: {externalSecretName: s, externalSecretSpec: {data: [{secretKey: token}]}}".to_owned(), &[]),
        ("a Secret that is copied from another", "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: codefresh, annotations: {reflector.v1.k8s.emberstack.com/reflects: vault/s}}".to_owned(), &[KEYS]),
        ("base64 in lines", format!("{secret}data: {{token: \"aHVu\\r\\ndGVyMm==\"}}"), &["error credentials/not-an-api-key"]),
        ("base64 with a space", format!("{secret}data: {{token: 'aHVu dGVyMg=='}}"), &["error objects/malformed"]),
        ("a reference that vals resolves", format!("{secret}stringData: {{token: ref+vault://kv/x#token}}"), &[]),
        ("a VaultStaticSecret", format!("{vault}spec: {{destination: {{name: s, create: true}}}}"), &[KEYS]),
        ("that creates nothing", format!("{vault}spec: {{destination: {{name: s}}}}"), &[MISSING]),
        ("SOPS", format!("{secret}data: {{token: \"ENC[AES256_GCM,data:x]\"}}\nsops: {{version: 3}}"), &[]),
        ("SOPS with another key", format!("{secret}stringData: {{other: \"ENC[AES256_GCM,data:x]\"}}\nsops: {{}}"), &["error credentials/key-missing"]),
        ("a path of argocd-vault-plugin", format!("{secret}stringData: {{token: '<path:kv/data/x#token>'}}"), &[]),
        ("by its annotation",
         "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: codefresh, annotations: {avp.kubernetes.io/path: kv/x}}\nstringData: {token: '<token>'}".to_owned(), &[]),
        ("a template", format!("{secret}stringData: {{token: '{{{{ .Values.token }}}}'}}"), &[]),
        ("a reference that Vault's webhook resolves", format!("{secret}stringData: {{token: 'vault:kv/x#token'}}"), &["warning credentials/value-malformed"]),
        ("a value that is no token", format!("{secret}stringData: {{token: hunter2}}"), &["error credentials/not-an-api-key"]),
        ("in another namespace", format!("{}stringData: {{token: hunter2}}", secret.replace("codefresh", "other")), &[MISSING]),
    ];
    for (what, maker, expected) in table {
        let tree = Tree::of(&[
            ("a/w.yaml", &deployment("w", "s")),
            ("b/maker.yaml", &maker),
        ]);
        let found = tree.findings(&[]);
        let rules: Vec<&str> = found
            .iter()
            .map(|it| it.rsplit_once(' ').unwrap().0)
            .collect();
        assert_eq!(rules, expected, "{what}");
    }
}

#[test]
fn a_secret_store_counts_for_a_workload_that_mounts_it() {
    let class = "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\nmetadata: {name: c, namespace: codefresh}\nspec: {secretObjects: [{secretName: s, data: [{key: token}]}]}";
    let volume =
        "      volumes:\n      - name: v\n        csi: {driver: secrets-store.csi.k8s.io}\n";
    for (volume, expected) in [("", 1), (volume, 0)] {
        let workload = format!("{}{volume}", deployment("w", "s"));
        let tree = Tree::of(&[("w.yaml", &workload), ("c.yaml", class)]);
        assert_eq!(tree.findings(&[]).len(), expected, "{volume}");
    }
}

#[test]
fn kustomize_makes_secrets_and_names_the_namespace_of_others() {
    let workload = deployment("w", "s").replace("  namespace: codefresh\n", "");
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: other}\ndata: {token: ''}";
    let kustomization = "namespace: codefresh\nresources: [w.yaml]\n";
    let generator =
        format!("{kustomization}secretGenerator: [{{name: s, literals: ['token=${{TOKEN}}']}}]\n");
    let envs = format!("{kustomization}secretGenerator: [{{name: s, envs: [.env]}}]\n");
    for (kustomization, expected) in [
        (kustomization, vec![MISSING]),
        (&generator, vec![]),
        (&envs, vec![KEYS]),
    ] {
        let kustomization = format!(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n{kustomization}"
        );
        let tree = Tree::of(&[
            ("kustomization.yaml", &kustomization),
            ("w.yaml", &workload),
            ("s.yaml", secret),
        ]);
        let found = tree.findings(&[]);
        let rules: Vec<&str> = found
            .iter()
            .map(|it| it.rsplit_once(' ').unwrap().0)
            .collect();
        assert_eq!(rules, expected, "{kustomization}");
    }
}

#[test]
fn what_a_controller_makes_in_the_same_wave_comes_too_late() {
    let maker = |annotations: &str| {
        format!(
            "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {{name: s, namespace: codefresh, annotations: {{{annotations}}}}}\nspec: {{data: [{{secretKey: token}}]}}"
        )
    };
    let table: [(&str, &str, &[&str]); 6] = [
        ("a/s.yaml", "", &[LATE]),
        ("b/s.yaml", "", &[]),
        ("a/s.yaml", "argocd.argoproj.io/sync-wave: '-1'", &[]),
        ("a/s.yaml", "argocd.argoproj.io/sync-wave: '1'", &[LATE]),
        ("a/s.yaml", "helm.sh/hook: 'pre-install,pre-upgrade'", &[]),
        ("a/s.yaml", "argocd.argoproj.io/hook: PreSync", &[]),
    ];
    for (path, annotations, expected) in table {
        let tree = Tree::of(&[
            ("a/w.yaml", &deployment("w", "s")),
            (path, &maker(annotations)),
        ]);
        let found = tree.findings(&[]);
        let rules: Vec<&str> = found
            .iter()
            .map(|it| it.rsplit_once(' ').unwrap().0)
            .collect();
        assert_eq!(rules, expected, "{path} {annotations}");
    }
}

#[test]
fn a_person_may_have_made_it() {
    let tree = Tree::of(&[("w.yaml", &deployment("w", "s"))]);
    for (secret, expected) in [
        ("codefresh/s:token", 0),
        ("codefresh/s", 0),
        ("codefresh/s:other", 1),
        ("other/s:token", 1),
    ] {
        assert_eq!(
            tree.findings(&["--secret", secret]).len(),
            expected,
            "{secret}"
        );
        let project = format!("secrets: [{secret}]\n");
        let with_file = Tree::of(&[
            ("w.yaml", &deployment("w", "s")),
            (".keyguard.yaml", &project),
        ]);
        assert_eq!(with_file.findings(&[]).len(), expected, "{secret}");
    }
}
