//! Lets the API server call a keyguard.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::ControlPlane;
use super::keyguard::Keyguard;
use super::namespaces::GUARD_LABEL;
use super::process::free_address;
use super::wait::wait_for;

/// A ValidatingWebhookConfiguration that is in effect; deleted when dropped.
pub(crate) struct Installation<'a> {
    plane: &'a ControlPlane,
    name: String,
}

impl Keyguard {
    /// Installs what `webhook-config --url` prints, for these namespaces
    /// only: other tests use the same API server. Returns once it is in
    /// effect.
    pub(crate) fn install<'a>(
        &self,
        plane: &'a ControlPlane,
        namespaces: &[&str],
    ) -> Installation<'a> {
        self.install_in(plane, &self.webhook_config(&self.url()), namespaces)
    }

    /// As [`install`](Self::install), for every namespace, now or later, that
    /// was made to be
    /// [guarded by](ControlPlane::fresh_namespace_guarded_by) `guard`.
    pub(crate) fn install_for<'a>(&self, plane: &'a ControlPlane, guard: &str) -> Installation<'a> {
        let probe = plane.fresh_namespace_guarded_by(guard, "probe");
        let printed = self.webhook_config(&self.url());
        let labelled = condition(GUARD_LABEL, &[guard]);
        self.install_where(plane, &printed, &probe, &labelled)
    }

    /// As [`install`](Self::install), with the API server calling the
    /// Service `keyguard/keyguard` as in production; here it is an
    /// ExternalName of loopback.
    pub(crate) fn install_as_service<'a>(
        &self,
        plane: &'a ControlPlane,
        namespaces: &[&str],
    ) -> Installation<'a> {
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "keyguard", "namespace": "keyguard"},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        });
        plane
            .kubectl()
            .stdin(service.to_string())
            .run(["apply", "-f", "-"])
            .expect_ok();
        let target = format!("--service=keyguard/keyguard:{}", self.address.port());
        self.install_in(plane, &self.webhook_config(&target), namespaces)
    }

    /// Installs exactly what `webhook-config --url` prints, for every
    /// namespace: for a [`private`](ControlPlane::private) plane. Returns
    /// once it is in effect.
    pub(crate) fn install_everywhere<'a>(&self, plane: &'a ControlPlane) -> Installation<'a> {
        let printed = self.webhook_config(&self.url());
        let applied = plane
            .kubectl()
            .stdin(printed)
            .run(["apply", "-f", "-", "--output=jsonpath={.metadata.name}"])
            .expect_ok();
        self.await_calls(plane, &plane.fresh_namespace("probe"));
        Installation {
            plane,
            name: applied.stdout,
        }
    }

    /// Lets the API server call another webhook, with the same certificate, for this namespace. Returns once it is in effect:
    /// what it answers need not show that, so another one beside it, whom nobody answers, does.
    pub(crate) fn install_another<'a>(
        &self,
        plane: &'a ControlPlane,
        address: SocketAddr,
        namespace: &str,
    ) -> Installation<'a> {
        const NOBODY: &str = "nobody.keyguard.dev";
        let printed = self.webhook_config(&format!("--url=https://{address}/validate"));
        let probe = plane.fresh_namespace("probe");
        let named = |name: &str| condition("kubernetes.io/metadata.name", &[name]);
        let mut configuration = select(parse(plane, &printed), &probe, &named(namespace));
        let webhooks = configuration["webhooks"].as_array_mut();
        webhooks.expect("it has webhooks").push(json!({
            "name": NOBODY,
            "clientConfig": {"url": format!("https://{}/", free_address())},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}],
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "namespaceSelector": {"matchExpressions": [named(&probe)]},
        }));
        let create = plane.kubectl().stdin(configuration.to_string());
        create.run(["create", "-f", "-"]).expect_ok();
        wait_for("the other webhook to be in effect", || {
            let create = ["create", "configmap", "probe", "--dry-run=server"];
            let answer = plane.kubectl().namespace(&probe).run(create);
            let is_called = answer.stderr.contains(NOBODY);
            is_called.then_some(()).ok_or(answer.stdout)
        });
        Installation { plane, name: probe }
    }

    fn install_in<'a>(
        &self,
        plane: &'a ControlPlane,
        printed: &str,
        namespaces: &[&str],
    ) -> Installation<'a> {
        let probe = plane.fresh_namespace("probe");
        let mut selected = namespaces.to_vec();
        selected.push(&probe);
        let named = condition("kubernetes.io/metadata.name", &selected);
        self.install_where(plane, printed, &probe, &named)
    }

    fn install_where<'a>(
        &self,
        plane: &'a ControlPlane,
        printed: &str,
        probe: &str,
        namespaces: &Value,
    ) -> Installation<'a> {
        let configuration = select(parse(plane, printed), probe, namespaces);
        plane
            .kubectl()
            .stdin(configuration.to_string())
            .run(["create", "-f", "-"])
            .expect_ok();
        let installation = Installation {
            plane,
            name: probe.to_owned(),
        };
        self.await_calls(plane, probe);
        installation
    }

    /// The API server reads webhooks from a cache: tries, as a dry run, a
    /// change that is not harmless, until this keyguard has refused or at
    /// least recorded it. The admin tries: a test that exempts someone had
    /// better choose someone else.
    fn await_calls(&self, plane: &ControlPlane, namespace: &str) {
        wait_for("the webhooks to be in effect", || {
            let create = plane.kubectl().namespace(namespace).stdin(PROBE);
            let answer = create.run(["create", "--dry-run=server", "-f", "-"]);
            let refused = answer.stderr.contains("denied the request");
            let recorded = || {
                self.log()
                    .iter()
                    .any(|line| line.to_string().contains(namespace))
            };
            (refused || recorded())
                .then_some(())
                .ok_or(answer.stdout + &answer.stderr)
        });
    }

    fn url(&self) -> String {
        format!("--url=https://{}/validate", self.address)
    }
}

impl Drop for Installation<'_> {
    fn drop(&mut self) {
        // The test may have stopped its API server.
        let delete = self.plane.kubectl();
        let _ = delete.run([
            "delete",
            "--request-timeout=5s",
            "validatingwebhookconfiguration",
            &self.name,
        ]);
    }
}

/// A workload whose token is in a Secret that does not exist.
const PROBE: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: probe}
spec:
  selector: {matchLabels: {app: probe}}
  template:
    metadata: {labels: {app: probe}}
    spec:
      containers:
        - name: probe
          image: example.invalid/probe
          env:
            - name: ARGO_CD_TOKEN
              valueFrom: {secretKeyRef: {name: probe, key: token}}
"#;

/// The printed YAML as kubectl reads it.
fn parse(plane: &ControlPlane, printed: &str) -> Value {
    let convert = plane.kubectl().stdin(printed);
    let converted = convert.run(["create", "--dry-run=client", "--output=json", "-f", "-"]);
    serde_json::from_str(&converted.expect_ok().stdout).expect("kubectl prints JSON")
}

/// Gives a configuration its own name, and each of its webhooks a further
/// condition on the namespace; what it selects by itself stays.
fn select(mut configuration: Value, name: &str, namespaces: &Value) -> Value {
    configuration["metadata"]["name"] = name.into();
    let webhooks = configuration["webhooks"]
        .as_array_mut()
        .expect("it has webhooks");
    for webhook in webhooks {
        let selector = &mut webhook["namespaceSelector"]["matchExpressions"];
        if selector.is_null() {
            *selector = json!([]);
        }
        selector
            .as_array_mut()
            .expect("a list of conditions")
            .push(namespaces.clone());
    }
    configuration
}

/// A condition on the labels of a namespace.
fn condition(label: &str, values: &[&str]) -> Value {
    json!({"key": label, "operator": "In", "values": values})
}
