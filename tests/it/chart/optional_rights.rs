//! The rights that a setting brings along are those that the document has.

use serde_json::{Value, json};

use super::rendered::{object, render};
use crate::scenarios::in_use::documented_role;

#[test]
fn what_is_guarded_besides_brings_the_rights_that_the_document_has() {
    let documented = documented_role();
    let documented = documented["rules"].as_array().expect("rules");
    for values in [
        "{config: {guard: {secrets: true}}}",
        "{namespaces: [a], config: {guard: {accountsInUse: true}}}",
        "{config: {guard: {argocdSecret: true}}}",
    ] {
        let objects = render(values);
        let kind = ["ClusterRole", "Role"][usize::from(values.contains("namespaces"))];
        let role = object(&objects, kind, "keyguard");
        let rules = role["rules"].as_array().expect("rules");
        assert_eq!(rules[0]["resources"], json!(["secrets", "configmaps"]));
        assert_eq!(&rules[1..=documented.len()], documented, "{values}");
    }
}

#[test]
fn verifying_brings_the_rights_to_argo_cds_own_state_that_the_document_has() {
    let document = include_str!("../../../docs/operations.md");
    let (_, documented) = document
        .split_once("  name: keyguard-argocd\n  namespace: argocd\n")
        .expect("the document has the Role");
    let (documented, _) = documented.split_once("\n---").expect("the Role ends");
    let documented: Value = serde_saphyr::from_str(documented).expect("it is YAML");
    let named = |values: &str| -> Vec<Value> {
        let objects = render(values).into_iter();
        objects
            .filter(|object| object["metadata"]["name"] == "keyguard-argocd")
            .collect()
    };
    let narrowed = named("{namespaces: [runtime], config: {verify: {argocdNamespace: argocd}}}");
    let kinds: Vec<&Value> = narrowed.iter().map(|object| &object["kind"]).collect();
    assert_eq!(kinds, ["Role", "RoleBinding"]);
    assert_eq!(narrowed[0]["rules"], documented["rules"]);
    for object in &narrowed {
        assert_eq!(object["metadata"]["namespace"], "argocd");
    }
    // Where keyguard may read everything there is to verify, or is not to verify, there is nothing to add.
    for values in [
        "{config: {verify: {argocdNamespace: argocd}}}",
        "{namespaces: [runtime, argocd], config: {verify: {argocdNamespace: argocd}}}",
        "namespaces: [runtime]",
        "{namespaces: [runtime], config: {verify: null}}",
    ] {
        assert_eq!(named(values), [] as [Value; 0], "{values}");
    }
}
