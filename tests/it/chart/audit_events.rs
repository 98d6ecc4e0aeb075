//! Events about objects of which a change was refused.

use serde_json::Value;

use super::audit_installed::Installed;
use crate::control_plane::ControlPlane;
use crate::control_plane::tls_http::post_review;
use crate::control_plane::users::ALICE;
use crate::control_plane::wait::wait_for;
use crate::scenarios::audit_trail::losing_review;

#[test]
fn what_is_refused_again_and_again_is_one_event_about_the_object_and_a_dry_run_is_none() {
    let plane = ControlPlane::bare();
    let installed = Installed::new(&plane, &["audit.events=true"]);
    let patch = [
        "patch",
        "configmap",
        "argocd-cm",
        "--type=merge",
        "--dry-run=server",
    ];
    let data = r#"--patch={"data":{"accounts.admin":"login"}}"#;
    let kubectl = || plane.kubectl().namespace(&installed.namespace);
    let dry_run = kubectl().as_user(ALICE);
    dry_run
        .run(patch.into_iter().chain([data]))
        .expect_refused();
    for _ in 0..3 {
        installed.refused();
    }
    installed.await_refusals(4);
    let event = wait_for("one event that stands for three", || {
        let got = kubectl().run(["get", "events.events.k8s.io", "--output=json"]);
        let all: Value = serde_json::from_str(&got.expect_ok().stdout).unwrap();
        match all["items"].as_array().unwrap().as_slice() {
            [event] if event["series"]["count"] == 3 => Ok(event.clone()),
            other => Err(format!("{other:?}")),
        }
    });
    let regarding = &event["regarding"];
    assert_eq!(
        (&regarding["kind"], &regarding["name"]),
        (&"ConfigMap".into(), &"argocd-cm".into())
    );
    assert_eq!(
        (&event["type"], &event["reason"]),
        (&"Warning".into(), &"Refused".into())
    );
    let note = event["note"].as_str().unwrap();
    assert!(
        note.contains("loses apiKey") && note.contains("Keep apiKey"),
        "{note}"
    );
    let shown = kubectl().run(["events", "--for=configmap/argocd-cm"]);
    let shown = shown.expect_ok().stdout.clone();
    assert!(
        shown.contains("Refused") && shown.contains("loses apiKey"),
        "{shown}"
    );
    // Many at once are one batch, and one Event as well.
    let pod = installed.release.pods.first().unwrap();
    let bundle = installed.authority();
    let mut review: Value = serde_json::from_str(&losing_review()).unwrap();
    for place in [
        "/request",
        "/request/object/metadata",
        "/request/oldObject/metadata",
    ] {
        review.pointer_mut(place).unwrap()["namespace"] = installed.namespace.as_str().into();
    }
    for _ in 0..20 {
        let answer = post_review(pod.address, bundle.as_bytes(), &review.to_string());
        assert_eq!(answer.unwrap().status, 200);
    }
    wait_for("another event that stands for twenty", || {
        let got = kubectl().run(["get", "events.events.k8s.io", "--output=json"]);
        let all: Value = serde_json::from_str(&got.expect_ok().stdout).unwrap();
        let counts = all["items"].as_array().unwrap().iter();
        let mut counts: Vec<_> = counts.map(|it| it["series"]["count"].clone()).collect();
        counts.sort_by_key(Value::as_u64);
        (counts == [3, 20])
            .then_some(())
            .ok_or_else(|| format!("{counts:?}"))
    });
    let output = installed.collector.as_ref().unwrap().output();
    assert!(!output.contains("\"ERROR\""), "{output}");
}
