//! Verifying in a namespace beside the guarded ones: exactly the two rights that it takes, and what is said without.

use serde_json::{Value, json};

use super::release::Release;
use super::rights::{await_granted, create_runtime, external, reads, registration};
use crate::control_plane::ControlPlane;
use crate::control_plane::kubectl::Finished;
use crate::control_plane::wait::wait_for;
use crate::scenarios::objects::{argocd_cm, secret};
use crate::scenarios::tokens::{Token, random_text};

/// Waits until a Runtime is created in silence, or until what is said has all of these in it.
fn await_said(release: &Release<'_>, namespace: &str, expected: &[&str]) -> String {
    wait_for("what is said of a Runtime", || {
        let Finished { status, stderr, .. } = create_runtime(release, namespace);
        let said = match expected {
            [] => status.success() && stderr.is_empty(),
            _ => !status.success() && expected.iter().all(|part| stderr.contains(part)),
        };
        if said { Ok(stderr) } else { Err(stderr) }
    })
}

fn of(resource: &str, names: &[&str]) -> Value {
    json!({"verbs": ["get"], "apiGroups": [""], "resources": [resource], "resourceNames": names})
}

#[test]
fn verifying_in_another_namespace_takes_two_rights_by_name_and_each_is_told_when_it_is_gone() {
    let plane = ControlPlane::bare();
    let [runtime, argocd] = ["runtime", "argocd"].map(|prefix| plane.fresh_namespace(prefix));
    let apply = |namespace: &str, objects: &[Value]| {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let kubectl = plane.kubectl().namespace(namespace).stdin(list.to_string());
        kubectl.run(["apply", "-f", "-"]).expect_ok();
    };
    let key = random_text();
    let token = Token::api_key("ci").signed(key.as_bytes());
    let state = |ids: &[&str]| {
        let ids: Vec<Value> = ids
            .iter()
            .map(|id| json!({"id": id, "iat": 1_700_000_000}))
            .collect();
        let mut state = secret("argocd-secret", "server.secretkey", &key);
        state["stringData"] = json!({"accounts.ci.tokens": Value::from(ids).to_string()});
        state
    };
    let accounts = argocd_cm(&json!({"accounts.ci": "apiKey, login"}));
    apply(&argocd, &[accounts, state(&[])]);
    apply(&runtime, &[secret("argocd-token", "token", token.text())]);

    let only = format!("namespaces={{{runtime}}}");
    let verify = format!("config.verify.argocdNamespace={argocd}");
    let mut release = Release::install(&plane, &[&only, &verify, "config.dryRun=enforce"]);
    external(&release, &runtime);
    let keeps = registration(&["get", "patch"]);
    let of_secret = of("secrets", &["argocd-secret", "argocd-server-tls"]);
    let of_config_map = of("configmaps", &["argocd-cm"]);
    let both = [of_secret.clone(), of_config_map.clone()];
    await_granted(
        &release,
        &argocd,
        &[of_secret.clone(), of_config_map.clone(), keeps.clone()],
    );
    await_granted(&release, &runtime, &[reads(), keeps.clone()]);

    release.start_pods();
    await_said(&release, &runtime, &["[credentials/token-revoked]"]);
    apply(&argocd, &[state(&[token.id()])]);
    await_said(&release, &runtime, &[]);
    let give = |rules: &[Value]| {
        let patch = json!([{"op": "replace", "path": "/rules", "value": rules}]);
        let patch = format!("--patch={patch}");
        let patch = ["patch", "role", "keyguard-argocd", "--type=json", &patch];
        let kubectl = plane.kubectl().namespace(&argocd);
        kubectl.run(patch).expect_ok();
    };
    for (left, gone) in [
        (of_config_map, "Secret \"argocd-secret\""),
        (of_secret, "ConfigMap \"argocd-cm\""),
    ] {
        give(&[left]);
        let line = format!(
            "{gone} in namespace {argocd:?} could not be read: keyguard's service account may not read it"
        );
        let mend = "Give keyguard's service account the right to get it by its name";
        let told = await_said(
            &release,
            &runtime,
            &[&line, mend, "[credentials/argocd-unreadable]"],
        );
        println!("without {gone}: {told}");
        give(&both);
        await_said(&release, &runtime, &[]);
    }

    // What is not to be verified takes no right.
    release.stop_pods();
    release.upgrade(&[&only]);
    await_granted(&release, &argocd, &[keeps]);
}
