//! As it ships, a dry run is only warned of what other objects may still bring.

use serde_json::json;

use super::guard::Guard;
use super::in_use;
use super::objects::{argocd_cm, deployment, secret, token_by_name, token_from};
use super::said::{refused_by, warned_of};
use super::tokens::Token;

const MISSING: &[&str] = &["credentials/secret-missing"];
const DRY: [&str; 2] = ["apply", "--dry-run=server"];

#[test]
fn apply_by_server_side_dry_run_warns_of_a_missing_secret_and_refuses_an_argocd_cm() {
    let guard = Guard::configured("dryRun: warn");
    let scene = guard.scene("dry-warn");
    let operator = deployment("gitops-operator", vec![token_from("comes-later", "token")]);
    warned_of(scene.send(DRY, &operator), MISSING);
    refused_by(scene.send(["apply"], &operator), MISSING);
    // What the object itself shows.
    let accounts = argocd_cm(&json!({"accounts.admin": "apiKey, login"}));
    warned_of(scene.send(["apply"], &accounts), &[]);
    let removed = argocd_cm(&json!({"accounts.admin": "login"}));
    let rules = &["accounts/api-key-removed"];
    refused_by(scene.send(DRY, &removed), rules);

    let enforcing = Guard::configured("dryRun: enforce");
    let scene = enforcing.scene("dry-enforce");
    refused_by(scene.send(DRY, &operator), MISSING);
}

#[test]
fn who_uses_a_secret_or_an_account_is_warned_of_in_a_dry_run() {
    let guard = in_use::guard(
        "{dryRun: warn, guard: {secrets: true, accountsInUse: true}, \
         limits: {maxSecretReads: 1024, maxWorkloads: 100000, maxWorkloadBytes: 268435456}}",
    );
    let scene = guard.scene("dry-in-use");
    let token = Token::api_key("dry").signed(b"the key of this test");
    let mut own = secret("argocd-secret", "server.secretkey", "the key of this test");
    let list = json!([{"id": token.id()}]);
    own["stringData"] = json!({"accounts.dry.tokens": list.to_string()});
    let mine = secret("mine", "token", token.text());
    let operator = deployment("gitops-operator", token_by_name("mine", "token"));
    let accounts = argocd_cm(&json!({"accounts.dry": "apiKey"}));
    let objects = [accounts, own, mine, operator];
    scene.create(&objects).expect_no_refusal();

    let delete = ["delete", "secret/mine"];
    let dry = ["delete", "secret/mine", "--dry-run=server"];
    warned_of(scene.alice().run(dry), &["secrets/in-use-deleted"]);
    refused_by(scene.alice().run(delete), &["secrets/in-use-deleted"]);
    let removed = argocd_cm(&json!({"accounts.dry": "login"}));
    let rules = &["accounts/api-key-removed"];
    warned_of(scene.send(DRY, &removed), rules);
    refused_by(scene.send(["apply"], &removed), rules);
}
