//! What the pods of the chart may do on their node, and the image that they run.

use std::fs;

use serde_json::{Value, json};

use super::rendered::{chart, object, render};
use crate::control_plane::ControlPlane;

/// The API server's own PodSecurity admission says.
#[test]
fn the_pods_are_admitted_where_only_restricted_ones_are() {
    let plane = ControlPlane::shared();
    let namespace = plane.fresh_namespace("restricted");
    let label = "pod-security.kubernetes.io/enforce=restricted";
    let labelled = plane
        .kubectl()
        .run(["label", "namespace", &namespace, label]);
    labelled.expect_ok();
    let create = |spec: &Value| {
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "pod"},
            "spec": spec,
        });
        let create = plane.kubectl().namespace(&namespace).stdin(pod.to_string());
        create.run(["create", "--dry-run=server", "-f", "-"])
    };
    for mode in ["self-managed", "files", "cert-manager"] {
        let objects = render(&format!(
            "{{certificates: {{mode: {mode}}}, clients: {{caConfigMap: ca}}}}"
        ));
        let serving = &object(&objects, "Deployment", "keyguard")["spec"]["template"]["spec"];
        let testing = &object(&objects, "Pod", "keyguard-self-test")["spec"];
        for spec in [serving, testing] {
            create(spec).expect_ok();
            assert_eq!(
                spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"],
                true
            );
            let mut rooted = spec.clone();
            rooted["securityContext"]["runAsNonRoot"] = false.into();
            let told = create(&rooted).expect_error();
            assert!(told.contains("violates PodSecurity"), "{told}");
        }
    }
}

#[test]
fn the_image_has_the_user_the_ports_and_the_program_that_the_chart_counts_on() {
    let folder = chart().with_file_name("image");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let (dockerfile, script) = (read("Dockerfile"), read("build.sh"));
    let line = |start: &str| {
        let mut lines = dockerfile
            .lines()
            .filter_map(|line| line.strip_prefix(start));
        let line = lines.next_back();
        line.unwrap_or_else(|| panic!("no {start}"))
    };
    assert_eq!(line("FROM "), "scratch");
    assert_eq!(line("ENTRYPOINT "), "[\"/keyguard\"]");
    let objects = render("{}");
    let pod = &object(&objects, "Deployment", "keyguard")["spec"]["template"]["spec"];
    let context = &pod["securityContext"];
    let user = format!("{}:{}", context["runAsUser"], context["runAsGroup"]);
    assert_eq!(line("USER "), user);
    assert!(script.contains(&format!("readonly USER_ID={}", context["runAsUser"])));
    let ports = pod["containers"][0]["ports"].as_array().unwrap();
    let ports: Vec<String> = ports
        .iter()
        .map(|port| port["containerPort"].to_string())
        .collect();
    assert_eq!(line("EXPOSE "), ports.join(" "));
    for port in ports {
        assert!(script.contains(&format!("--port {port}")), "{port}");
    }
    let wanted = env!("CARGO_PKG_RUST_VERSION").split('.').nth(1).unwrap();
    let stage = line("FROM --platform=$BUILDPLATFORM rust:1.");
    let used = stage.split(['.', '-']).next().unwrap();
    assert!(
        used.parse::<u32>().unwrap() >= wanted.parse().unwrap(),
        "{stage}"
    );
}
