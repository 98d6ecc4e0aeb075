//! What the account of the chart may do: all that keyguard needs, and nothing
//! else.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::install::{argocd, asked};
use super::release::Release;
use crate::control_plane::ControlPlane;
use crate::control_plane::kubectl::Finished;
use crate::control_plane::wait::wait_for;

/// A workload whose token is in a Secret that does not exist.
pub(super) const RUNTIME: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: runtime}
spec:
  selector: {matchLabels: {app: runtime}}
  template:
    metadata: {labels: {app: runtime}}
    spec:
      containers:
        - name: runtime
          image: example.invalid/runtime
          env:
            - name: ARGO_CD_TOKEN
              valueFrom: {secretKeyRef: {name: argocd-token, key: token}}
"#;

pub(super) fn create_runtime(release: &Release<'_>, namespace: &str) -> Finished {
    let create = release.plane.kubectl().namespace(namespace).stdin(RUNTIME);
    create.run(["create", "--dry-run=server", "-f", "-"])
}

/// A Runtime of an external Argo CD in token mode: one that cannot read this
/// cannot tell.
pub(super) fn external(release: &Release<'_>, namespace: &str) {
    let create = [
        "create",
        "configmap",
        "cap-app-proxy-cm",
        "--from-literal=isExternalArgoCD=true",
    ];
    release
        .plane
        .kubectl()
        .namespace(namespace)
        .run(create)
        .expect_ok();
}

/// The rules that the account has in a namespace, beside those that everybody
/// has.
fn granted(release: &Release<'_>, namespace: &str) -> BTreeSet<String> {
    let rules = |account: &str| -> BTreeSet<String> {
        let kubeconfig = release
            .plane
            .kubeconfig_for_service_account("keyguard", account);
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        });
        let ask = release.plane.kubectl().with_kubeconfig(&kubeconfig);
        let ask = ask.stdin(review.to_string());
        let answer = ask
            .run(["create", "--validate=false", "--output=json", "-f", "-"])
            .expect_ok();
        let review: Value = serde_json::from_str(&answer.stdout).expect("kubectl prints JSON");
        let rules = |kind: &str| {
            review["status"][kind]
                .as_array()
                .cloned()
                .unwrap_or_default()
        };
        let all = rules("resourceRules")
            .into_iter()
            .chain(rules("nonResourceRules"));
        all.map(|rule| rule.to_string()).collect()
    };
    let create = [
        "create",
        "serviceaccount",
        "nobody",
        "--dry-run=client",
        "--output=yaml",
    ];
    let nobody = release.kubectl().run(create).expect_ok().stdout;
    release
        .kubectl()
        .stdin(nobody)
        .run(["apply", "-f", "-"])
        .expect_ok();
    rules("keyguard")
        .difference(&rules("nobody"))
        .cloned()
        .collect()
}

fn rules(rules: &[Value]) -> BTreeSet<String> {
    rules.iter().map(Value::to_string).collect()
}

pub(super) fn reads() -> Value {
    json!({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets", "configmaps"]})
}

pub(super) fn registration(verbs: &[&str]) -> Value {
    json!({
        "verbs": verbs,
        "apiGroups": ["admissionregistration.k8s.io"],
        "resources": ["validatingwebhookconfigurations"],
        "resourceNames": ["keyguard"],
    })
}

fn own_secret(verbs: &[&str]) -> Value {
    json!({
        "verbs": verbs,
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": ["keyguard-certificates"],
    })
}

fn create_secrets() -> Value {
    json!({"verbs": ["create"], "apiGroups": [""], "resources": ["secrets"]})
}

/// The authorizer reads roles from a cache.
pub(super) fn await_granted(release: &Release<'_>, namespace: &str, expected: &[Value]) {
    wait_for("the rights to be exactly these", || {
        let granted = granted(release, namespace);
        (granted == rules(expected))
            .then_some(())
            .ok_or(format!("in {namespace}: {granted:#?}"))
    });
}

#[test]
fn the_account_has_the_rights_of_its_mode_and_no_other() {
    let plane = ControlPlane::bare();
    let [guarded, other] = ["argocd", "other"].map(|prefix| plane.fresh_namespace(prefix));
    argocd(&plane, &guarded);
    argocd(&plane, &other);
    let mut release = Release::install(&plane, &[]);
    let keeps = registration(&["get", "patch"]);
    await_granted(
        &release,
        "keyguard",
        &[
            reads(),
            keeps.clone(),
            own_secret(&["patch"]),
            create_secrets(),
        ],
    );
    await_granted(&release, &guarded, &[reads(), keeps.clone()]);

    let only = format!("namespaces={{{guarded}}}");
    release.upgrade(&[&only]);
    await_granted(
        &release,
        "keyguard",
        &[
            keeps.clone(),
            own_secret(&["get", "patch"]),
            create_secrets(),
        ],
    );
    await_granted(&release, &guarded, &[reads(), keeps.clone()]);
    await_granted(&release, &other, &[keeps]);
    release.start_pods();
    wait_for("the webhooks to be in effect", || asked(&plane, &guarded));
    let refused = create_runtime(&release, &guarded);
    assert!(
        refused.stderr.contains("[credentials/"),
        "{}",
        refused.stderr
    );
    let unguarded = create_runtime(&release, &other).expect_ok();
    assert_eq!(unguarded.warnings(), [""; 0]);
    let (tested, printed) = release.test();
    tested.expect_ok();
    assert!(printed.contains("warned of, as it should be"), "{printed}");
    release.stop_pods();

    release.upgrade(&["certificates.mode=files"]);
    await_granted(&release, "keyguard", &[reads(), registration(&["get"])]);
    println!("three modes, each with exactly its rights");
}

#[test]
fn one_right_less_is_told_by_name_and_given_back_is_enough() {
    let plane = ControlPlane::bare();
    let namespace = plane.fresh_namespace("runtime");
    let mut release = Release::install(&plane, &["config.dryRun=enforce"]);
    external(&release, &namespace);
    release.start_pods();
    wait_for("the webhooks to be in effect", || {
        let refused = create_runtime(&release, &namespace);
        let told = refused.stderr.contains("[credentials/secret-missing]");
        (told && !refused.status.success())
            .then_some(())
            .ok_or(refused.stderr)
    });
    let cluster = |rules: [Value; 2]| ("clusterrole/keyguard", rules);
    let own = |rules: [Value; 2]| ("role/keyguard-certificates", rules);
    let get =
        |resource: &str| json!({"apiGroups": [""], "resources": [resource], "verbs": ["get"]});
    let nothing = || json!({"apiGroups": [""], "resources": ["none"], "verbs": ["get"]});
    let keeps = || registration(&["get", "patch"]);

    // What running pods say of what they may not read.
    for (right, rules, line) in [
        (
            "get secrets",
            cluster([get("configmaps"), keeps()]),
            "keyguard's service account may not read it",
        ),
        (
            "get configmaps",
            cluster([get("secrets"), keeps()]),
            "keyguard's service account lacks the right to get configmaps",
        ),
    ] {
        let before = replace_rules(&release, &rules);
        let told = wait_for(right, || {
            let told = create_runtime(&release, &namespace).stderr;
            (told.contains(line)).then_some(told.clone()).ok_or(told)
        });
        println!("without {right}: {told}");
        replace_rules(&release, &before);
        wait_for("the rights to be back", || {
            let told = create_runtime(&release, &namespace).stderr;
            told.contains("[credentials/secret-missing]")
                .then_some(())
                .ok_or(told)
        });
    }

    // What a pod says that starts while something is to be mended.
    let wipe = || {
        let patch = [0, 1, 2].map(|webhook| {
            json!({"op": "remove", "path": format!("/webhooks/{webhook}/clientConfig/caBundle")})
        });
        patch_json(
            &release,
            "validatingwebhookconfiguration/keyguard",
            &json!(patch),
        );
    };
    let damage = || {
        let patch = json!([{"op": "replace", "path": "/data/tls.crt", "value": "d29yZHM="}]);
        patch_json(&release, "secret/keyguard-certificates", &patch);
    };
    let delete = || {
        let delete = ["delete", "secret", "keyguard-certificates"];
        release.kubectl().run(delete).expect_ok();
    };
    release.pods.iter().for_each(super::pod::Pod::terminate);
    let table: [(&str, (&str, [Value; 2]), &dyn Fn(), &str); 5] = [
        (
            "get secrets",
            cluster([get("configmaps"), keeps()]),
            &|| (),
            "keyguard may not get secrets",
        ),
        (
            "get validatingwebhookconfigurations",
            cluster([reads(), registration(&["patch"])]),
            &|| (),
            "keyguard may not get validatingwebhookconfigurations",
        ),
        (
            "patch validatingwebhookconfigurations",
            cluster([reads(), registration(&["get"])]),
            &wipe,
            "keyguard may not patch validatingwebhookconfigurations",
        ),
        (
            "patch secrets",
            own([nothing(), create_secrets()]),
            &damage,
            "keyguard may not patch secrets",
        ),
        (
            "create secrets",
            own([own_secret(&["patch"]), nothing()]),
            &delete,
            "keyguard may not create secrets",
        ),
    ];
    for (right, rules, disturb, line) in table {
        let before = replace_rules(&release, &rules);
        await_granted_other_than(&release, &before);
        disturb();
        let mut pod = release.start_pod();
        let told = pod.await_unready(line).body;
        println!("without {right}: {told}");
        wait_for("the log to say it too", || {
            let log = pod.output();
            log.contains(line).then_some(()).ok_or(log)
        });
        replace_rules(&release, &before);
        pod.await_ready();
    }
}

/// Replaces the rules of a role and returns what they were.
fn replace_rules<'a>(
    release: &Release<'_>,
    (role, rules): &(&'a str, [Value; 2]),
) -> (&'a str, [Value; 2]) {
    let (kind, name) = role.split_once('/').expect("kind/name");
    let before = release.get(kind, name)["rules"]
        .as_array()
        .cloned()
        .expect("rules");
    let before = <[Value; 2]>::try_from(before).expect("two rules");
    let patch = json!([{"op": "replace", "path": "/rules", "value": rules}]);
    patch_json(release, role, &patch);
    (role, before)
}

/// The authorizer has noticed that something is gone.
fn await_granted_other_than(release: &Release<'_>, (_, before): &(&str, [Value; 2])) {
    wait_for("the right to be gone", || {
        let granted = granted(release, "keyguard");
        let gone = !before.iter().all(|rule| granted.contains(&sorted(rule)));
        gone.then_some(()).ok_or(format!("{granted:#?}"))
    });
}

/// A rule as the review tells it.
fn sorted(rule: &Value) -> String {
    let mut told = json!({"verbs": rule["verbs"], "apiGroups": rule["apiGroups"], "resources": rule["resources"]});
    if let Some(names) = rule.get("resourceNames") {
        told["resourceNames"] = names.clone();
    }
    told.to_string()
}

fn patch_json(release: &Release<'_>, object: &str, patch: &Value) {
    let patch = format!("--patch={patch}");
    release
        .kubectl()
        .run(["patch", object, "--type=json", &patch])
        .expect_ok();
}
