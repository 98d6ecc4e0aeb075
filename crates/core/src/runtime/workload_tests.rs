use super::*;
use serde_json::json;

fn raw(value: serde_json::Value) -> String {
    value.to_string()
}

fn pod_spec() -> serde_json::Value {
    json!({
        "initContainers": [{"name": "init", "env": [{"name": "A", "value": "1"}]}],
        "containers": [{"name": "one"}, {"name": "two", "env": [
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": true}}},
            {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ]}],
    })
}

#[test]
fn every_kind_gives_its_containers_with_their_places() {
    for kind in WorkloadKind::ALL {
        let spec = match kind {
            WorkloadKind::Pod => pod_spec(),
            WorkloadKind::CronJob => {
                json!({"jobTemplate": {"spec": {"template": {"spec": pod_spec()}}}})
            }
            _ => json!({"replicas": 1, "template": {"metadata": {}, "spec": pod_spec()}}),
        };
        let spec = raw(spec);
        let template = kind.template(&spec).unwrap();
        let places: Vec<_> = template
            .containers
            .iter()
            .map(|container| (container.list, container.index, container.env.len()))
            .collect();
        assert_eq!(
            places,
            [
                ("initContainers", 0, 1),
                ("containers", 0, 0),
                ("containers", 1, 2)
            ],
            "{kind:?}"
        );
        let (group, version, name, _) = kind.names();
        assert_eq!(WorkloadKind::of(group, version, name), Some(kind));
    }
    assert_eq!(WorkloadKind::of("apps", "v1beta1", "Deployment"), None);
}

#[test]
fn a_template_may_be_absent_or_null() {
    for spec in [
        json!({}),
        json!({"template": null}),
        json!({"workloadRef": {"name": "x"}}),
        json!({"template": {"spec": null}}),
        json!({"template": {"spec": {"containers": null, "initContainers": null}}}),
        json!({"template": {"spec": {"containers": [{"env": null}]}}}),
    ] {
        let spec = raw(spec);
        let template = WorkloadKind::Rollout.template(&spec).unwrap();
        assert!(
            template
                .containers
                .iter()
                .all(|container| container.env.is_empty())
        );
    }
}

#[test]
fn null_is_an_empty_element_and_the_others_keep_their_place() {
    let spec = raw(json!({"template": {"spec": {
        "initContainers": [null],
        "containers": [null, {"env": [null, {"name": null}, {"name": "A", "value": null, "valueFrom":
            {"secretKeyRef": {"name": null, "key": "k", "optional": null}}}]}],
    }}}));
    let template = WorkloadKind::Rollout.template(&spec).unwrap();
    let lengths: Vec<_> = template
        .containers
        .iter()
        .map(|container| container.env.len())
        .collect();
    assert_eq!(lengths, [0, 0, 3]);
    let names: Vec<_> = template.containers[2]
        .env
        .iter()
        .map(|env| &*env.name)
        .collect();
    assert_eq!(names, ["", "", "A"]);
}

#[test]
fn a_template_is_the_same_however_its_json_is_spelled() {
    let table = [
        (
            r#"{"template":{"a":1,"b":2}}"#,
            r#"{"template":{"b":2,"a":1}}"#,
            true,
        ),
        (
            r#"{"template":{"a":1}}"#,
            r#"{"replicas":3,"template":{"a":1}}"#,
            true,
        ),
        (r#"{"template":{"a":1}}"#, r#"{"template":{"a":2}}"#, false),
        (r#"{}"#, r#"{"template":{"a":2}}"#, false),
    ];
    for (one, two, same) in table {
        let kind = WorkloadKind::Deployment;
        let verdict = kind
            .template(one)
            .unwrap()
            .same_as(&kind.template(two).unwrap());
        assert_eq!(verdict, same, "{one} {two}");
    }
}

#[test]
fn a_pod_is_the_same_while_its_environment_is() {
    let one = raw(json!({"containers": [{"env": [{"name": "A", "value": "1"}], "image": "a"}]}));
    let image = raw(json!({"containers": [{"env": [{"name": "A", "value": "1"}], "image": "b"}]}));
    let env = raw(json!({"containers": [{"env": [{"name": "A", "value": "2"}], "image": "a"}]}));
    let read = |spec| WorkloadKind::Pod.template(spec).unwrap();
    assert!(read(&one).same_as(&read(&image)));
    assert!(!read(&one).same_as(&read(&env)));
}
