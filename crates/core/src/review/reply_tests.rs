use super::*;
use crate::policy::break_glass::BreakGlass;
use crate::policy::rules::Modes;
use crate::policy::subject::{Case, Operation, Subject};
use crate::policy::verdict::{Passage, Severity};
use crate::review::request::Webhook;
use crate::review::secret::SecretChange;
use crate::review::tool::{Tool, UsedCredential};
use serde_json::{Value, json};

fn request() -> Request {
    Request {
        api_version: "v1".to_owned(),
        credential: UsedCredential::default(),
        tool: Tool::default(),
        uid: "u-1".to_owned(),
        kind: "ConfigMap".to_owned(),
        name: "argocd-cm".to_owned(),
        webhook: Webhook::ArgocdCm,
        case: Case {
            operation: Operation::Update,
            user: "alice".to_owned(),
            groups: Vec::new(),
            allow: None,
            for_the_record: false,
            dry_run: false,
            controller: None,
            namespace: "argocd".to_owned(),
            being_deleted: false,
            subject: Subject::NotGuarded,
        },
        secret: SecretChange::default(),
    }
}

fn finding(rule: Rule, severity: Severity, what: &str) -> Finding {
    Finding {
        rule,
        severity,
        fields: vec!["data[\"a\"]".to_owned(), "data[\"b\"]".to_owned()],
        what: what.to_owned(),
        mend: "Mend it.".to_owned(),
    }
}

fn reply(findings: Vec<Finding>) -> Value {
    let verdict = Verdict::of(findings, &Modes::default());
    serde_json::from_slice(&encode(&request(), &verdict, "record-1")).unwrap()
}

#[test]
fn an_allow_is_short_and_annotated() {
    let verdict = Verdict::passed(Passage::NotGuarded);
    let bytes = encode(&request(), &verdict, "record-1");
    assert!(bytes.len() < 200, "{}", bytes.len());
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        value,
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {
            "uid": "u-1", "allowed": true, "auditAnnotations": {"record": "record-1", "decision": "allow", "rules": "none"}}})
    );
}

#[test]
fn a_refusal_has_code_reason_every_message_and_a_cause_for_every_field() {
    let response = &reply(vec![
        finding(Rule::ApiKeyRemoved, Severity::Refusal, "first"),
        finding(Rule::ApiKeyMissing, Severity::Warning, "second"),
        finding(Rule::LoginRemoved, Severity::Refusal, "third"),
    ])["response"];
    assert_eq!(response["allowed"], false);
    let status = &response["status"];
    assert_eq!(
        (&status["code"], &status["reason"]),
        (&json!(403), &json!("Forbidden"))
    );
    let message = status["message"].as_str().unwrap();
    assert!(
        message.starts_with("first: ") && message.contains("third: "),
        "{message}"
    );
    assert!(!message.contains("second"), "{message}");
    assert_eq!(
        status["details"]["causes"],
        json!([
            {"reason": "accounts/api-key-removed", "message": "first", "field": "data[\"a\"]"},
            {"reason": "accounts/login-removed", "message": "third", "field": "data[\"a\"]"},
            {"reason": "accounts/api-key-removed", "message": "first", "field": "data[\"b\"]"},
            {"reason": "accounts/login-removed", "message": "third", "field": "data[\"b\"]"},
        ])
    );
    assert_eq!(
        response["warnings"],
        json!(["second. Mend it. [accounts/api-key-missing]"])
    );
    assert_eq!(
        response["auditAnnotations"],
        json!({"record": "record-1", "decision": "deny", "rules": "accounts/api-key-removed,accounts/login-removed,accounts/api-key-missing"})
    );
}

#[test]
fn no_rule_is_lost_behind_the_many_places_of_another() {
    let mut everywhere = finding(Rule::SecretMissing, Severity::Refusal, "first");
    everywhere.fields = (0..300).map(|index| format!("env[{index}]")).collect();
    let last = finding(Rule::ValueMalformed, Severity::Refusal, "last");
    let status = &reply(vec![everywhere, last])["response"]["status"];
    let causes = status["details"]["causes"].as_array().unwrap();
    assert_eq!(causes.len(), CAUSES);
    assert_eq!(causes[1]["reason"], "credentials/value-malformed");
    let message = status["message"].as_str().unwrap();
    assert!(
        message.contains("[credentials/value-malformed]"),
        "{message}"
    );
    assert!(message.ends_with("; 100 of 302 places are in status.details.causes"));
}

#[test]
fn names_of_any_length_make_no_long_answer() {
    let mut request = request();
    request.name = "n".repeat(1_000_000);
    let long = "ä".repeat(500_000);
    let findings = vec![finding(Rule::ValueMalformed, Severity::Refusal, &long)];
    let verdict = Verdict::of(findings, &Modes::default());
    let bytes = encode(&request, &verdict, "record-1");
    assert!(bytes.len() < 8192, "{}", bytes.len());
}

#[test]
fn a_broken_glass_is_told_to_the_user_who_broke_it_and_to_the_audit_log() {
    let findings = || {
        vec![
            finding(Rule::ApiKeyRemoved, Severity::Refusal, "first"),
            finding(Rule::LoginRemoved, Severity::Refusal, "second"),
        ]
    };
    let reply = |annotation| {
        let verdict = Verdict::of(findings(), &Modes::default());
        let verdict = verdict.under(&BreakGlass::read(annotation, true));
        serde_json::from_slice::<Value>(&encode(&request(), &verdict, "record-1")).unwrap()["response"].clone()
    };
    let both = "accounts/api-key-removed: leaked; accounts/login-removed: leaked";
    let broken = reply(both);
    assert_eq!(
        (&broken["allowed"], &broken["status"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(
        broken["warnings"],
        json!([
            "let through by keyguard.dev/allow: first [accounts/api-key-removed]",
            "let through by keyguard.dev/allow: second [accounts/login-removed]",
        ])
    );
    assert_eq!(
        broken["auditAnnotations"],
        json!({"record": "record-1", "decision": "break-glass", "rules": "accounts/api-key-removed,accounts/login-removed", "reason": both})
    );
    let refused = reply("accounts/api-key-removed: leaked; accounts/login-removed");
    assert_eq!(refused["allowed"], false);
    let message = refused["status"]["message"].as_str().unwrap();
    assert!(!message.contains("first"), "{message}");
    assert!(
        message.ends_with(
            "the annotation keyguard.dev/allow gives no reason for accounts/login-removed"
        ),
        "{message}"
    );
}

#[test]
fn warnings_are_short_whole_characters_different_and_end_in_their_rule() {
    let long = "ä".repeat(400);
    let response = &reply(vec![
        finding(Rule::ValueMalformed, Severity::Warning, &long),
        finding(Rule::ValueMalformed, Severity::Warning, &long),
        finding(Rule::ValueMalformed, Severity::Warning, "short"),
    ])["response"];
    let warnings = response["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 2);
    for warning in warnings {
        let warning = warning.as_str().unwrap();
        assert!(
            warning.len() < 256 && warning.ends_with(" [credentials/value-malformed]"),
            "{warning}"
        );
    }
}

#[test]
fn however_much_is_wrong_the_answer_stays_bounded() {
    let many = |severity| {
        (0..2000)
            .map(|index| finding(Rule::ValueMalformed, severity, &format!("finding {index}")))
            .collect::<Vec<_>>()
    };
    let refused = reply(many(Severity::Refusal));
    let message = refused["response"]["status"]["message"].as_str().unwrap();
    assert!(
        message.len() < MESSAGE_BYTES + 200
            && message.contains("more, see status.details.causes")
            && message.ends_with("; 100 of 4000 places are in status.details.causes"),
        "{message}"
    );
    assert_eq!(
        refused["response"]["status"]["details"]["causes"]
            .as_array()
            .unwrap()
            .len(),
        CAUSES
    );
    let warned = reply(many(Severity::Warning));
    let warnings = warned["response"]["warnings"].as_array().unwrap();
    assert!(
        warnings
            .iter()
            .map(|warning| warning.as_str().unwrap().len())
            .sum::<usize>()
            <= WARNINGS_BYTES
    );
}
