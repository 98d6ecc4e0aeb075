//! No finding, and nothing that is printed for debugging, has a plain credential in it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{beside_dependency, judge};
use crate::document::testing::node;
use crate::runtime::chart::rendering::references;
use crate::runtime::chart::version::ChartVersion;

fn paths() -> Vec<&'static str> {
    vec![
        "global.integrations.argo-cd.server.auth.token",
        "global.integrations.argo-cd.server.auth.password",
        "global.external-argo-cd.auth.token",
        "global.external-argo-cd.auth.password",
        "global.external-arg-cd.auth.password",
        "global.integrations.argo-cd.server.token",
        "global.integrations.argo-cd.server.auth.type",
        "global.integrations.argo-cd.server.auth.tokenSecretKeyRef",
        "global.integrations.argo-cd.auth.token",
        "global.external-argo-cd.password",
        "app-proxy.env.ARGO_CD_TOKEN",
        "app-proxy.env.ARGO_CD_PASSWORD",
        "gitops-runtime.global.integrations.argo-cd.server.auth.token",
        "integrations.argo-cd.server.auth.password",
    ]
}

fn merged(into: &mut Value, path: &str, value: Value) {
    let mut place = into;
    for key in path.split('.') {
        if !place[key].is_object() && !place[key].is_null() {
            return;
        }
        place = &mut place[key];
    }
    *place = value;
}

proptest! {
    #[test]
    fn nothing_that_is_told_has_a_credential_in_it(
        // Letters that are in no message, so that a part of one is found too.
        secret in "[ÀÈÌÒÙ]{3,9}",
        around in prop::sample::select(vec!["", " #", ": ", "'", "{{", "\n", "~"]),
        places in prop::sample::subsequence(paths(), 1..6),
        version in prop::sample::select(vec!["0.17.0", "0.24.3", "0.25.2", "0.30.0", "*", ""]),
        token in any::<bool>(),
    ) {
        let text = format!("{secret}{around}{secret}");
        let mut values = json!({});
        for path in places {
            merged(&mut values, path, json!(text));
        }
        if token {
            merged(&mut values, "global.integrations.argo-cd.server.auth.type", json!("token"));
        }
        let values = node(&values);
        let version = ChartVersion::parse(version);
        let told = format!(
            "{values:?} {:?} {:?} {:?}",
            judge(&values, &version),
            beside_dependency(&values, "runtime"),
            references(&values, &version),
        );
        prop_assert!(!told.contains(&secret), "{told}");
    }
}
