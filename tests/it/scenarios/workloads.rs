//! Every kind of workload, every shape in which it refers to its credential,
//! and those that are not asked about.

use serde_json::{Value, json};

use super::guard::Guard;
use super::objects::{
    KINDS, container, deployment, optional, password_from, secret, token_by_name, token_from,
    workload,
};
use super::said::rules;
use super::tokens::{Token, random_text};

const LISTS: [&str; 2] = ["containers", "initContainers"];

/// One workload of every kind for each list of containers; its environment is
/// that of the second container of that list.
fn of_every_kind(env: impl Fn(&str) -> Vec<Value>) -> Vec<(Value, String)> {
    let kinds = KINDS.into_iter();
    kinds
        .flat_map(|(_, kind, path)| LISTS.map(|list| (kind, path, list)))
        .map(|(kind, path, list)| {
            let name = format!("{kind}-{list}").to_lowercase();
            let mut pod = json!({"containers": [container("main", vec![])]});
            pod[list] = json!([container("first", vec![]), container("second", env(&name))]);
            let field = format!("{path}.{list}[1].env[0]");
            (workload(kind, &name, &pod), field)
        })
        .collect()
}

#[test]
fn every_kind_of_workload_is_refused_without_its_secret_and_told_which_variable() {
    let guard = Guard::shared();
    let scene = guard.scene("kinds");
    let workloads = of_every_kind(|name| vec![token_from(name, "token")]);
    let objects: Vec<_> = workloads.iter().map(|(object, _)| object.clone()).collect();
    let answers = scene.create(&objects);
    for (object, field) in &workloads {
        let refusal = answers.refusal(object, &scene.namespace);
        assert_eq!(rules(refusal), ["credentials/secret-missing"], "{object}");
        let place = format!("({field}: ARGO_CD_TOKEN)");
        assert!(refusal.contains(&place), "{place}: {refusal}");
    }
}

#[test]
fn every_kind_of_workload_with_its_secret_goes_through_in_silence() {
    let guard = Guard::shared();
    let scene = guard.scene("kinds");
    let token = Token::api_key("admin").text();
    scene
        .create(&[secret("token", "key", token)])
        .expect_silence();
    let workloads = of_every_kind(|_| {
        let mut env = vec![token_from("token", "key")];
        env.extend(token_by_name("token", "key"));
        env
    });
    let objects: Vec<_> = workloads.into_iter().map(|(object, _)| object).collect();
    scene.create(&objects).expect_silence();
    let decisions = guard.decisions(&scene);
    assert_eq!(decisions.len(), objects.len(), "each was asked about");
}

#[test]
fn each_shape_is_read_and_its_secret_looked_at_in_its_role() {
    let scene = Guard::shared().scene("shapes");
    let password = random_text();
    let stored = [
        secret("token", "key", Token::api_key("gitops").text()),
        secret("password", "key", &password),
    ];
    scene.create(&stored).expect_silence();
    let missing: &[&str] = &["credentials/secret-missing"];
    let key: &[&str] = &["credentials/key-missing"];
    let malformed: &[&str] = &["credentials/not-an-api-key"];
    let plain = |name: &str, value: &str| json!({"name": name, "value": value});
    let table: [(&str, Vec<Value>, &[&str]); 12] = [
        ("token", vec![token_from("token", "key")], &[]),
        ("token-key", vec![token_from("token", "other")], key),
        ("password", vec![password_from("password", "key")], &[]),
        ("password-gone", vec![password_from("gone", "key")], missing),
        ("password-key", vec![password_from("password", "p")], key),
        ("by-name", token_by_name("token", "key"), &[]),
        ("by-name-gone", token_by_name("gone", "key"), missing),
        ("by-name-key", token_by_name("token", "k"), key),
        // A password is no token.
        ("as-token", vec![token_from("password", "key")], malformed),
        ("as-name", token_by_name("password", "key"), malformed),
        ("plain", vec![plain("ARGO_CD_TOKEN", "x")], &[]),
        ("other", vec![plain("TOKEN", "x")], &[]),
    ];
    let objects = table
        .iter()
        .map(|(name, env, _)| deployment(name, env.clone()));
    let objects: Vec<_> = objects.collect();
    let answers = scene.create(&objects);
    for (object, (name, _, expected)) in objects.iter().zip(&table) {
        let refusal = answers.refusal(object, &scene.namespace);
        assert_eq!(rules(refusal), *expected, "{name}: {refusal}");
        assert!(!refusal.contains(&password), "{refusal}");
    }
    assert_eq!(answers.warnings(""), [] as [&str; 0]);
}

#[test]
fn a_later_duplicate_of_a_variable_wins() {
    let scene = Guard::shared().scene("twice");
    let token = Token::api_key("admin").text();
    scene
        .create(&[secret("good", "token", token)])
        .expect_silence();
    let twice = |first, second| vec![token_from(first, "token"), token_from(second, "token")];
    let mended = deployment("mended", twice("gone", "good"));
    let broken = deployment("broken", twice("good", "gone"));
    let answers = scene.create(&[mended.clone(), broken.clone()]);
    assert_eq!(answers.refusal(&mended, &scene.namespace), "");
    let refusal = answers.refusal(&broken, &scene.namespace);
    assert_eq!(rules(refusal), ["credentials/secret-missing"]);
    assert!(refusal.contains("containers[0].env[1]"), "{refusal}");
}

#[test]
fn an_optional_credential_may_be_missing_and_is_warned_of_when_it_is_broken() {
    let scene = Guard::shared().scene("optional");
    let token = Token::api_key("admin").text();
    scene
        .create(&[secret("newline", "token", format!("{token}\n"))])
        .expect_silence();
    let referring = |name: &str, secret: &str, key: &str| {
        deployment(name, vec![optional(token_from(secret, key))])
    };
    scene
        .create(&[
            referring("gone", "gone", "token"),
            referring("key-gone", "newline", "key"),
        ])
        .expect_silence();
    let answers = scene
        .create(&[referring("broken", "newline", "token")])
        .expect_no_refusal();
    assert_eq!(answers.warnings(""), ["credentials/value-malformed"]);
}

#[test]
fn what_the_template_alone_does_not_tell_is_a_warning() {
    let scene = Guard::shared().scene("unresolvable");
    let from_config_map = json!({
        "name": "ARGO_CD_TOKEN_SECRET_NAME",
        "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "secret"}},
    });
    let key = json!({"name": "ARGO_CD_TOKEN_SECRET_KEY", "value": "token"});
    let table = [
        ("expansion", token_by_name("$(RELEASE)-token", "token")),
        ("key-expansion", token_by_name("absent", "$(KEY)")),
        ("elsewhere", vec![from_config_map, key]),
        ("no-key", vec![token_by_name("absent", "token").remove(0)]),
    ];
    for (name, env) in table {
        let answers = scene.create(&[deployment(name, env)]).expect_no_refusal();
        assert_eq!(answers.warnings(""), ["credentials/unresolvable"], "{name}");
    }
}

#[test]
fn what_a_judged_controller_makes_is_not_asked_about_and_what_another_makes_is_judged() {
    let guard = Guard::shared();
    let scene = guard.scene("controlled");
    let owned = |kind: &str, name: &str, (api_version, owner): (&str, &str), controller: Value| {
        let pod = json!({"containers": [container("main", vec![token_from("gone", "token")])]});
        let mut object = workload(kind, name, &pod);
        object["metadata"]["ownerReferences"] = json!([{
            "apiVersion": api_version,
            "kind": owner,
            "name": "owner",
            "uid": "5f0c3a62-6a24-4c0b-9f1a-0d6a2f0f6f10",
            "controller": controller,
        }]);
        object
    };
    let judged = [
        ("Pod", "apps/v1", "ReplicaSet"),
        ("Pod", "apps/v1", "StatefulSet"),
        ("Pod", "apps/v1", "DaemonSet"),
        ("Pod", "batch/v1", "Job"),
        ("ReplicaSet", "apps/v1", "Deployment"),
        ("ReplicaSet", "argoproj.io/v1alpha1", "Rollout"),
        ("Job", "batch/v1", "CronJob"),
    ];
    let controlled = |(index, (kind, version, owner)): (usize, &(&str, &str, &str))| {
        owned(
            kind,
            &format!("by-{index}"),
            (*version, *owner),
            true.into(),
        )
    };
    let objects: Vec<_> = judged.iter().enumerate().map(controlled).collect();
    scene.create(&objects).expect_silence();
    assert_eq!(guard.decisions(&scene), [] as [Value; 0]);

    let others = [
        ("Pod", "v1", "ReplicationController"),
        ("Pod", "apps.kruise.io/v1alpha1", "CloneSet"),
        ("Pod", "apps.kruise.io/v1beta1", "StatefulSet"),
        ("ReplicaSet", "example.com/v1", "Deployment"),
        ("Job", "example.com/v1", "Owner"),
        ("Deployment", "apps/v1", "ReplicaSet"),
    ];
    let mut asked: Vec<_> = others
        .iter()
        .enumerate()
        .map(|(index, (kind, version, owner))| {
            owned(
                kind,
                &format!("of-{index}"),
                (*version, *owner),
                true.into(),
            )
        })
        .collect();
    asked.push(owned(
        "Pod",
        "owned",
        ("apps/v1", "ReplicaSet"),
        Value::Null,
    ));
    let answers = scene.create(&asked);
    for object in &asked {
        let refusal = answers.refusal(object, &scene.namespace);
        assert_eq!(rules(refusal), ["credentials/secret-missing"], "{object}");
    }
}

#[test]
fn a_rollout_of_any_shape_goes_through_when_it_mentions_no_credential() {
    let scene = Guard::shared().scene("rollouts");
    let pod = |spec: Value| json!({"template": {"spec": spec}});
    let env = |env: Value| json!({"template": {"spec": {"containers": [{"env": env}]}}});
    let specs = [
        json!({}),
        json!({"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}}),
        json!({"template": null}),
        json!({"template": "text"}),
        json!({"template": [1]}),
        json!({"jobTemplate": 1}),
        json!({"jobTemplate": {"spec": [{}]}}),
        json!({"jobTemplate": {"spec": {"template": []}}}),
        json!({"containers": [[]], "initContainers": {"env": []}}),
        pod(Value::Null),
        pod(json!([])),
        pod(json!("text")),
        pod(json!({"containers": null, "initContainers": null})),
        pod(json!({"containers": {"env": []}})),
        pod(json!({"containers": "text"})),
        pod(json!({"containers": [null, "text", 1, [], {}]})),
        env(Value::Null),
        env(json!({"ARGO_CD_TOKEN": "x"})),
        env(json!("ARGO_CD_TOKEN")),
        env(json!([null, "ARGO_CD_TOKEN", 1, ["ARGO_CD_TOKEN"]])),
        env(json!([{"value": "x"}, {"name": null}, {"name": 1}, {"name": ["ARGO_CD_TOKEN"]}])),
    ];
    let rollouts = specs.iter().enumerate().map(|(index, spec)| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "metadata": {"name": format!("rollout-{index}")},
            "spec": spec,
        })
    });
    let rollouts: Vec<_> = rollouts.collect();
    scene.create(&rollouts).expect_silence();
    // Beside what is odd, a credential is still found.
    let reference = || token_from("gone", "token");
    let mixed = [
        env(json!([{"value": "x"}, reference()])),
        env(json!([null, {"name": null}, reference()])),
        pod(json!({"containers": [null, {"env": null}, {"env": [reference()]}]})),
        pod(json!({"initContainers": null, "containers": [{"env": [reference()]}]})),
    ];
    let mixed = mixed.iter().enumerate().map(|(index, spec)| {
        let mut rollout = rollouts[0].clone();
        rollout["metadata"]["name"] = format!("mixed-{index}").into();
        rollout["spec"] = spec.clone();
        rollout
    });
    let mixed: Vec<_> = mixed.collect();
    let answers = scene.create(&mixed);
    for rollout in &mixed {
        let refusal = answers.refusal(rollout, &scene.namespace);
        assert_eq!(rules(refusal), ["credentials/secret-missing"], "{rollout}");
    }
}
