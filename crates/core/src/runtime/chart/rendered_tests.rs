//! References and accounts held to what the chart itself renders.

use serde_json::{Value, json};

use super::account::{AccountInUse, account};
use super::references::{ChartReference, SecretMaker};
use super::rendering::references;
use super::version::{ChartVersion, Generation};
use crate::document::testing::node;

/// What `helm template` made of the modes, in two versions.
const RENDERED: &str = include_str!("../../../../../tests/fixtures/runtime-chart.json");

/// The values of each mode in the fixture.
fn values_of(mode: &str) -> Value {
    let auth = match mode {
        "builtin" => return json!({}),
        "token-ref" => {
            json!({"type": "token", "tokenSecretKeyRef": {"name": "my-argocd-secret", "key": "my-token"}})
        }
        "token-plain" => json!({"type": "token", "token": "a.b.c"}),
        "password-ref" => {
            json!({"username": "gitops", "passwordSecretKeyRef": {"name": "my-password", "key": "pw"}})
        }
        "password-plain" => json!({"password": "plain"}),
        "password-default" => json!({"type": "password"}),
        other => panic!("{other}"),
    };
    json!({
        "argo-cd": {"enabled": false},
        "global": {"integrations": {"argo-cd": {"server": {"auth": auth}}}},
    })
}

/// The Secret and key of each workload in a rendering, by its name.
fn rendered(objects: &[Value]) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for object in objects.iter().filter(|it| it["kind"] == "Deployment") {
        let name = object["name"].as_str().unwrap().to_owned();
        for container in object["containers"].as_array().unwrap() {
            let variables = container["env"].as_array().unwrap();
            let find = |wanted: &str| variables.iter().find(|it| it["name"] == wanted);
            for variable in ["ARGO_CD_TOKEN", "ARGO_CD_PASSWORD"] {
                if let Some(variable) = find(variable) {
                    let source = &variable["valueFrom"]["secretKeyRef"];
                    let text = |key: &str| source[key].as_str().unwrap().to_owned();
                    found.push((name.clone(), text("name"), text("key")));
                }
            }
            if let Some(secret) = find("ARGO_CD_TOKEN_SECRET_NAME") {
                let key = find("ARGO_CD_TOKEN_SECRET_KEY").unwrap();
                let text = |it: &Value| it["value"].as_str().unwrap().to_owned();
                found.push((name.clone(), text(secret), text(key)));
            }
        }
    }
    found.sort();
    found
}

fn told(references: &[ChartReference]) -> Vec<(String, String, String)> {
    let mut told: Vec<_> = references
        .iter()
        .map(|it| {
            let name = it.component.name().to_owned();
            (
                name,
                it.secret.as_str().to_owned(),
                it.key.as_str().to_owned(),
            )
        })
        .collect();
    told.sort();
    told
}

#[test]
fn references_are_those_that_the_chart_renders() {
    let renderings: Vec<Value> = serde_json::from_str(RENDERED).unwrap();
    assert_eq!(renderings.len(), 12);
    for rendering in renderings {
        let mode = rendering["mode"].as_str().unwrap();
        let version = ChartVersion::parse(rendering["chart"].as_str().unwrap());
        let values = node(&values_of(mode));
        let references = references(&values, &version);
        let objects = rendering["objects"].as_array().unwrap();
        assert_eq!(told(&references), rendered(objects), "{version} {mode}");

        let user = objects
            .iter()
            .find(|it| it["name"] == "cap-app-proxy-cm")
            .and_then(|it| it["data"]["argoCdUsername"].as_str());
        let account = match account(&values, Generation::Integrations) {
            AccountInUse::Named(name, _) => Some(name.as_str().to_owned()),
            _ => None,
        };
        assert_eq!(account.as_deref(), user, "{version} {mode}");

        // The chart makes those Secrets that it renders, and no others.
        let made = |it: &ChartReference| {
            objects
                .iter()
                .any(|object| object["kind"] == "Secret" && object["name"] == it.secret.as_str())
        };
        for reference in &references {
            let by_chart = reference.maker == SecretMaker::Chart;
            assert_eq!(made(reference), by_chart, "{version} {mode} {reference:?}");
        }
    }
}

fn makers(values: &Value, version: &str) -> Vec<(&'static str, String, SecretMaker)> {
    let found = references(&node(values), &ChartVersion::parse(version));
    let told = |it: ChartReference| {
        let secret = format!("{}:{}", it.secret.as_str(), it.key.as_str());
        (it.component.name(), secret, it.maker)
    };
    found.into_iter().take(2).map(told).collect()
}

#[test]
fn who_makes_a_secret_depends_on_the_mode() {
    use SecretMaker::*;
    let initial = "argocd-initial-admin-secret:password";
    let own = "argocd-token:token";
    let new = |auth: Value| json!({"argo-cd": {"enabled": false}, "global": {"integrations": {"argo-cd": {"server": {"auth": auth}}}}});
    let old = |auth: Value| json!({"argo-cd": {"enabled": false}, "global": {"external-argo-cd": {"auth": auth}}});
    let token =
        json!({"type": "token", "tokenSecretKeyRef": {"name": "argocd-token", "key": "token"}});
    let both = json!({"password": "p", "passwordSecretKeyRef": {"name": "s", "key": "k"}});
    let operator = "gitops-operator";
    let proxy = "cap-app-proxy";
    let table: [(Value, &str, [(&str, &str, SecretMaker); 2]); 12] = [
        (
            json!({}),
            "0.30.0",
            [(proxy, initial, ArgoCd), (operator, own, AppProxy)],
        ),
        (
            json!({}),
            "0.17.0",
            [(proxy, initial, ArgoCd), (operator, own, AppProxy)],
        ),
        (
            new(json!({"type": "password"})),
            "0.30.0",
            [(proxy, initial, Person), (operator, own, AppProxy)],
        ),
        (
            new(token.clone()),
            "0.30.0",
            [(proxy, own, Person), (operator, own, Person)],
        ),
        (
            old(token.clone()),
            "0.25.2",
            [(proxy, own, Person), (operator, own, Person)],
        ),
        // A dead path leaves the default.
        (
            old(token.clone()),
            "0.26.0",
            [(proxy, initial, Person), (operator, own, AppProxy)],
        ),
        (
            new(token.clone()),
            "0.25.2",
            [(proxy, initial, Person), (operator, own, AppProxy)],
        ),
        // Where the version is not known, what is written counts.
        (
            old(token.clone()),
            "",
            [(proxy, own, Person), (operator, own, Person)],
        ),
        (
            new(token),
            "*",
            [(proxy, own, Person), (operator, own, Person)],
        ),
        // Plain before the reference, except in App Proxy up to 0.24.3.
        (
            new(both.clone()),
            "0.30.0",
            [
                (proxy, "gitops-runtime-argo-cd-password:token", Chart),
                (operator, own, AppProxy),
            ],
        ),
        (
            old(both.clone()),
            "0.24.4",
            [
                (proxy, "gitops-runtime-argo-cd-password:token", Chart),
                (operator, own, AppProxy),
            ],
        ),
        (
            old(both),
            "0.24.3",
            [(proxy, "s:k", Person), (operator, own, AppProxy)],
        ),
    ];
    for (values, version, expected) in table {
        let expected = expected.map(|(name, secret, maker)| (name, secret.to_owned(), maker));
        assert_eq!(makers(&values, version), expected, "{version} {values}");
    }
}

#[test]
fn overridden_variables_count() {
    let values = json!({
        "app-proxy": {"env": {"ARGO_CD_PASSWORD": {"valueFrom": {"secretKeyRef": {"name": "mine"}}}}},
        "gitops-operator": {"env": {"ARGO_CD_TOKEN_SECRET_NAME": "other"}},
    });
    use SecretMaker::Person;
    let expected = [
        ("cap-app-proxy", "mine:password".to_owned(), Person),
        ("gitops-operator", "other:token".to_owned(), Person),
    ];
    assert_eq!(makers(&values, "0.30.0"), expected);
    // What is filled in later is not told.
    let filled_in = json!({"argo-cd": {"enabled": false}, "global": {"integrations": {"argo-cd": {"server": "{{ x }}"}}}});
    assert!(makers(&filled_in, "0.30.0").is_empty());
    let values = json!({"gitops-operator": {"env": {"ARGO_CD_TOKEN_SECRET_NAME": "{{ name }}"}}});
    let found = references(&node(&values), &ChartVersion::parse("0.30.0"));
    assert!(
        found
            .iter()
            .all(|it| it.component.name() != "gitops-operator")
    );
}

#[test]
fn the_account_is_the_one_that_is_written() {
    use AccountInUse::*;
    let named = |name: &str| Named(name.into(), None);
    let new =
        |auth: Value| json!({"global": {"integrations": {"argo-cd": {"server": {"auth": auth}}}}});
    let old = |auth: Value| json!({"argo-cd": {"enabled": false}, "global": {"external-argo-cd": {"auth": auth}}});
    let table = [
        (json!({}), Generation::Integrations, named("admin")),
        (json!({}), Generation::BuiltInOnly, named("admin")),
        (
            new(json!({"username": "gitops"})),
            Generation::Integrations,
            named("gitops"),
        ),
        (
            new(json!({"username": "gitops"})),
            Generation::External,
            named("admin"),
        ),
        (
            old(json!({"username": "gitops"})),
            Generation::External,
            named("gitops"),
        ),
        (
            old(json!({"usernameSecretKeyRef": {"name": "a", "key": "b"}})),
            Generation::ReferenceFirst,
            Untold,
        ),
        (
            old(json!({"usernameSecretKeyRef": {"name": "a", "key": "b"}})),
            Generation::External,
            named("admin"),
        ),
        (
            new(json!({"type": "token", "token": "x"})),
            Generation::Integrations,
            OfToken,
        ),
        (
            new(json!({"type": "{{ x }}"})),
            Generation::Integrations,
            Untold,
        ),
        (
            new(json!({"username": "{{ x }}"})),
            Generation::Integrations,
            Untold,
        ),
        (
            json!({"app-proxy": {"config": {"argoCdUsername": "a"}}}),
            Generation::Integrations,
            named("a"),
        ),
    ];
    for (values, generation, expected) in table {
        let mut found = account(&node(&values), generation);
        if let Named(_, at) = &mut found {
            *at = None;
        }
        assert_eq!(found, expected, "{generation:?} {values}");
    }
}
