use serde_json::{Value, json};

use super::*;
use crate::document::testing::node;
use CheckRule::*;
use CheckSeverity::*;

/// What is expected of values: the rule, how bad it is, and the path.
pub(super) type Expected<'a> = &'a [(CheckRule, CheckSeverity, &'a str)];

pub(super) fn assert_found(values: &Value, version: &str, expected: Expected<'_>) {
    let findings = judge(&node(values), &ChartVersion::parse(version));
    let mut found: Vec<_> = findings
        .iter()
        .map(|it| (it.rule, it.severity, it.path.as_str()))
        .collect();
    let mut expected = expected.to_vec();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "{version} {values}");
    for finding in &findings {
        assert!(
            !finding.what.ends_with('.') && finding.mend.ends_with('.'),
            "{finding:?}"
        );
        assert!(finding.at.line > 0);
    }
}

/// `value` at the end of a path.
pub(super) fn nested(path: &str, value: &Value) -> Value {
    let keys = path.rsplit('.');
    keys.fold(value.clone(), |value, key| json!({ key: value }))
}

pub(super) fn with_external(mut values: Value) -> Value {
    values["argo-cd"] = json!({"enabled": false});
    values
}

pub(super) const NEW: &str = "global.integrations.argo-cd.server.auth";
pub(super) const OLD: &str = "global.external-argo-cd.auth";
const DEAD: &str = "global.external-arg-cd.auth";

pub(super) fn good() -> Value {
    json!({"type": "token", "tokenSecretKeyRef": {"name": "s", "key": "token"}})
}

#[test]
fn a_path_is_read_by_its_versions_only() {
    let table: [(&str, &str, Option<CheckSeverity>); 22] = [
        (NEW, "0.30.0", None),
        (NEW, "0.26.0", None),
        (NEW, "0.30.x", None),
        (NEW, "0.25.2", Some(Error)),
        (NEW, "0.18.0", Some(Error)),
        (NEW, "0.17.1", Some(Error)),
        (NEW, "~0.25.0", Some(Error)),
        (NEW, ">=0.25.0", Some(Note)),
        (NEW, "", Some(Note)),
        (OLD, "0.18.0", None),
        (OLD, "0.24.3", None),
        (OLD, "0.25.2", None),
        (OLD, "0.24.x", None),
        (OLD, "0.26.0", Some(Error)),
        (OLD, "0.30.0", Some(Error)),
        (OLD, "0.17.1", Some(Error)),
        (OLD, ">=0.25.0", Some(Warning)),
        (OLD, "", Some(Warning)),
        (DEAD, "0.18.0", Some(Error)),
        (DEAD, "0.25.2", Some(Error)),
        (DEAD, "0.30.0", Some(Error)),
        (DEAD, "", Some(Error)),
    ];
    for (path, version, severity) in table {
        let values = with_external(nested(path, &good()));
        let expected: Vec<_> = severity
            .map(|it| (PathNotRead, it, path))
            .into_iter()
            .collect();
        assert_found(&values, version, &expected);
    }
}

#[test]
fn the_path_that_is_read_is_named() {
    let table = [
        (
            OLD,
            "0.30.0",
            "Move it to global.integrations.argo-cd.server.auth.",
        ),
        (NEW, "0.25.2", "Move it to global.external-argo-cd.auth."),
        (DEAD, "0.25.2", "Move it to global.external-argo-cd.auth."),
        (
            DEAD,
            "",
            "Move it to global.integrations.argo-cd.server.auth for 0.26.0 and later, to global.external-argo-cd.auth for 0.18.0 to 0.25.2.",
        ),
    ];
    for (path, version, mend) in table {
        let values = with_external(nested(path, &good()));
        let findings = judge(&node(&values), &ChartVersion::parse(version));
        assert_eq!(findings[0].mend, mend, "{path} {version}");
    }
    let values = with_external(nested(OLD, &good()));
    let both = &judge(&node(&values), &ChartVersion::Unknown)[0].what;
    assert!(
        both.contains("0.26.0 and later") && both.contains("0.18.0 to 0.25.2"),
        "{both}"
    );
}

#[test]
fn a_dead_path_beside_the_live_one_is_only_in_the_way() {
    let mut values = with_external(nested(OLD, &good()));
    values["global"]["integrations"] = json!({"argo-cd": {"server": {"auth": good()}}});
    assert_found(&values, "0.30.0", &[(PathNotRead, Warning, OLD)]);
    assert_found(&values, "0.25.2", &[(PathNotRead, Warning, NEW)]);
    let note = |path| (PathNotRead, Note, path);
    assert_found(&values, "", &[note(OLD), note(NEW)]);
}

#[test]
fn the_address_of_argo_cd_at_a_dead_path_is_told_too() {
    let values = with_external(nested(
        "global.external-argo-cd.server.svc",
        &json!("argocd"),
    ));
    assert_found(&values, "0.25.2", &[]);
    assert_found(&values, "", &[]);
    let expected = (PathNotRead, Warning, "global.external-argo-cd");
    assert_found(&values, "0.30.0", &[expected]);
}

#[test]
fn the_user_name_in_a_secret_went_with_0_24_4() {
    let auth = json!({"usernameSecretKeyRef": {"name": "s", "key": "k"}});
    let values = with_external(nested(OLD, &auth));
    let path = &format!("{OLD}.usernameSecretKeyRef");
    assert_found(&values, "0.24.3", &[]);
    assert_found(&values, "0.24.4", &[(PathNotRead, Error, path)]);
    assert_found(&values, "0.24.x", &[(PathNotRead, Warning, path)]);
}

#[test]
fn maps_of_variables_are_read_by_their_versions_only() {
    let variable = json!({"ARGO_CD_TOKEN_SECRET_NAME": "s"});
    let table = [
        ("argo-gateway.env", "0.25.2", Some(Error)),
        ("argo-gateway.env", "0.26.0", None),
        (
            "event-reporters.cluster-event-reporter.env",
            "0.25.2",
            Some(Error),
        ),
        ("event-reporters.runtime-event-reporter.env", "0.30.0", None),
        (
            "cf-argocd-extras.sourcesServer.container.env",
            "0.25.2",
            None,
        ),
        (
            "cf-argocd-extras.sourcesServer.container.env",
            "0.26.0",
            Some(Error),
        ),
        (
            "cf-argocd-extras.eventReporter.container.env",
            "0.26.0",
            Some(Error),
        ),
        (
            "cf-argocd-extras.eventReporter.container.env",
            "",
            Some(Warning),
        ),
        ("app-proxy.env", "0.18.0", None),
        ("gitops-operator.env", "0.30.0", None),
    ];
    for (path, version, severity) in table {
        let expected: Vec<_> = severity
            .map(|it| (PathNotRead, it, path))
            .into_iter()
            .collect();
        assert_found(&nested(path, &variable), version, &expected);
    }
    let plain = nested("app-proxy.env.ARGO_CD_TOKEN", &json!("a.b.c"));
    let expected = (PlainCredential, Warning, "app-proxy.env.ARGO_CD_TOKEN");
    assert_found(&plain, "0.30.0", &[expected]);
}

#[test]
fn before_0_26_0_settings_need_an_external_argo_cd() {
    let values = nested(OLD, &good());
    assert_found(&values, "0.25.2", &[(PathNotRead, Note, OLD)]);
    let mut built_in = values;
    built_in["argo-cd"] = json!({"enabled": true});
    assert_found(&built_in, "0.25.2", &[(PathNotRead, Warning, OLD)]);
}
