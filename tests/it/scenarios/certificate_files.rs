//! Certificates in files, exchanged while keyguard serves.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::guard::Guard;
use super::load::{Ask, directly, through_the_api_server, under_load};
use crate::control_plane::ControlPlane;
use crate::control_plane::certificates::Authority;
use crate::control_plane::keyguard::{Keyguard, Options};
use crate::control_plane::plain_http::get;
use crate::control_plane::process::{Process, free_address};
use crate::control_plane::wait::wait_for;
use crate::control_plane::workspace::Workspace;

fn reloads(keyguard: &Keyguard, outcome: &str) -> f64 {
    let name = "keyguard_certificate_reloads_total";
    keyguard.metric(name, &[("outcome", outcome)])
}

fn await_reloads(keyguard: &Keyguard, outcome: &str, count: f64) {
    wait_for(&format!("{count} of {outcome}"), || {
        let reloads = reloads(keyguard, outcome);
        (reloads >= count)
            .then_some(())
            .ok_or_else(|| reloads.to_string())
    });
    assert_eq!(
        reloads(keyguard, outcome).total_cmp(&count),
        std::cmp::Ordering::Equal
    );
}

#[test]
fn a_certificate_exchanged_every_two_seconds_under_load_fails_no_admission() {
    const ROTATIONS: u32 = 5;
    const EACH: Duration = Duration::from_secs(2);
    let guard = Guard::start(&Options {
        config: Some("certificates: {checkInterval: 200ms}".to_owned()),
        ..Options::default()
    });
    let (keyguard, scene) = (&guard.keyguard, guard.scene("exchanged"));
    let asks: [Ask<'_>; 2] = [&|| through_the_api_server(&scene), &|| {
        directly(keyguard, &scene)
    }];
    let started = Instant::now();
    let (before, tally) = under_load(&asks, || {
        let mut before = 0;
        for rotation in 1..=ROTATIONS {
            keyguard.reissue_certificate();
            await_reloads(keyguard, "served", f64::from(rotation));
            let next = EACH * rotation;
            wait_for("the next rotation", || {
                let passed = started.elapsed();
                (passed >= next)
                    .then_some(())
                    .ok_or_else(|| format!("{passed:?}"))
            });
            if rotation == 1 {
                before = keyguard.resident_kib();
            }
        }
        before
    });
    let after = keyguard.resident_kib();
    println!(
        "{ROTATIONS} exchanges, one each {EACH:?}: {} admissions, {} failed; {before} KiB after the first, {after} KiB after the last",
        tally.right,
        tally.wrong.len()
    );
    assert!(after * 10 <= before * 11, "{before} KiB, then {after} KiB");
    assert_eq!(tally.wrong, [""; 0]);
    assert!(tally.right > 100, "{}", tally.right);
    assert_eq!(
        reloads(keyguard, "refused").total_cmp(&0.0),
        std::cmp::Ordering::Equal
    );
}

#[test]
fn a_broken_pair_is_refused_and_told_once_and_the_one_before_goes_on_serving() {
    let guard = Guard::start(&Options {
        config: Some("certificates: {checkInterval: 20ms}".to_owned()),
        ..Options::default()
    });
    let (keyguard, scene) = (&guard.keyguard, guard.scene("broken-pair"));
    let end = keyguard.metric("keyguard_certificate_not_after_seconds", &[]);
    keyguard
        .tls()
        .put(&[("tls.crt", b"text"), ("tls.key", b"text")]);
    await_reloads(keyguard, "refused", 1.0);
    let refused = "another certificate is refused; the one before stays";
    let line = keyguard.log_line("the refusal", |line| line["message"] == refused);
    let reason = line["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("--tls-cert "), "{line}");
    assert!(reason.contains("no certificate in it"), "{line}");
    assert_eq!(directly(keyguard, &scene), Ok(()));
    assert_eq!(through_the_api_server(&scene), Ok(()));
    assert_eq!(keyguard.ask("/readyz").status, 200);
    let told = keyguard.metric("keyguard_certificate_not_after_seconds", &[]);
    assert_eq!(told.total_cmp(&end), std::cmp::Ordering::Equal);
    keyguard.reissue_certificate();
    await_reloads(keyguard, "served", 1.0);
    assert_eq!(directly(keyguard, &scene), Ok(()));
    await_reloads(keyguard, "refused", 1.0);
}

#[test]
fn a_certificate_not_yet_valid_waits_for_its_time_and_the_one_before_goes_on_serving() {
    let guard = Guard::start(&Options {
        config: Some("certificates: {checkInterval: 20ms}".to_owned()),
        ..Options::default()
    });
    let (keyguard, scene) = (&guard.keyguard, guard.scene("not-yet-valid"));
    let end = || keyguard.metric("keyguard_certificate_not_after_seconds", &[]);
    let before = end();
    let from = SystemTime::now() + Duration::from_secs(4);
    let asks: [Ask<'_>; 2] = [&|| through_the_api_server(&scene), &|| {
        directly(keyguard, &scene)
    }];
    let ((), tally) = under_load(&asks, || {
        keyguard.reissue_certificate_with(|parameters| {
            parameters.not_before = from.into();
            parameters.not_after = (from + Duration::from_secs(3600)).into();
        });
        await_reloads(keyguard, "refused", 1.0);
        assert!(SystemTime::now() < from, "refused before its time");
        assert_eq!(end().total_cmp(&before), std::cmp::Ordering::Equal);
        assert_eq!(keyguard.ask("/readyz").status, 200);
        await_reloads(keyguard, "served", 1.0);
        assert!(end() < before, "the other one ends earlier");
    });
    let refused = keyguard.log_line("the refusal", |line| {
        let reason = line["reason"].as_str().unwrap_or_default();
        reason.contains(": not valid before ")
    });
    println!(
        "{}: {} admissions, {} failed",
        refused["reason"],
        tally.right,
        tally.wrong.len()
    );
    assert_eq!(tally.wrong, [""; 0]);
}

#[test]
fn with_a_webhook_configuration_to_look_at_it_is_ready_once_that_verifies_its_certificate() {
    let plane = ControlPlane::shared();
    let name = plane.fresh_namespace("looked-at");
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [{
            "apiGroups": ["admissionregistration.k8s.io"],
            "resources": ["validatingwebhookconfigurations"],
            "resourceNames": [name],
            "verbs": ["get"],
        }],
    });
    let create = plane.kubectl().stdin(role.to_string());
    create.run(["create", "-f", "-"]).expect_ok();
    let files = Workspace::new();
    let tls = Authority::new(&files).issue(&["keyguard.keyguard.svc"], &files);
    let account = plane.kubeconfig_for_service_account("keyguard", "keyguard");
    let (address, health) = (free_address(), free_address());
    let arguments = [
        "serve".to_owned(),
        format!("--listen={address}"),
        format!("--health-listen={health}"),
        format!("--tls-cert={}", tls.certificate.display()),
        format!("--tls-key={}", tls.key.display()),
        format!("--kubeconfig={}", account.display()),
        format!("--webhook-configuration={name}"),
        format!(
            "--config={}",
            files
                .write("config.yaml", "certificates: {checkInterval: 20ms}")
                .display()
        ),
    ];
    let program = Path::new(env!("CARGO_BIN_EXE_keyguard"));
    let _process = Process::start("keyguard", program, arguments, &files);
    let says = |what: &str| {
        wait_for(what, || {
            let answer = get(health, "/readyz").map_err(|error| error.to_string())?;
            let said = answer.body.contains(what);
            said.then_some(()).ok_or(answer.body)
        });
    };
    says(&format!(
        "webhook configuration: keyguard may not get validatingwebhookconfigurations \"{name}\""
    ));
    let bind = ["create", "clusterrolebinding", &name];
    let bind = bind.into_iter().map(str::to_owned).chain([
        format!("--clusterrole={name}"),
        "--serviceaccount=keyguard:keyguard".to_owned(),
    ]);
    plane.kubectl().run(bind).expect_ok();
    says("does not exist");
    let webhook = |bundle: &[u8]| {
        json!({
            "name": "looked-at.keyguard.dev",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Ignore",
            "clientConfig": {
                "service": {"namespace": "keyguard", "name": "keyguard", "path": "/validate"},
                "caBundle": STANDARD.encode(bundle),
            },
        })
    };
    let apply = |bundle: &[u8]| {
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [webhook(bundle)],
        });
        let apply = plane.kubectl().stdin(configuration.to_string());
        apply.run(["apply", "-f", "-"]).expect_ok();
    };
    let other = Workspace::new();
    let foreign = Authority::new(&other);
    apply(&std::fs::read(foreign.certificate).unwrap());
    says(
        "the caBundle of \"looked-at.keyguard.dev\" does not verify the certificate that is presented: another CA signed that",
    );
    apply(&std::fs::read(files.path("ca.crt")).unwrap());
    says("ok");
    let delete = ["delete", "validatingwebhookconfiguration", &name];
    plane.kubectl().run(delete).expect_ok();
    says("does not exist");
}
