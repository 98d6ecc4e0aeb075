//! Rollouts whose pod template no schema checks, and what is done with one that is not a template.

use serde_json::{Value, json};

use super::guard::Guard;
use super::objects::{container, secret, token_from, workload};
use super::said::{refused_by, warned_of};
use super::tokens::Token;

const MALFORMED: &[&str] = &["credentials/workload-malformed"];

/// A Rollout with this in its environment besides its token.
fn rollout(name: &str, variable: &Value) -> Value {
    let env = vec![token_from("token", "key"), variable.clone()];
    workload(
        "Rollout",
        name,
        &json!({"containers": [container("main", env)]}),
    )
}

fn patch(name: &str, change: &Value) -> [String; 4] {
    let patch = format!("--patch={change}");
    let object = format!("rollout/{name}");
    ["patch".to_owned(), object, "--type=merge".to_owned(), patch]
}

#[test]
fn a_malformed_rollout_is_refused_with_its_place_and_never_kept_from_being_mended_or_let_go() {
    let guard = Guard::configured("exemptUsers: [admin]");
    let scene = guard.scene("malformed");
    let good = secret("token", "key", Token::api_key("admin").text());
    scene.create(&[good]).expect_silence();
    let number = rollout("number", &json!({"name": "PORT", "value": 5}));
    let text = refused_by(scene.send(["create"], &number), MALFORMED);
    let place = "(spec.template.spec.containers[0].env[1].value)";
    assert!(text.contains(place), "{text}");
    assert!(text.contains("\"rollouts.keyguard.dev\""), "{text}");
    let init_containers = [container("init", vec![token_from("token", "key")])];
    let pod = json!({"containers": "text", "initContainers": init_containers});
    let text = workload("Rollout", "text", &pod);
    refused_by(scene.send(["create"], &text), MALFORMED);

    let admin = scene.admin().stdin(number.to_string());
    admin.run(["create", "-f", "-"]).expect_ok();
    let scale = json!({"spec": {"replicas": 0}});
    warned_of(scene.alice().run(patch("number", &scale)), MALFORMED);
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    warned_of(scene.alice().run(patch("number", &hold)), MALFORMED);
    let otherwise = json!({"spec": {"template": {"metadata": {"annotations": {"note": "x"}}}}});
    refused_by(scene.alice().run(patch("number", &otherwise)), MALFORMED);
    let mended = rollout("number", &json!({"name": "PORT", "value": "5"}));
    warned_of(scene.send(["replace"], &mended), &[]);
    refused_by(scene.send(["replace"], &number), MALFORMED);

    let admin = scene.admin().stdin(number.to_string());
    admin.run(["replace", "-f", "-"]).expect_ok();
    warned_of(scene.alice().run(patch("number", &hold)), MALFORMED);
    let delete = ["delete", "--wait=false", "rollout/number"];
    warned_of(scene.alice().run(delete), &[]);
    let release = json!({"metadata": {"finalizers": null}});
    warned_of(scene.alice().run(patch("number", &release)), &[]);
    assert_eq!(scene.read("rollout/number", "{.metadata.name}"), "");
}
