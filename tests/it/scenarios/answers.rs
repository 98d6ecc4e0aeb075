//! What a refusal says: to the person, to a program, and in the records of
//! the cluster and of keyguard.

use serde_json::{Value, json};

use super::guard::{Guard, Scene};
use super::objects::{argocd_cm, container, deployment, password_from, token_from, workload};
use super::said::{refused_by, warned_of};
use super::tokens::Token;
use crate::control_plane::users::ALICE;

fn with_argocd_cm(prefix: &str) -> Scene {
    let scene = Guard::shared().scene(prefix);
    let good = argocd_cm(&json!({"accounts.admin": "apiKey, login"}));
    warned_of(scene.send(["create"], &good), &[]);
    scene
}

#[test]
fn a_refused_patch_reads_what_where_why_and_how() {
    let scene = with_argocd_cm("sentence");
    let patch = r#"--patch={"data":{"accounts.admin":"login"}}"#;
    let arguments = ["patch", "configmap", "argocd-cm", "--type=merge", patch];
    let namespace = &scene.namespace;
    assert_eq!(
        scene.alice().run(arguments).expect_refused(),
        [
            r#"Error from server (Forbidden): admission webhook "argocd-cm.keyguard.dev" denied the request: "#,
            &format!(r#"account "admin" in namespace "{namespace}" loses apiKey "#),
            r#"(data["accounts.admin"]: "apiKey, login" → "login"): "#,
            "the GitOps Runtime authenticates with an API key of this account and would stop at once. ",
            r#"Keep apiKey in data["accounts.admin"]. "#,
            "When no GitOps Runtime uses this Argo CD, or its Runtime is removed, ",
            &format!("list {namespace:?} in exemptNamespaces of keyguard's configuration. "),
            "[accounts/api-key-removed]\n",
        ]
        .concat()
    );
}

#[test]
fn a_refused_deployment_reads_what_where_why_and_how() {
    let scene = Guard::shared().scene("sentences");
    let refusal = scene
        .send(
            ["create"],
            &deployment("app", vec![token_from("absent", "key")]),
        )
        .expect_refused();
    let namespace = &scene.namespace;
    let told = [
        r#"admission webhook "workloads.keyguard.dev" denied the request: "#.to_owned(),
        format!(r#"Secret "absent" does not exist in namespace "{namespace}""#),
        "(spec.template.spec.containers[0].env[0]: ARGO_CD_TOKEN): ".to_owned(),
        "the GitOps Runtime reads its Argo CD credential from it".to_owned(),
        format!(
            "kubectl create secret generic absent -n {namespace} --from-literal=key='<API key>'"
        ),
        r#"put that into an earlier sync wave (annotation argocd.argoproj.io/sync-wave: "-1")"#
            .to_owned(),
        "[credentials/secret-missing]\n".to_owned(),
    ];
    for part in told {
        assert!(refusal.contains(&part), "{part}: {refusal}");
    }
}

#[test]
fn the_status_of_a_refusal_has_a_cause_with_rule_and_field_for_everything_that_is_wrong() {
    let scene = with_argocd_cm("status");
    let ask = |line: &str, media_type: &str, body: &Value| -> Value {
        let line = line.replace("NAMESPACE", &scene.namespace);
        let answer = scene.plane.ask(ALICE, &line, media_type, &body.to_string());
        assert_eq!(answer.status, 403, "{}", answer.body);
        let status: Value = serde_json::from_str(&answer.body).expect("the API server says JSON");
        assert_eq!(status["code"], 403);
        assert_eq!(status["reason"], "Forbidden");
        status["details"].clone()
    };
    let details = ask(
        "PATCH /api/v1/namespaces/NAMESPACE/configmaps/argocd-cm",
        "application/merge-patch+json",
        &json!({"data": {"accounts.admin": null, "accounts.bob.enabled": "?"}}),
    );
    assert_eq!(details["name"], "argocd-cm");
    let causes = details["causes"].as_array().expect("a list");
    let field = r#"data["accounts.bob.enabled"]"#;
    assert_eq!(causes.len(), 1, "{causes:#?}");
    assert_eq!(causes[0]["reason"], "accounts/unreadable");
    assert_eq!(causes[0]["field"], field);

    let expired = Token::api_key("admin").claim("exp", 1_700_000_001).text();
    let broken = [
        super::objects::secret("quoted", "token", format!("\"{expired}\"")),
        super::objects::secret("empty", "password", ""),
    ];
    scene.create(&broken).expect_no_refusal();
    let pod = json!({
        "initContainers": [container("init", vec![password_from("empty", "password")])],
        "containers": [
            container("one", vec![token_from("absent", "token")]),
            container("two", vec![
                json!({"name": "OTHER", "value": "x"}),
                token_from("quoted", "token"),
                password_from("empty", "pass"),
            ]),
        ],
    });
    let details = ask(
        "POST /apis/apps/v1/namespaces/NAMESPACE/deployments",
        "application/json",
        &workload("Deployment", "app", &pod),
    );
    let causes = details["causes"].as_array().expect("a list").iter();
    let causes: Vec<_> = causes
        .map(|cause| [&cause["reason"], &cause["field"]].map(|text| text.as_str().unwrap()))
        .collect();
    let env =
        |container: &str, index: usize| format!("spec.template.spec.{container}.env[{index}]");
    let expected = [
        ("credentials/value-malformed", env("initContainers[0]", 0)),
        ("credentials/secret-missing", env("containers[0]", 0)),
        ("credentials/value-malformed", env("containers[1]", 1)),
        ("credentials/token-expires", env("containers[1]", 1)),
        ("credentials/key-missing", env("containers[1]", 2)),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(rule, field)| [*rule, field.as_str()])
        .collect();
    assert_eq!(causes, expected);
}

#[test]
fn the_clusters_own_audit_log_tells_every_decision() {
    let scene = with_argocd_cm("audited");
    let patch = |patch| {
        let patch = format!("--patch={patch}");
        scene
            .alice()
            .run(["patch", "configmap", "argocd-cm", "--type=merge", &patch])
    };
    refused_by(
        patch(r#"{"data":{"accounts.admin":"x","admin.enabled":"0"}}"#),
        &["accounts/account-disabled", "accounts/api-key-removed"],
    );
    let denied = scene.plane.audit_event("the refusal", |event| {
        event["objectRef"]["namespace"] == scene.namespace && event["verb"] == "patch"
    });
    assert_eq!(denied["responseStatus"]["code"], 403);
    let annotations = &denied["annotations"];
    assert_eq!(annotations["argocd-cm.keyguard.dev/decision"], "deny");
    assert_eq!(
        annotations["argocd-cm.keyguard.dev/rules"],
        "accounts/api-key-removed,accounts/account-disabled"
    );

    let created = scene.plane.audit_event("the creation", |event| {
        let object = &event["objectRef"];
        object["namespace"] == scene.namespace
            && object["resource"] == "configmaps"
            && event["verb"] == "create"
    });
    let annotations = &created["annotations"];
    assert_eq!(annotations["argocd-cm.keyguard.dev/decision"], "allow");
    assert_eq!(annotations["argocd-cm.keyguard.dev/rules"], "none");

    let waiting = deployment("app", vec![token_from("argocd-token", "token")]);
    let warned = &["credentials/secret-not-yet-made"];
    warned_of(scene.send(["create"], &waiting), warned);
    let created = scene.plane.audit_event("the Deployment", |event| {
        let object = &event["objectRef"];
        object["namespace"] == scene.namespace && object["resource"] == "deployments"
    });
    let annotations = &created["annotations"];
    assert_eq!(annotations["workloads.keyguard.dev/decision"], "warn");
    assert_eq!(annotations["workloads.keyguard.dev/rules"], warned[0]);
}
