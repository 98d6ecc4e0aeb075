//! Installs of the real chart, by the real Helm, and with what can be wrong
//! about the Secret that a user brings.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::chart::{Holds, Needed, Rendering};
use super::guard::{Guard, Scene};
use super::objects::secret;
use super::said::{Answers, rules};
use super::tokens::{Token, random_text};
use crate::control_plane::ControlPlane;
use crate::control_plane::kubectl::Finished;
use crate::control_plane::users::ALICE;
use crate::control_plane::workspace::Workspace;

const NOT_YET: &str = "credentials/secret-not-yet-made";

/// `helm install` of a rendering, its Deployments first in the chart: the order
/// of creation is Helm's own.
fn helm_install(rendering: &Rendering, scene: &Scene) -> Finished {
    let objects = [
        rendering.deployments(),
        rendering.config_maps(),
        rendering.own_secrets(),
    ];
    let documents = objects.iter().flatten().map(Value::to_string);
    let documents: Vec<_> = documents.collect();
    let chart = Workspace::new();
    chart.write(
        "Chart.yaml",
        "apiVersion: v2\nname: gitops-runtime\nversion: 1.0.0\n",
    );
    chart.write("templates/objects.yaml", documents.join("\n---\n"));
    let folder = chart.path("").display().to_string();
    let helm = scene.plane.helm().as_user(ALICE);
    helm.namespace(&scene.namespace)
        .run(["install", "rt", &folder])
}

fn warned_rules(finished: &Finished) -> BTreeSet<&str> {
    rules(&finished.stderr).into_iter().collect()
}

#[test]
fn helm_installs_a_fresh_default_runtime_with_warnings_only() {
    let renderings = Rendering::all().into_iter();
    let renderings: Vec<_> = renderings
        .filter(|rendering| rendering.mode == "builtin")
        .collect();
    assert_eq!(renderings.len(), 2);
    for rendering in renderings {
        let scene = Guard::shared().scene("default");
        assert_eq!(scene.read("secrets", "{.items[*].metadata.name}"), "");
        let installed = helm_install(&rendering, &scene).expect_ok();
        assert_eq!(warned_rules(&installed), BTreeSet::from([NOT_YET]));
        assert!(
            installed.stderr.contains("argocd-initial-admin-secret"),
            "{}",
            installed.stderr
        );
    }
}

#[test]
fn helm_installs_every_mode_of_an_external_argo_cd_once_the_users_secret_is_there() {
    for rendering in Rendering::all() {
        let Some(needed) = rendering.needs() else {
            continue;
        };
        let scene = Guard::shared().scene("external");
        if rendering.own_secrets().is_empty() {
            scene.create(&[needed.good()]).expect_silence();
        }
        let installed = helm_install(&rendering, &scene).expect_ok();
        let expected = rendering.makes_its_token().then_some(NOT_YET);
        let (chart, mode) = (&rendering.chart, &rendering.mode);
        assert_eq!(
            warned_rules(&installed),
            expected.into_iter().collect(),
            "{chart} {mode}"
        );
        let names = "{.items[*].metadata.name}";
        let deployed = scene.read("deployments", names);
        assert_eq!(deployed.split(' ').count(), 5, "{chart} {mode}: {deployed}");
    }
}

#[test]
fn helm_is_refused_the_password_default_of_an_external_argo_cd_without_its_secret() {
    let renderings = Rendering::all();
    let default = renderings
        .iter()
        .filter(|rendering| rendering.mode == "password-default");
    for rendering in default {
        let scene = Guard::shared().scene("no-password");
        let refusal = helm_install(rendering, &scene).expect_refused();
        assert!(
            refusal.contains("[credentials/secret-missing]")
                && refusal.contains(r#"Secret "argocd-initial-admin-secret" does not exist"#),
            "{refusal}"
        );
    }
}

/// How a Secret can be broken, and the rule that says so; the first is none at
/// all.
pub(super) fn broken(needed: &Needed) -> Vec<(Option<Value>, &'static str)> {
    let good = match needed.holds {
        Holds::Token => Token::api_key("admin").text(),
        Holds::Password => random_text(),
    };
    let holding = |value: &[u8]| Some(secret(needed.name, needed.key, value));
    let mut variants = vec![
        (None, "credentials/secret-missing"),
        (
            Some(secret(needed.name, "other", &good)),
            "credentials/key-missing",
        ),
        (holding(b""), "credentials/value-malformed"),
        (holding(b" \n"), "credentials/value-malformed"),
        (holding(b"\xff\xfe"), "credentials/value-malformed"),
        (
            holding(format!("{good}\n").as_bytes()),
            "credentials/value-malformed",
        ),
        (
            holding(b"ENC[AES256_GCM,data:AAAA]"),
            "credentials/value-malformed",
        ),
    ];
    if needed.holds == Holds::Token {
        let expiring = Token::api_key("admin").claim("exp", 4_000_000_000_u64);
        variants.extend([
            (holding(&good.as_bytes()[9..]), "credentials/not-an-api-key"),
            (
                holding(expiring.text().as_bytes()),
                "credentials/token-expires",
            ),
        ]);
    }
    variants
}

/// The object in a namespace.
fn within(scene: &Scene, mut object: Value) -> Value {
    object["metadata"]["namespace"] = scene.namespace.as_str().into();
    object
}

pub(super) fn refers_to(deployment: &Value, needed: &Needed) -> bool {
    let containers = deployment["spec"]["template"]["spec"]["containers"].to_string();
    containers.contains(&format!("{:?}", needed.name))
}

#[test]
fn every_broken_secret_is_refused_under_its_rule_in_every_rendering() {
    let renderings = Rendering::all();
    let cases = renderings.iter().filter_map(|rendering| {
        let needed = rendering.needs()?;
        let variants = broken(&needed).into_iter();
        Some(variants.map(move |variant| (rendering, rendering.needs(), variant)))
    });
    let cases: Vec<_> = cases.flatten().collect();
    assert_eq!(cases.len(), 2 * (2 * 9 + 3 * 7));
    let scenes = Guard::shared().scenes("broken", cases.len());
    let (mut before, mut deployments) = (Vec::new(), Vec::new());
    for ((rendering, _, (secret, _)), scene) in cases.iter().zip(&scenes) {
        let found = rendering.config_maps().into_iter().chain(secret.clone());
        before.extend(found.map(|object| within(scene, object)));
        let own = rendering.deployments().into_iter();
        deployments.extend(own.map(|object| within(scene, object)));
    }
    let kubectl = || ControlPlane::shared().kubectl().as_user(ALICE);
    Answers::create(kubectl(), "", &before, &[]).expect_no_refusal();
    let answers = Answers::create(kubectl(), "", &deployments, &[]);
    for ((rendering, needed, (_, expected)), scene) in cases.iter().zip(&scenes) {
        let needed = needed.as_ref().expect("a case is about a Secret");
        for object in rendering.deployments() {
            let refusal = answers.refusal(&within(scene, object.clone()), "");
            let expected = refers_to(&object, needed).then_some(*expected);
            let expected: Vec<_> = expected.into_iter().collect();
            let (chart, mode, name) = (&rendering.chart, &rendering.mode, &object["metadata"]);
            assert_eq!(rules(refusal), expected, "{chart} {mode} {name}: {refusal}");
        }
    }
}

#[test]
fn what_the_runtime_makes_by_itself_is_never_a_reason_to_refuse_even_when_broken() {
    let renderings = Rendering::all().into_iter();
    let own = renderings.filter(Rendering::makes_its_token);
    let own: Vec<_> = own.collect();
    let scenes = Guard::shared().scenes("self-made", own.len());
    for (rendering, scene) in own.iter().zip(&scenes) {
        let mut objects = rendering.config_maps();
        objects.extend(rendering.needs().map(|needed| needed.good()));
        objects.push(secret("argocd-token", "token", "stale"));
        scene.create(&objects).expect_no_refusal();
        let answers = scene.create(&rendering.deployments()).expect_no_refusal();
        let stale = answers.warnings("argocd-token");
        assert!(stale.contains(&"credentials/not-an-api-key"), "{stale:?}");
    }
}

#[test]
fn the_runtimes_own_secret_must_be_there_when_a_user_names_it_in_token_mode() {
    let renderings = Rendering::all();
    let token = renderings
        .iter()
        .find(|rendering| rendering.mode == "token-ref")
        .expect("a rendering");
    let scene = Guard::shared().scene("own-name");
    scene.create(&token.config_maps()).expect_no_refusal();
    let renamed = json!(token.deployments())
        .to_string()
        .replace("my-argocd-secret", "argocd-token")
        .replace("my-token", "token");
    let renamed: Vec<Value> = serde_json::from_str(&renamed).expect("still JSON");
    let answers = scene.create(&renamed);
    for object in &renamed {
        let refusal = answers.refusal(object, &scene.namespace);
        assert_eq!(rules(refusal), ["credentials/secret-missing"]);
    }
}

#[test]
fn before_its_config_map_is_there_nothing_that_may_be_self_made_is_refused() {
    let renderings = Rendering::all().into_iter();
    let fresh = renderings.filter(|rendering| rendering.mode == "builtin");
    for rendering in fresh {
        let scene = Guard::shared().scene("unordered");
        let answers = scene.create(&rendering.deployments()).expect_no_refusal();
        let told = answers.warnings("cap-app-proxy-cm does not tell the mode");
        assert_eq!(told, answers.warnings(""));
        assert!(told.iter().all(|rule| *rule == NOT_YET), "{told:?}");
        assert!(!told.is_empty());
    }
}
