use self::world::{HASH, World, token};
use super::*;
use crate::admission::admit::tests::{BOUND, nowhere};
use crate::admission::decided::Decided;
use crate::admission::searches::Searches;
use crate::telemetry::metrics::Metrics;
use keyguard_core::policy::credentials::OnError;
use keyguard_core::policy::decide::Policy;
use keyguard_core::policy::rules::Rule;
use keyguard_core::policy::verdict::{Decision, Verdict};
use keyguard_core::review::request::Request;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

#[path = "decided_tests.rs"]
mod decided;
#[path = "verification_world.rs"]
mod world;

fn from(variable: &str, key: &str) -> Value {
    json!({"name": variable, "valueFrom": {"secretKeyRef": {"name": "s", "key": key}}})
}

fn by_token() -> Value {
    json!([from("ARGO_CD_TOKEN", "token")])
}

/// As the chart has it in password mode.
fn by_password() -> Value {
    let user = json!({"configMapKeyRef": {"name": "cap-app-proxy-cm", "key": "argoCdUsername"}});
    json!([from("ARGO_CD_PASSWORD", "password"), {"name": "ARGO_CD_USERNAME", "valueFrom": user}])
}

struct Told {
    decision: Decision,
    rules: Vec<Rule>,
    messages: Vec<String>,
    read: Vec<String>,
}

async fn decide(world: World, env: &Value, policy: Policy) -> Told {
    let source = Arc::new(world);
    let mut admission = Admission {
        trail: None,
        policy,
        source: Arc::clone(&source),
        max_json_depth: 128,
        lookup_timeout: Duration::from_secs(10),
        reads: Semaphore::new(2),
        searches: Searches::new(source, BOUND, Arc::default()),
        passwords: Arc::default(),
        decided: None,
        metrics: Arc::new(Metrics::new()),
        log: nowhere(),
    };
    let review = review(env);
    let request = Request::decode(review.as_bytes(), 128).unwrap();
    let verdict = admission.admit(request, None).await.verdict;
    let read = admission.source.read.lock().unwrap().clone();
    admission.decided = Some(Decided::default());
    decided::remembers(&admission, &review, &verdict).await;
    Told {
        decision: verdict.decision,
        rules: verdict.rules(),
        messages: verdict
            .judged
            .iter()
            .map(|judged| judged.finding.message())
            .collect(),
        read,
    }
}

fn review(env: &Value) -> String {
    let containers = json!([{"env": env}, {"env": env}]);
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "kind": {"group": "apps", "version": "v1", "kind": "Deployment"}, "operation": "CREATE",
        "namespace": "gitops", "name": "d",
        "object": {"metadata": {"name": "d"}, "spec": {"template": {"spec": {"containers": containers}}}}}})
    .to_string()
}

fn verifying() -> Policy {
    Policy {
        argocd_namespace: Some("argocd".to_owned()),
        ..Policy::default()
    }
}

#[tokio::test]
async fn what_argo_cd_accepts_is_allowed_and_everything_else_has_its_rule() {
    let good = World::good;
    let argocd = "argocd/argocd-secret";
    let cm = "argocd/argocd-cm";
    let (token_env, password_env) = (by_token(), by_password());
    let token_of =
        |subject: &str, id: &str| good().secret("gitops/s", "token", &token(subject, id));
    let table = [
        ("a good token", good(), &token_env, None),
        (
            "another key",
            good().secret(argocd, "server.secretkey", "x"),
            &token_env,
            Some(Rule::TokenSignature),
        ),
        (
            "no such account",
            token_of("eve", "1"),
            &token_env,
            Some(Rule::AccountMissing),
        ),
        (
            "switched off",
            good().config_map(cm, "accounts.ci.enabled", "f"),
            &token_env,
            Some(Rule::CredentialAccountDisabled),
        ),
        (
            "no apiKey",
            good().config_map(cm, "accounts.ci", "login"),
            &token_env,
            Some(Rule::AccountCapability),
        ),
        (
            "revoked",
            token_of("ci", "2"),
            &token_env,
            Some(Rule::TokenRevoked),
        ),
        (
            "password changed",
            good().secret(argocd, "accounts.ci.passwordMtime", "2100-01-01T00:00:00Z"),
            &token_env,
            Some(Rule::TokenPasswordChanged),
        ),
        (
            "accounts unreadable",
            good().secret(argocd, "admin.tokens", "["),
            &token_env,
            Some(Rule::AccountsUnreadable),
        ),
        (
            "no argocd-cm",
            good().without(cm),
            &token_env,
            Some(Rule::AccountsUnreadable),
        ),
        ("a good password", good(), &password_env, None),
        (
            "a wrong one",
            good().secret("gitops/s", "password", "wrong"),
            &password_env,
            Some(Rule::PasswordWrong),
        ),
        (
            "no hash",
            good().secret(argocd, "accounts.ci.password", ""),
            &password_env,
            Some(Rule::PasswordWrong),
        ),
        (
            "a user that is not there",
            good().config_map("gitops/cap-app-proxy-cm", "argoCdUsername", "eve"),
            &password_env,
            Some(Rule::AccountMissing),
        ),
        (
            "a user name that is too long",
            good().config_map(
                "gitops/cap-app-proxy-cm",
                "argoCdUsername",
                "a-name-of-thirty-three-characters",
            ),
            &password_env,
            Some(Rule::AccountMissing),
        ),
        (
            "off",
            good().config_map(cm, "accounts.ci.enabled", "0"),
            &password_env,
            Some(Rule::CredentialAccountDisabled),
        ),
        (
            "no login",
            good().config_map(cm, "accounts.ci", "apiKey"),
            &password_env,
            Some(Rule::AccountCapability),
        ),
        (
            "no key",
            good().config_map(cm, "accounts.ci", "login"),
            &password_env,
            Some(Rule::AccountCapability),
        ),
    ];
    for (name, world, env, rule) in table {
        let told = decide(world, env, verifying()).await;
        let expected = if rule.is_some() {
            Decision::Deny
        } else {
            Decision::Allow
        };
        assert_eq!(
            (told.decision, told.rules),
            (expected, Vec::from_iter(rule)),
            "{name}: {:?}",
            told.messages
        );
        // Two containers, one finding.
        assert_eq!(told.messages.len(), usize::from(rule.is_some()), "{name}");
    }
}

#[tokio::test]
async fn what_cannot_be_told_is_a_warning_or_decided_by_on_error() {
    let untold = json!([from("ARGO_CD_PASSWORD", "password")]);
    let (token_env, password_env) = (by_token(), by_password());
    let dear = HASH.replace("$04$", "$31$");
    let warnings = [
        (
            "another cluster",
            World::good().without("argocd/argocd-secret"),
            &token_env,
            Rule::ArgocdNotFound,
        ),
        (
            "no user name",
            World::good(),
            &untold,
            Rule::PasswordAccountUntold,
        ),
        (
            "no such key",
            World::good().without("gitops/cap-app-proxy-cm"),
            &password_env,
            Rule::PasswordAccountUntold,
        ),
    ];
    for (name, world, env, rule) in warnings {
        let told = decide(world, env, verifying()).await;
        assert_eq!(
            (told.decision, told.rules),
            (Decision::Warn, vec![rule]),
            "{name}"
        );
        assert_eq!(told.messages.len(), 1, "{name}");
    }
    for on_error in [OnError::Deny, OnError::Allow] {
        let expected = match on_error {
            OnError::Deny => Decision::Deny,
            OnError::Allow => Decision::Warn,
        };
        let unread = [
            (
                "secret",
                World::good().unreadable("argocd/argocd-secret"),
                &token_env,
            ),
            (
                "config map",
                World::good().unreadable("argocd/argocd-cm"),
                &token_env,
            ),
            (
                "user name",
                World::good().unreadable("gitops/cap-app-proxy-cm"),
                &password_env,
            ),
            (
                "cost",
                World::good().secret("argocd/argocd-secret", "accounts.ci.password", &dear),
                &password_env,
            ),
        ];
        for (name, world, env) in unread {
            let policy = Policy {
                on_error,
                ..verifying()
            };
            let told = decide(world, env, policy).await;
            assert_eq!(
                (told.decision, told.rules),
                (expected, vec![Rule::ArgocdUnreadable]),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn argo_cd_is_asked_only_when_told_to_and_only_the_one_that_the_runtime_talks_to() {
    let revoked = || World::good().secret("argocd/argocd-secret", "accounts.ci.tokens", "[]");
    let told = decide(revoked(), &by_token(), Policy::default()).await;
    assert_eq!(
        (told.decision, told.read),
        (Decision::Allow, vec!["gitops/s".to_owned()])
    );
    let told = decide(revoked(), &by_token(), verifying()).await;
    assert_eq!((told.decision, told.read.len()), (Decision::Deny, 4));
    // Its own Argo CD is in its own namespace, and knows nothing of the other's.
    let own = revoked().config_map("gitops/cap-app-proxy-cm", "isExternalArgoCD", "false");
    assert_eq!(
        decide(own, &by_token(), verifying()).await.decision,
        Decision::Allow
    );
    let own = World::good()
        .config_map("gitops/cap-app-proxy-cm", "isExternalArgoCD", "false")
        .secret("gitops/argocd-secret", "server.secretkey", "x");
    let policy = Policy {
        argocd_namespace: Some("gitops".to_owned()),
        ..Policy::default()
    };
    assert_eq!(
        decide(own, &by_token(), policy).await.rules,
        [Rule::TokenSignature]
    );
}

#[tokio::test]
async fn a_token_that_an_old_chart_also_reads_as_password_is_no_password() {
    let user = json!({"name": "ARGO_CD_USERNAME", "value": "ci"});
    let env = json!([
        from("ARGO_CD_TOKEN", "token"),
        from("ARGO_CD_PASSWORD", "token"),
        user
    ]);
    let told = decide(World::good(), &env, verifying()).await;
    assert_eq!((told.decision, told.rules), (Decision::Allow, vec![]));
}

#[tokio::test]
async fn a_hint_about_a_password_that_is_right_is_none() {
    // Made by Go of "\"quoted\"" at cost 4.
    let hash = "$2a$04$ZEU.s79PjDfSlPIkLgeyt.p9l5nTy2l6XspBm7nGC4wMmB9PK9cMm";
    let world = |password| {
        World::good()
            .secret("argocd/argocd-secret", "accounts.ci.password", hash)
            .secret("gitops/s", "password", password)
    };
    let told = decide(world("\"quoted\""), &by_password(), verifying()).await;
    assert_eq!((told.decision, told.rules), (Decision::Allow, vec![]));
    let told = decide(world("\"wrong\""), &by_password(), verifying()).await;
    assert_eq!(told.rules, [Rule::ValueMalformed, Rule::PasswordWrong]);
}

#[tokio::test]
async fn what_no_argo_cd_could_accept_is_not_compared() {
    let world = World::good().secret("gitops/s", "password", "correct horse\n");
    let told = decide(world, &by_password(), verifying()).await;
    assert_eq!(told.rules, [Rule::ValueMalformed]);
}

#[tokio::test]
async fn an_account_with_an_empty_name_is_an_account() {
    let world = |tokens| {
        World::good()
            .config_map("argocd/argocd-cm", "accounts.", "apiKey")
            .secret("argocd/argocd-secret", "accounts..tokens", tokens)
            .secret("gitops/s", "token", &token("", "1"))
    };
    let told = decide(world(r#"[{"id":"1"}]"#), &by_token(), verifying()).await;
    assert_eq!((told.decision, told.rules), (Decision::Allow, vec![]));
    let told = decide(world("[]"), &by_token(), verifying()).await;
    assert_eq!(told.rules, [Rule::NotAnApiKey, Rule::TokenRevoked]);
}
