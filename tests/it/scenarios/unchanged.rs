//! Workloads whose Secret is gone: what leaves their pods as they are goes
//! through, so that nobody is kept from scaling down or cleaning up.

use serde_json::{Value, json};

use super::guard::{Guard, Scene};
use super::objects::{KINDS, container, secret, token_from, workload};
use super::said::{refused_by, rules, warned_of};
use super::tokens::Token;

const GONE: &[&str] = &["credentials/secret-missing"];

/// One workload of every kind, each named after its kind, and the Secret of
/// each of that name already gone.
fn scene(prefix: &str) -> Scene {
    let scene = Guard::shared().scene(prefix);
    let names = KINDS.map(|(_, kind, _)| (kind, kind.to_lowercase()));
    let secrets = names
        .iter()
        .map(|(_, name)| secret(name, "key", Token::api_key("admin").text()));
    let workloads = names.iter().map(|(kind, name)| {
        let main = container("main", vec![token_from(name, "key")]);
        workload(kind, name, &json!({"containers": [main]}))
    });
    let objects: Vec<_> = secrets.chain(workloads).collect();
    scene.create(&objects).expect_silence();
    let delete = ["delete", "secrets", "--all"];
    scene.alice().run(delete).expect_ok();
    scene
}

fn patch_arguments(name: &str, change: &Value) -> [String; 4] {
    // kubectl knows the short name of every kind.
    let object = format!("{name}/{name}");
    let patch = format!("--patch={change}");
    ["patch".to_owned(), object, "--type=merge".to_owned(), patch]
}

#[test]
fn a_label_on_a_workload_of_any_kind_is_a_warning() {
    let scene = scene("labelled");
    let kinds = KINDS.map(|(_, kind, _)| kind.to_lowercase()).join(",");
    let label = ["label", &kinds, "--all", "team=platform"];
    let labelled = scene.alice().run(label).expect_ok();
    let warnings = labelled.warnings();
    for (_, kind, _) in KINDS {
        let name = format!("Secret {:?} does not exist", kind.to_lowercase());
        let about: Vec<_> = warnings
            .iter()
            .filter(|text| text.contains(&name))
            .collect();
        assert_eq!(about.len(), 1, "{kind}: {warnings:#?}");
        assert_eq!(rules(about[0]), GONE);
    }
    assert_eq!(warnings.len(), KINDS.len(), "{warnings:#?}");
}

#[test]
fn scaling_pausing_and_finalizers_are_warnings() {
    let scene = scene("scaled");
    let replicas = json!({"spec": {"replicas": 0}});
    let strategy = json!({"spec": {"updateStrategy": {"type": "OnDelete"}}});
    let finalizers = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    let unfinalized = json!({"metadata": {"finalizers": null}});
    let table = [
        ("deployment", replicas.clone()),
        ("deployment", json!({"spec": {"paused": true}})),
        ("deployment", finalizers.clone()),
        ("deployment", unfinalized),
        ("statefulset", replicas.clone()),
        ("replicaset", replicas.clone()),
        ("rollout", replicas),
        ("daemonset", strategy),
        ("job", json!({"spec": {"suspend": true}})),
        ("cronjob", json!({"spec": {"suspend": true}})),
        ("pod", finalizers),
    ];
    for (name, change) in table {
        let arguments = patch_arguments(name, &change);
        warned_of(scene.alice().run(arguments), GONE);
    }
    // What a Pod runs may change; what it reads its credential from cannot.
    let image = ["set", "image", "pod/pod", "main=example.invalid/other"];
    warned_of(scene.alice().run(image), GONE);
}

#[test]
fn a_change_of_the_template_is_refused() {
    let scene = scene("changed");
    let annotation = json!({"metadata": {"annotations": {"note": "x"}}});
    let template = json!({"spec": {"template": annotation}});
    let job_template = json!({"spec": {"jobTemplate": {"spec": {"template": annotation}}}});
    let table = [
        ("deployment", &template),
        ("statefulset", &template),
        ("daemonset", &template),
        ("replicaset", &template),
        ("rollout", &template),
        ("cronjob", &job_template),
    ];
    for (name, change) in table {
        let arguments = patch_arguments(name, change);
        refused_by(scene.alice().run(arguments), GONE);
    }
    let image = "main=example.invalid/other";
    let ways: [&[&str]; 3] = [
        &["set", "image", "deployment/deployment", image],
        &["set", "env", "deployment/deployment", "OTHER=x"],
        &["rollout", "restart", "deployment/deployment"],
    ];
    for arguments in ways {
        refused_by(scene.alice().run(arguments), GONE);
    }
    let unmentioned = ["set", "env", "deployment/deployment", "ARGO_CD_TOKEN-"];
    warned_of(scene.alice().run(unmentioned), &[]);
}

#[test]
fn a_workload_that_is_being_deleted_may_be_changed_and_let_go() {
    let scene = scene("leaving");
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    let arguments = patch_arguments("deployment", &hold);
    warned_of(scene.alice().run(arguments), GONE);
    let delete = ["delete", "--wait=false", "deployment/deployment"];
    warned_of(scene.alice().run(delete), &[]);
    let image = "main=example.invalid/other";
    let image = ["set", "image", "deployment/deployment", image];
    warned_of(scene.alice().run(image), &[]);
    let release = json!({"metadata": {"finalizers": null}});
    let arguments = patch_arguments("deployment", &release);
    warned_of(scene.alice().run(arguments), &[]);
    assert_eq!(scene.read("deployment/deployment", "{.metadata.name}"), "");
}

#[test]
fn scale_and_status_are_not_asked_about() {
    let guard = Guard::shared();
    let scene = scene("subresources");
    let asked = guard.decisions(&scene).len();
    for kind in ["deployment", "statefulset", "replicaset", "rollout"] {
        let object = format!("{kind}/{kind}");
        let scale = ["scale", "--replicas=0", &object];
        warned_of(scene.alice().run(scale), &[]);
        assert_eq!(scene.read(&object, "{.spec.replicas}"), "0");
    }
    let status = r#"--patch={"status":{"observedGeneration":1}}"#;
    for object in ["deployment/deployment", "rollout/rollout", "pod/pod"] {
        let patch = [
            "patch",
            object,
            "--subresource=status",
            "--type=merge",
            status,
        ];
        warned_of(scene.admin().run(patch), &[]);
    }
    let delete = [
        "delete",
        "--wait=false",
        "deployments,rollouts,pods",
        "--all",
    ];
    warned_of(scene.alice().run(delete), &[]);
    assert_eq!(guard.decisions(&scene).len(), asked);
}
