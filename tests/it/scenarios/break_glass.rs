//! Somebody who may lifts a rule for one change, on the record; nobody else does.

use serde_json::{Value, json};

use super::guard::{Guard, Scene};
use super::objects::{argocd_cm, deployment, merged, token_from};
use super::said::{refused_by, warned_of};
use crate::control_plane::kubectl::Finished;
use crate::control_plane::users::{ADMIN, ALICE};

const REMOVED: &[&str] = &["accounts/api-key-removed"];
const DELETED: &[&str] = &["accounts/config-map-deleted"];
const MISSING: &[&str] = &["credentials/secret-missing"];
const NOT_PERMITTED: &str = "the annotation keyguard.dev/allow changes nothing, because you are in none of \
                             the groups that may break the glass (breakGlassGroups)";

/// Only [`ADMIN`] is in the group that may.
fn guard() -> Guard {
    Guard::configured("breakGlassGroups: ['system:masters']")
}

fn good() -> Value {
    argocd_cm(&json!({"accounts.admin": "apiKey"}))
}

fn allow(annotation: &str) -> Value {
    json!({"metadata": {"annotations": {"keyguard.dev/allow": annotation}}})
}

fn patch(scene: &Scene, user: &str, change: &Value, more: &[&str]) -> Finished {
    let patch = format!("--patch={change}");
    let arguments = ["patch", "configmap/argocd-cm", "--type=merge", &patch];
    scene.user(user).run(arguments.iter().chain(more))
}

fn decided(decisions: &[Value], decision: &str) -> Vec<[String; 3]> {
    let of = decisions.iter().filter(|line| line["decision"] == decision);
    of.map(|line| {
        let rules = line["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| rule.as_str().unwrap());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rules = rules.collect::<Vec<_>>().join(",");
        [text(&line["user"]["name"]), rules, text(&line["reason"])]
    })
    .collect()
}

#[test]
fn a_patch_with_a_reason_goes_through_for_members_of_the_group_alone() {
    let guard = guard();
    let scene = guard.scene("glass-patch");
    scene.create(&[good()]).expect_silence();
    let loss = json!({"data": {"accounts.admin": "login"}});
    let reason = "accounts/api-key-removed: the key has leaked";
    let with = |annotation| merged(&loss, &allow(annotation));

    let text = refused_by(patch(&scene, ALICE, &with(reason), &[]), REMOVED);
    assert!(text.contains(NOT_PERMITTED), "{text}");
    let text = refused_by(patch(&scene, ADMIN, &loss, &[]), REMOVED);
    assert!(!text.contains(NOT_PERMITTED), "{text}");
    for (annotation, objection) in [
        (
            "accounts/api-key-removed: ",
            "gives no reason for accounts/api-key-removed",
        ),
        (
            "accounts/none: leaked",
            "names \"accounts/none\", which is no rule",
        ),
    ] {
        let text = refused_by(patch(&scene, ADMIN, &with(annotation), &[]), REMOVED);
        assert!(text.contains(objection), "{text}");
    }
    let other = with("accounts/login-removed: leaked");
    refused_by(patch(&scene, ADMIN, &other, &[]), REMOVED);

    let accounts = || scene.read("configmap/argocd-cm", r"{.data.accounts\.admin}");
    warned_of(
        patch(&scene, ADMIN, &with(reason), &["--dry-run=server"]),
        REMOVED,
    );
    assert_eq!(accounts(), "apiKey");
    warned_of(patch(&scene, ADMIN, &with(reason), &[]), REMOVED);
    assert_eq!(accounts(), "login");

    // The annotation that is left counts for the user who asks now.
    let back = json!({"data": {"accounts.admin": "apiKey"}});
    warned_of(patch(&scene, ALICE, &back, &[]), &[]);
    let text = refused_by(patch(&scene, ALICE, &loss, &[]), REMOVED);
    assert!(text.contains(NOT_PERMITTED), "{text}");
    warned_of(patch(&scene, ADMIN, &loss, &[]), REMOVED);

    let decisions = guard.decisions(&scene);
    let by_admin = [ADMIN, REMOVED[0], reason].map(str::to_owned);
    assert_eq!(
        decided(&decisions, "break-glass"),
        [by_admin.clone(), by_admin.clone(), by_admin]
    );
    assert!(
        decided(&decisions, "deny")
            .iter()
            .all(|[_, _, reason]| reason.is_empty())
    );
    let labels = [("decision", "break-glass"), ("rule", REMOVED[0])];
    let counted = guard.keyguard.metric("keyguard_decisions_total", &labels);
    assert_eq!(counted, 3.0);
    let audited = scene.plane.audit_event("the broken glass", |event| {
        event["objectRef"]["namespace"] == scene.namespace
            && event["annotations"]["argocd-cm.keyguard.dev/decision"] == "break-glass"
    });
    assert_eq!(
        audited["annotations"]["argocd-cm.keyguard.dev/reason"],
        reason
    );
}

#[test]
fn a_delete_goes_through_by_the_annotation_of_the_object_that_goes() {
    let guard = guard();
    let scene = guard.scene("glass-delete");
    let reason = "accounts/config-map-deleted: moving away";
    let annotated = merged(&good(), &allow(reason));
    let delete = ["delete", "configmap/argocd-cm"];
    let all = ["delete", "configmaps", "--all"];

    scene.create(&[good()]).expect_silence();
    refused_by(scene.admin().run(delete), DELETED);
    warned_of(patch(&scene, ALICE, &allow(reason), &[]), &[]);
    for arguments in [&delete[..], &all] {
        let text = refused_by(scene.alice().run(arguments), DELETED);
        assert!(text.contains(NOT_PERMITTED), "{text}");
    }
    let dry = delete.iter().chain(&["--dry-run=server"]);
    warned_of(scene.admin().run(dry), DELETED);
    warned_of(scene.admin().run(delete), DELETED);
    assert_eq!(scene.read("configmap/argocd-cm", "{.metadata.name}"), "");
    scene.create(&[annotated]).expect_silence();
    warned_of(
        scene.admin().run(["delete", "configmap", "argocd-cm"]),
        DELETED,
    );
    assert_eq!(decided(&guard.decisions(&scene), "break-glass").len(), 3);
}

#[test]
fn a_workload_goes_in_before_its_secret_for_members_of_the_group_alone() {
    let guard = guard();
    let scene = guard.scene("glass-workload");
    let reason = "credentials/secret-missing: it comes later";
    let runtime = deployment("runtime", vec![token_from("later", "token")]);
    let runtime = merged(&runtime, &allow(reason));
    let text = refused_by(scene.send(["create"], &runtime), MISSING);
    assert!(text.contains(NOT_PERMITTED), "{text}");
    let create = scene.admin().stdin(runtime.to_string());
    warned_of(create.run(["create", "-f", "-"]), MISSING);
    let broken = decided(&guard.decisions(&scene), "break-glass");
    assert_eq!(broken, [[ADMIN, MISSING[0], reason].map(str::to_owned)]);
}

#[test]
fn without_groups_nobody_breaks_the_glass() {
    let scene = Guard::shared().scene("glass-nobody");
    let reason = "accounts/config-map-deleted: I may do everything";
    scene
        .create(&[merged(&good(), &allow(reason))])
        .expect_silence();
    let text = refused_by(
        scene.admin().run(["delete", "configmap/argocd-cm"]),
        DELETED,
    );
    assert!(text.contains(NOT_PERMITTED), "{text}");
}
