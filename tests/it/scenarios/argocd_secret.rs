//! Argo CD's own Secret: what it is changed to keeps every token alive that a workload uses.

use serde_json::{Value, json};

use super::guard::{Guard, Scene};
use super::in_use;
use super::objects::{argocd_cm, deployment, merged, secret, token_by_name};
use super::said::{refused_by, warned_of};
use super::tokens::{Token, random_text};
use crate::control_plane::kubectl::Finished;
use crate::control_plane::users::{ADMIN, ALICE, NAMESPACE_CONTROLLER};

const REVOKED: &[&str] = &["argocd-secret/token-revoked"];
const KEY: &[&str] = &["argocd-secret/signing-key-changed"];
const PASSWORD: &[&str] = &["argocd-secret/password-changed"];
const UNREADABLE: &[&str] = &["argocd-secret/unreadable"];
const DELETED: &[&str] = &["argocd-secret/deleted"];
const UNKNOWN: &[&str] = &["guard/in-use-unknown"];
const DELETE: [&str; 2] = ["delete", "secret/argocd-secret"];
/// Other tests have workloads in the same cluster, all of which are looked through.
const ALL: &str =
    "limits: {maxSecretReads: 1024, maxWorkloads: 100000, maxWorkloadBytes: 268435456}";

pub(super) fn guard(more: &str) -> Guard {
    in_use::guard(&format!("{{guard: {{argocdSecret: true}}, {ALL}{more}}}"))
}

/// An Argo CD with a key of its own and these API keys of admin.
pub(super) struct Argocd {
    pub(super) scene: Scene,
    pub(super) key: String,
}

impl Argocd {
    pub(super) fn new(guard: &Guard, prefix: &str) -> Argocd {
        let time = json!({"admin.passwordMtime": "2020-01-01T00:00:00Z"});
        Argocd::with(guard, prefix, &time)
    }

    /// One that no argocd-server has started yet.
    pub(super) fn without_time(guard: &Guard, prefix: &str) -> Argocd {
        Argocd::with(guard, prefix, &json!({}))
    }

    fn with(guard: &Guard, prefix: &str, time: &Value) -> Argocd {
        let scene = guard.scene(prefix);
        let key = random_text();
        let accounts = argocd_cm(&json!({"accounts.admin": "apiKey, login"}));
        let mut own = secret("argocd-secret", "server.secretkey", &key);
        own["stringData"] = merged(&json!({"admin.password": "a hash"}), time);
        scene.create(&[accounts, own]).expect_silence();
        Argocd { scene, key }
    }

    pub(super) fn token(&self) -> Token {
        Token::api_key("admin").signed(self.key.as_bytes())
    }

    /// Alice puts values into the Secret, or takes keys away.
    pub(super) fn put(&self, values: &Value) -> Finished {
        self.patch(ALICE, &json!({"stringData": values}))
    }

    pub(super) fn patch(&self, user: &str, patch: &Value) -> Finished {
        let patch = format!("--patch={patch}");
        let patch = ["patch", "secret/argocd-secret", "--type=merge", &patch];
        self.scene.user(user).run(patch)
    }

    /// These are the API keys of admin from now on.
    pub(super) fn list(&self, tokens: &[&Token]) -> Finished {
        self.put(&list(tokens))
    }
}

fn list(tokens: &[&Token]) -> Value {
    let entries = tokens
        .iter()
        .map(|token| json!({"id": token.id(), "iat": 1_700_000_000}));
    json!({"admin.tokens": Value::from_iter(entries).to_string()})
}

/// A workload that reads this token, in a namespace of its own.
pub(super) fn runtime(guard: &Guard, prefix: &str, token: &Token) -> Scene {
    let scene = guard.scene(prefix);
    let operator = deployment("gitops-operator", token_by_name("mine", "token"));
    let mine = secret("mine", "token", token.text());
    scene.create(&[mine, operator]).expect_silence();
    scene
}

/// No run of eight characters of a secret is in a text.
pub(super) fn assert_secret(secrets: &[&str], text: &str) {
    for secret in secrets {
        for piece in secret.as_bytes().windows(8) {
            let piece = std::str::from_utf8(piece).expect("it is ASCII");
            assert!(!text.contains(piece), "{piece} in {text}");
        }
    }
}

#[test]
fn an_api_key_is_revoked_only_once_no_workload_uses_it() {
    let guard = guard("");
    let argocd = Argocd::new(&guard, "revoked-argocd");
    let (used, idle) = (argocd.token(), argocd.token());
    warned_of(argocd.list(&[&used, &idle]), &[]);
    let runtime = runtime(&guard, "revoked-runtime", &used);
    // Another one is made, and one that nobody uses goes.
    let next = argocd.token();
    warned_of(argocd.list(&[&used, &idle, &next]), &[]);
    warned_of(argocd.list(&[&used, &next]), &[]);

    let text = refused_by(argocd.list(&[&next]), REVOKED);
    let user = format!(
        "in use by Deployment \"gitops-operator\" in namespace {:?}",
        runtime.namespace
    );
    assert!(text.contains(&user), "{text}");
    assert!(text.contains("account \"admin\""), "{text}");
    let secrets = [&*used.text(), &argocd.key];
    assert_secret(&secrets, &text);
    refused_by(argocd.put(&json!({"admin.tokens": "[]"})), REVOKED);
    refused_by(
        argocd.patch(ALICE, &json!({"data": {"admin.tokens": null}})),
        REVOKED,
    );

    // The workload gets the other one, and the first may go.
    let rotated = secret("mine", "token", next.text());
    warned_of(runtime.send(["replace"], &rotated), &[]);
    warned_of(argocd.list(&[&next]), &[]);
    refused_by(argocd.list(&[]), REVOKED);
    let gone = ["delete", "deployment/gitops-operator"];
    warned_of(runtime.alice().run(gone), &[]);
    warned_of(argocd.list(&[]), &[]);
    assert_secret(&secrets, &guard.keyguard.output());
}

#[test]
fn the_key_and_the_passwords_time_and_the_secret_itself_stay_as_long_as_a_token_is_used() {
    let guard = guard("");
    let argocd = Argocd::new(&guard, "kept-argocd");
    let used = argocd.token();
    warned_of(argocd.list(&[&used]), &[]);
    let runtime = runtime(&guard, "kept-runtime", &used);
    let other_key = json!({"server.secretkey": random_text()});
    let later = json!({"admin.passwordMtime": "2024-01-01T00:00:00Z"});
    let table = [
        (&other_key, KEY),
        (&later, PASSWORD),
        (&json!({"admin.tokens": "[{"}), UNREADABLE),
    ];
    for (values, rules) in table {
        let text = refused_by(argocd.put(values), rules);
        assert!(text.contains("Deployment \"gitops-operator\""), "{text}");
        assert_secret(&[&used.text(), &argocd.key], &text);
    }
    refused_by(
        argocd.patch(ALICE, &json!({"data": {"server.secretkey": null}})),
        KEY,
    );
    refused_by(argocd.scene.alice().run(DELETE), DELETED);
    // Everything that is wrong is told.
    let both = merged(&list(&[]), &later);
    let mut rules = [REVOKED, PASSWORD].concat();
    rules.sort_unstable();
    let text = argocd.put(&both).expect_refused();
    let mut told = super::said::rules(&text);
    told.sort_unstable();
    assert_eq!(told, rules);
    // A time before the token was issued, a password, and what is not Argo CD's accounts'.
    warned_of(
        argocd.put(&json!({
            "admin.passwordMtime": "2023-01-01T00:00:00Z",
            "admin.password": "other",
            "webhook.github.secret": "other",
        })),
        &[],
    );
    let gone = ["delete", "deployment/gitops-operator"];
    warned_of(runtime.alice().run(gone), &[]);
    warned_of(argocd.put(&later), &[]);
    warned_of(argocd.put(&other_key), &[]);
    warned_of(argocd.scene.alice().run(DELETE), &[]);
}

#[test]
fn a_namespace_ends_and_what_argo_cd_refused_before_is_nobodys_loss() {
    let guard = guard("");
    let argocd = Argocd::new(&guard, "ends-argocd");
    let dead = argocd.token();
    runtime(&guard, "ends-runtime-dead", &dead);
    // It was never in the list.
    warned_of(argocd.put(&json!({"server.secretkey": random_text()})), &[]);
    let argocd = Argocd::new(&guard, "ends-argocd-used");
    let used = argocd.token();
    warned_of(argocd.list(&[&used]), &[]);
    runtime(&guard, "ends-runtime-used", &used);
    refused_by(argocd.scene.alice().run(DELETE), DELETED);
    let namespace = &argocd.scene.namespace;
    let path = format!("/api/v1/namespaces/{namespace}/secrets/argocd-secret");
    let raw = ["delete", "--raw", &path];
    argocd.scene.user(NAMESPACE_CONTROLLER).run(raw).expect_ok();
}

#[test]
fn the_token_that_app_proxy_makes_again_may_be_revoked() {
    let guard = guard("");
    let argocd = Argocd::new(&guard, "again-argocd");
    let made = argocd.token();
    warned_of(argocd.list(&[&made]), &[]);
    let runtime = guard.scene("again-runtime");
    let mode = |external: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cap-app-proxy-cm"},
            "data": {"isExternalArgoCD": external, "argoCdUsername": "admin"},
        })
    };
    let operator = deployment("gitops-operator", token_by_name("argocd-token", "token"));
    let own = secret("argocd-token", "token", made.text());
    runtime
        .create(&[mode("true"), own, operator])
        .expect_silence();
    warned_of(argocd.list(&[]), &[]);
    // When nobody can tell whether it is made again, that is said.
    warned_of(argocd.list(&[&made]), &[]);
    let unknown = ["delete", "configmap/cap-app-proxy-cm"];
    runtime.admin().run(unknown).expect_ok();
    warned_of(argocd.list(&[]), REVOKED);
}

#[test]
fn the_glass_can_be_broken_and_a_rule_be_only_warned_of() {
    let guard = guard(
        ", breakGlassGroups: ['system:masters'], rules: {argocd-secret/signing-key-changed: warn}",
    );
    let argocd = Argocd::new(&guard, "glass-argocd");
    let used = argocd.token();
    warned_of(argocd.list(&[&used]), &[]);
    runtime(&guard, "glass-runtime", &used);
    let allow = json!({"metadata": {"annotations": {
        "keyguard.dev/allow": "argocd-secret/token-revoked: it has leaked",
    }}});
    let revoke = merged(&json!({"stringData": list(&[])}), &allow);
    refused_by(argocd.patch(ALICE, &revoke), REVOKED);
    let other_key = json!({"server.secretkey": random_text()});
    let dry = merged(&json!({"stringData": other_key}), &json!({}));
    let patch = format!("--patch={dry}");
    let arguments = [
        "patch",
        "secret/argocd-secret",
        "--type=merge",
        "--dry-run=server",
        &patch,
    ];
    warned_of(argocd.scene.alice().run(arguments), KEY);
    warned_of(argocd.patch(ADMIN, &revoke), REVOKED);
    let decisions = guard.decisions(&argocd.scene);
    let broken: Vec<_> = decisions
        .iter()
        .filter(|line| line["decision"] == "break-glass")
        .collect();
    assert_eq!(broken.len(), 1, "{decisions:?}");
    assert_eq!(broken[0]["webhook"], "argocd-secret");
    assert!(
        broken[0]["reason"]
            .as_str()
            .expect("a reason")
            .contains("it has leaked")
    );
}

#[test]
fn without_the_right_to_look_on_error_decides_and_over_the_bound_there_is_a_warning() {
    let revoke = json!({"admin.tokens": "[]"});
    for (config, refused) in [
        ("guard: {argocdSecret: true}", true),
        ("{guard: {argocdSecret: true}, onError: allow}", false),
    ] {
        let blind = in_use::failing(config);
        let argocd = Argocd::new(&blind, "blind-argocd");
        let used = argocd.token();
        warned_of(argocd.list(&[&used]), &[]);
        if refused {
            let text = refused_by(argocd.put(&revoke), UNKNOWN);
            assert!(text.contains("may not list"), "{text}");
        } else {
            warned_of(argocd.put(&revoke), UNKNOWN);
        }
    }
    let bound = in_use::guard("{guard: {argocdSecret: true}, limits: {maxWorkloads: 1}}");
    let argocd = Argocd::new(&bound, "bound-argocd");
    let used = argocd.token();
    warned_of(argocd.list(&[&used]), &[]);
    for prefix in ["bound-one", "bound-two"] {
        runtime(&bound, prefix, &argocd.token());
    }
    let finished = warned_of(argocd.put(&revoke), UNKNOWN);
    assert!(
        finished.stderr.contains("limits.maxWorkloads"),
        "{}",
        finished.stderr
    );
}
