//! Charts that depend on the Runtime's, and the layers of their values.

use super::Tree;
use super::values::{NEW, TOKEN, auth, places, rules};

#[test]
fn further_files_are_laid_over_in_their_order_with_and_without_a_chart() {
    let chart = "apiVersion: v2\nname: umbrella\nversion: 1.0.0\ndependencies:\n- {name: gitops-runtime, version: 0.30.0, repository: 'oci://quay.io/codefresh'}\n";
    let values = |indent: usize, lines: &[&str]| auth(indent, &NEW, lines);
    for (indent, top, chart) in [(1, "gitops-runtime:\n", Some(chart)), (0, "", None)] {
        let base = format!("{top}{}", values(indent, &TOKEN));
        let other = ["tokenSecretKeyRef: {name: production}"];
        let production = format!("{top}{}", values(indent, &other));
        let mut files = vec![
            ("layers/base.yaml", base.as_str()),
            ("layers/production.yaml", production.as_str()),
        ];
        files.extend(chart.map(|chart| ("charts/runtime/Chart.yaml", chart)));
        let tree = Tree::of(&files);
        let (base, production) = ("layers/base.yaml", "layers/production.yaml");
        let arguments = |first, second| ["--chart-version=0.30.0", "-f", first, "--values", second];
        let both = tree.report(&arguments(base, production));
        let findings = both["findings"].as_array().unwrap();
        assert_eq!(findings.len(), 1, "{both}");
        let message = findings[0]["message"].as_str().unwrap();
        assert!(message.contains("\"production\""), "{message}");
        assert_eq!(findings[0]["file"], production);
        let reversed = tree.report(&arguments(production, base));
        let message = reversed["findings"][0]["message"].as_str().unwrap();
        assert!(message.contains("\"key\""), "{message}");
        let none = tree.run(&["-f", "gone.yaml"]);
        assert_eq!(none.code, Some(2));
        assert!(
            none.stderr.contains("gone.yaml cannot be read"),
            "{}",
            none.stderr
        );
    }
}

const UMBRELLA: &str = "apiVersion: v2\nname: umbrella\nversion: 1.0.0\ndependencies:\n- {name: gitops-runtime, version: 0.30.0, alias: rt, condition: 'rt.on,rt.enabled', tags: [runtime]}\n";

fn under(key: &str, values: &str) -> String {
    format!("{key}: {{{values}}}\n")
}

/// The settings of a token in one line.
fn token(name: &str) -> String {
    format!(
        "global: {{integrations: {{argo-cd: {{server: {{auth: {{type: token, tokenSecretKeyRef: {{name: {name}, key: token}}}}}}}}}}}}"
    )
}

#[test]
fn a_dependency_that_is_off_is_not_judged() {
    let own = token("gone");
    for (more, expected) in [
        ("", 1),
        ("rt: {enabled: false}", 0),
        ("rt: {on: true, enabled: false}", 1),
        ("rt: {on: neither, enabled: false}", 0),
        ("tags: {runtime: false}", 0),
        ("tags: {runtime: false}\nrt: {enabled: true}", 1),
    ] {
        let values = match more.split_once("rt: {") {
            Some((before, rest)) => format!("{before}rt: {{{own}, {rest}"),
            None => format!("{}{more}\n", under("rt", &own)),
        };
        let files = [
            ("Chart.yaml", UMBRELLA.to_owned()),
            ("values.yaml", values.clone()),
        ];
        assert_eq!(rules(&files, &[]).len(), expected, "{values}");
    }
}

#[test]
fn values_that_others_complete_are_not_judged_by_what_they_lack() {
    let base = under("rt", "argo-cd: {enabled: false}");
    let [dev, prod] = ["dev", "prod"].map(|name| under("rt", &token(name)));
    let secret = |name: &str| format!("codefresh/{name}:token");
    let (dev_secret, prod_secret) = (secret("dev"), secret("prod"));
    let by_hand = ["--secret", &dev_secret, "--secret", &prod_secret];
    let chart = |path| (path, UMBRELLA.to_owned());
    for files in [
        vec![chart("Chart.yaml"), ("values.yaml", base.clone()), ("values-prod.yaml", prod.clone())],
        vec![
            chart("rt/Chart.yaml"),
            ("rt/values.yaml", base.clone()),
            ("rt/env/dev.yaml", dev),
            ("rt/env/prod.yaml", prod),
        ],
        vec![
            chart("rt/Chart.yaml"),
            ("rt/values.yaml", base.clone()),
            ("all/Chart.yaml", "apiVersion: v2\nname: all\nversion: 1.0.0\ndependencies: [{name: umbrella, version: 1.0.0, repository: 'file://../rt'}]\n".to_owned()),
        ],
    ] {
        let found = rules(&files, &by_hand);
        assert!(found.is_empty(), "{files:?}: {found:?}");
    }
    let alone = [chart("Chart.yaml"), ("values.yaml", base)];
    assert_eq!(
        rules(&alone, &by_hand),
        ["error credentials/secret-missing"]
    );
}

#[test]
fn settings_of_the_other_type_that_say_nothing_are_none() {
    for lines in [
        [
            "type: token",
            "tokenSecretKeyRef: {name: key, key: token}",
            "passwordSecretKeyRef: {name: '', key: ''}",
        ],
        [
            "type: password",
            "passwordSecretKeyRef: {name: key, key: token}",
            "tokenSecretKeyRef: {name: '', key: ''}",
        ],
    ] {
        for (place, files) in places("0.30.0", &NEW, &lines) {
            let found = rules(&files, &["--secret", "codefresh/key:token"]);
            assert!(found.is_empty(), "{lines:?} in {place}: {found:?}");
        }
    }
}

#[test]
fn two_dependencies_on_the_chart_have_their_own_values() {
    let chart = "apiVersion: v2\nname: u\nversion: 1.0.0\ndependencies:\n- {name: gitops-runtime, alias: a, version: 0.30.0}\n- {name: gitops-runtime, alias: b, version: 0.30.0}\n";
    let values = format!("{}{}", under("a", &token("one")), under("b", &token("two")));
    let files = [("Chart.yaml", chart.to_owned()), ("values.yaml", values)];
    let by_hand = ["--secret", "x/one:token", "--secret", "x/two:token"];
    let found = rules(&files, &by_hand);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_account_that_the_values_name_is_the_one_that_must_stay() {
    let release = |cm: &str| {
        let auth = "global: {integrations: {argo-cd: {server: {auth: {type: password, username: cf, passwordSecretKeyRef: {name: p, key: password}}}}}}";
        let values = format!("{auth}, argo-cd: {{configs: {{cm: {{{cm}}}}}}}");
        format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: r, namespace: codefresh}}\nspec:\n  chart: {{spec: {{chart: gitops-runtime, version: 0.30.0}}}}\n  values: {{{values}}}\n"
        )
    };
    let by_hand = ["--secret", "codefresh/p:password"];
    for (cm, expected) in [
        (
            "accounts.cf: 'apiKey, login', admin.enabled: 'false'",
            vec![],
        ),
        ("accounts.cf: login", vec!["error accounts/api-key-removed"]),
    ] {
        let found = rules(&[("r.yaml", release(cm))], &by_hand);
        assert_eq!(found, expected, "{cm}");
    }
}
