//! The configuration file changes under a running keyguard.

use serde_json::json;

use super::guard::Guard;
use super::objects::{argocd_cm, deployment, token_from};
use super::reviews::creation;
use super::said::{refused_by, warned_of};
use crate::control_plane::keyguard::Keyguard;
use crate::control_plane::wait::wait_for;

const REMOVED: &[&str] = &["accounts/api-key-removed"];
const LOSS: [&str; 4] = [
    "patch",
    "configmap/argocd-cm",
    "--type=merge",
    r#"--patch={"data":{"accounts.admin":"login"}}"#,
];

/// Waits until so many other configurations were put in force, or refused.
fn reloaded(keyguard: &Keyguard, outcome: &str, count: f64) {
    let labels = [("outcome", outcome)];
    wait_for(&format!("{count} configurations {outcome}"), || {
        let counted = keyguard.metric("keyguard_config_reloads_total", &labels);
        (counted >= count).then_some(()).ok_or(counted.to_string())
    });
}

#[test]
fn another_configuration_counts_without_a_restart_and_a_bad_one_changes_nothing() {
    let guard = Guard::configured("{}");
    let keyguard = &guard.keyguard;
    let scene = guard.scene("reload");
    let good = argocd_cm(&json!({"accounts.admin": "apiKey, login"}));
    scene.create(&[good]).expect_silence();
    refused_by(scene.alice().run(LOSS), REMOVED);

    keyguard.reconfigure("rules: {accounts/api-key-removed: warn}");
    reloaded(keyguard, "applied", 1.0);
    let dry_run = LOSS.into_iter().chain(["--dry-run=server"]);
    warned_of(scene.alice().run(dry_run.clone()), REMOVED);

    keyguard.reconfigure("rules: {accounts/api-key-removed: loud, nothing: warn}");
    reloaded(keyguard, "refused", 1.0);
    warned_of(scene.alice().run(dry_run), REMOVED);
    let line = keyguard.log_line("the refused configuration", |line| {
        line["message"] == "another configuration is refused; the one before stays"
    });
    let reason = line["reason"].as_str().expect("it says why");
    assert!(reason.contains("has 2 fault(s)"), "{reason}");
    assert!(reason.contains(r#"there is no rule "nothing""#), "{reason}");

    keyguard.reconfigure("{}");
    reloaded(keyguard, "applied", 2.0);
    refused_by(scene.alice().run(LOSS), REMOVED);
    assert_eq!(keyguard.ask("/readyz").status, 200);
}

#[test]
fn limits_and_timeouts_count_from_the_next_request_on() {
    let guard = Guard::configured("{}");
    let keyguard = &guard.keyguard;
    let runtime = deployment("runtime", vec![token_from("token", "key")]);
    let review = creation("default", &runtime).to_string();
    let status = || keyguard.post("application/json", &review).status;
    assert_eq!(status(), 200);
    keyguard.reconfigure("limits: {maxBodyBytes: 1024, maxJsonDepth: 16}");
    reloaded(keyguard, "applied", 1.0);
    assert!(review.len() < 1024, "{}", review.len());
    let padded = format!("{review}{}", " ".repeat(1024));
    assert_eq!(keyguard.post("application/json", &padded).status, 413);
    assert_eq!(status(), 200);
    keyguard.reconfigure("{}");
    reloaded(keyguard, "applied", 2.0);
    assert_eq!(keyguard.post("application/json", &padded).status, 200);
}

#[test]
fn what_counts_from_the_next_start_only_is_said() {
    let guard = Guard::configured("{}");
    let keyguard = &guard.keyguard;
    keyguard.reconfigure("{exemptNamespaces: [sandbox], certificates: {checkInterval: 2s}}");
    reloaded(keyguard, "applied", 1.0);
    for told in [
        "exempt namespaces changed: print the webhook configuration again",
        "what changed under certificates counts from the next start",
    ] {
        keyguard.log_line(told, |line| {
            let message = line["message"].as_str();
            message.is_some_and(|message| message.starts_with(told))
        });
    }
}
