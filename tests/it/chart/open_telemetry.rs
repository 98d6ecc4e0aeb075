//! What the chart sends to OpenTelemetry.

use super::release::Release;
use super::rendered::{object, render};
use crate::control_plane::ControlPlane;
use crate::control_plane::wait::wait_for;
use crate::scenarios::otlp_receiver::{Receiver, string};

#[test]
fn replicas_send_with_the_headers_of_a_secret() {
    let receiver = Receiver::new();
    let plane = ControlPlane::bare();
    let endpoint = format!("openTelemetry.endpoint=http://{}", receiver.plain);
    let values = [
        &endpoint,
        "openTelemetry.headersSecretName=otlp",
        "openTelemetry.signals={logs}",
    ];
    let mut release = Release::install(&plane, &values);
    let headers = "--from-literal=headers=authorization=Bearer%20a-token";
    let create = ["create", "secret", "generic", "otlp", headers];
    release.kubectl().run(create).expect_ok();
    release.start_pods();
    let namespace = plane.fresh_namespace("otlp");
    // Whatever it is called for.
    let create = ["create", "configmap", "argocd-cm", "--from-literal=a=b"];
    plane
        .kubectl()
        .namespace(&namespace)
        .run(create)
        .expect_ok();
    wait_for("the record", || {
        let logs = receiver.got().logs.into_iter();
        let mut bodies = logs.map(|(_, log)| string(log.body.as_ref()));
        let found = bodies.any(|body| body.contains(&namespace));
        found.then_some(()).ok_or_else(|| release.pods[0].output())
    });
    let got = receiver.got();
    assert_eq!(got.authorization.as_deref(), Some("Bearer a-token"));
    assert!(got.spans.is_empty() && got.metrics.is_empty());
    for pod in &release.pods {
        assert!(!pod.output().contains("a-token"));
    }
}

#[test]
fn a_replica_says_which_pod_of_which_cluster_it_is_and_may_reach_the_endpoint() {
    let rendered = render(
        "{openTelemetry: {endpoint: 'https://otel:14317', caConfigMap: otel-ca, port: 14317}, audit: {cluster: blue}}",
    );
    let container =
        &object(&rendered, "Deployment", "keyguard")["spec"]["template"]["spec"]["containers"][0];
    let environment = container["env"].to_string();
    assert!(
        environment.contains("k8s.cluster.name=blue,k8s.namespace.name=keyguard,k8s.deployment.name=keyguard,k8s.pod.name=$(HOSTNAME)"),
        "{environment}"
    );
    let arguments = container["args"].to_string();
    for argument in [
        "--otlp-endpoint=https://otel:14317",
        "--otlp-ca=/etc/keyguard/open-telemetry/ca.crt",
        "--otlp-signals=logs,traces,metrics",
    ] {
        assert!(arguments.contains(argument), "{arguments}");
    }
    let policy = object(&rendered, "NetworkPolicy", "keyguard");
    assert!(
        policy["spec"]["egress"]
            .to_string()
            .contains(r#"[{"port":14317}]"#),
        "{policy}"
    );
}
