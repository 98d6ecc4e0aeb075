//! Replicas of keyguard that keep their certificates by themselves, behind one
//! address and one webhook configuration.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::ControlPlane;
use super::balancer::Balancer;
use super::keyguard::enforcing_dry_runs;
use super::plain_http::{self, Answer};
use super::process::{Process, free_address};
use super::users::ADMIN;
use super::wait::wait_for;
use super::workspace::Workspace;

const KEYGUARD: &str = env!("CARGO_BIN_EXE_keyguard");
const JSON: &str = "application/json";
const REGISTRATIONS: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

/// The name of the Secret.
const SECRET: &str = "keyguard-certificates";

/// What keyguard's account may do, apart from what every keyguard may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    GetSecret,
    CreateSecret,
    PatchSecret,
    GetRegistration,
    PatchRegistration,
}

impl Right {
    pub(crate) const ALL: [Self; 5] = [
        Self::GetSecret,
        Self::CreateSecret,
        Self::PatchSecret,
        Self::GetRegistration,
        Self::PatchRegistration,
    ];

    /// Its verb and resource.
    pub(crate) fn names(self) -> (&'static str, &'static str) {
        let registrations = "validatingwebhookconfigurations";
        match self {
            Self::GetSecret => ("get", "secrets"),
            Self::CreateSecret => ("create", "secrets"),
            Self::PatchSecret => ("patch", "secrets"),
            Self::GetRegistration => ("get", registrations),
            Self::PatchRegistration => ("patch", registrations),
        }
    }

    fn rule(self, registration: &str) -> Value {
        let (verb, resource) = self.names();
        let (group, name) = match self {
            Self::GetSecret | Self::PatchSecret => ("", Some(SECRET)),
            // A name cannot be had before its object is.
            Self::CreateSecret => ("", None),
            Self::GetRegistration | Self::PatchRegistration => {
                ("admissionregistration.k8s.io", Some(registration))
            }
        };
        let mut rule = json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]});
        if let Some(name) = name {
            rule["resourceNames"] = json!([name]);
        }
        rule
    }
}

/// A namespace with an account, and a webhook configuration for one guarded
/// namespace; deleted when dropped.
pub(crate) struct Fleet<'a> {
    plane: &'a ControlPlane,
    namespace: String,
    /// Where its webhooks are called for.
    pub(crate) guarded: String,
    balancer: Balancer,
    kubeconfig: PathBuf,
    config: PathBuf,
    _workspace: Workspace,
}

/// A running keyguard of a fleet; killed when dropped.
pub(crate) struct Replica {
    process: Process,
    pub(crate) address: SocketAddr,
    health: SocketAddr,
    _workspace: Workspace,
}

impl<'a> Fleet<'a> {
    /// An empty one, whose replicas are configured like this and have these
    /// rights.
    pub(crate) fn new(plane: &'a ControlPlane, config: &str, rights: &[Right]) -> Self {
        let namespaces = plane.fresh_namespaces_guarded_by("", "fleet", 2);
        let [namespace, guarded] = <[String; 2]>::try_from(namespaces).expect("two of them");
        let objects = account(&namespace, &guarded, rights);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let create = plane.kubectl().stdin(list.to_string());
        create.run(["create", "-f", "-"]).expect_ok();
        let workspace = Workspace::new();
        let fleet = Self {
            kubeconfig: plane.kubeconfig_for_service_account(&namespace, "keyguard"),
            config: workspace.write("config.yaml", enforcing_dry_runs(config)),
            balancer: Balancer::new(),
            plane,
            namespace,
            guarded,
            _workspace: workspace,
        };
        fleet.register();
        fleet
    }

    /// Starts one more replica, and does not wait for it.
    pub(crate) fn start(&self) -> Replica {
        let workspace = Workspace::new();
        let (address, health) = (free_address(), free_address());
        let arguments = [
            "serve".to_owned(),
            format!("--listen={address}"),
            format!("--health-listen={health}"),
            format!("--tls-secret={}/{SECRET}", self.namespace),
            format!("--webhook-configuration={}", self.namespace),
            format!("--kubeconfig={}", self.kubeconfig.display()),
            format!("--config={}", self.config.display()),
        ];
        let process = Process::start("keyguard", Path::new(KEYGUARD), arguments, &workspace);
        Replica {
            process,
            address,
            health,
            _workspace: workspace,
        }
    }

    /// Starts many at once and returns when all of them are ready and have
    /// the calls of the API server.
    pub(crate) fn start_ready(&self, count: usize) -> Vec<Replica> {
        let mut replicas: Vec<_> = (0..count).map(|_| self.start()).collect();
        replicas.iter_mut().for_each(Replica::await_ready);
        let addresses = replicas.iter().map(|replica| replica.address);
        self.balancer.set(addresses.collect());
        replicas
    }

    /// Makes the webhook configuration, with no `caBundle`, as it is installed.
    pub(crate) fn register(&self) {
        let url = format!("--url=https://{}", self.balancer.address);
        let output = output_of(Command::new(KEYGUARD).args(["webhook-config", &url]));
        let mut configuration: Value =
            serde_saphyr::from_str(&output).expect("it prints one object");
        configuration["metadata"]["name"] = self.namespace.as_str().into();
        for webhook in configuration["webhooks"].as_array_mut().expect("webhooks") {
            assert!(webhook["clientConfig"].get("caBundle").is_none());
            let selector = &mut webhook["namespaceSelector"]["matchExpressions"];
            *selector = json!([{
                "key": "kubernetes.io/metadata.name",
                "operator": "In",
                "values": [self.guarded],
            }]);
        }
        self.expect(201, &format!("POST {REGISTRATIONS}"), JSON, &configuration);
    }

    /// Takes the webhook configuration away.
    pub(crate) fn unregister(&self) {
        self.expect(
            200,
            &format!("DELETE {}", self.registration_path()),
            JSON,
            &Value::Null,
        );
    }

    /// The `caBundle` in force of each webhook, PEM.
    pub(crate) fn bundles(&self) -> Vec<String> {
        let found = self.expect(
            200,
            &format!("GET {}", self.registration_path()),
            JSON,
            &Value::Null,
        );
        let webhooks = found["webhooks"].as_array().expect("webhooks");
        let bundle = |webhook: &Value| decoded(&webhook["clientConfig"]["caBundle"]);
        webhooks.iter().map(bundle).collect()
    }

    /// Overwrites the `caBundle` of one webhook, or takes it away.
    pub(crate) fn overwrite_bundle(&self, webhook: usize, bundle: Option<&str>) {
        let path = format!("/webhooks/{webhook}/clientConfig/caBundle");
        let patch = match bundle {
            Some(pem) => json!([{"op": "add", "path": path, "value": STANDARD.encode(pem)}]),
            None => json!([{"op": "remove", "path": path}]),
        };
        let line = format!("PATCH {}", self.registration_path());
        self.expect(200, &line, "application/json-patch+json", &patch);
    }

    /// What is in the Secret under a key, PEM; nothing when there is none.
    pub(crate) fn secret(&self, key: &str) -> String {
        let answer = self.ask(&format!("GET {}", self.secret_path()), JSON, "");
        let object: Value = serde_json::from_str(&answer.body).expect("an object");
        decoded(&object["data"][key])
    }

    /// Deletes the Secret.
    pub(crate) fn delete_secret(&self) {
        self.expect(
            200,
            &format!("DELETE {}", self.secret_path()),
            JSON,
            &Value::Null,
        );
    }

    /// Puts something else under a key of the Secret.
    pub(crate) fn damage_secret(&self, key: &str, value: &str) {
        let patch = json!({"data": {key: STANDARD.encode(value)}});
        let line = format!("PATCH {}", self.secret_path());
        self.expect(200, &line, "application/merge-patch+json", &patch);
    }

    fn secret_path(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets/{SECRET}", self.namespace)
    }

    fn registration_path(&self) -> String {
        format!("{REGISTRATIONS}/{}", self.namespace)
    }

    fn expect(&self, status: u16, line: &str, media_type: &str, body: &Value) -> Value {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let answer = self.ask(line, media_type, &body);
        assert_eq!(answer.status, status, "{line}: {}", answer.body);
        serde_json::from_str(&answer.body).expect("an object")
    }

    fn ask(&self, line: &str, media_type: &str, body: &str) -> Answer {
        self.plane.ask(ADMIN, line, media_type, body)
    }
}

impl Drop for Fleet<'_> {
    fn drop(&mut self) {
        let _ = self.plane.kubectl().run([
            "delete",
            "--request-timeout=5s",
            "--ignore-not-found",
            "validatingwebhookconfiguration",
            &self.namespace,
        ]);
    }
}

impl Replica {
    /// Waits until it says that it is ready.
    pub(crate) fn await_ready(&mut self) {
        let health = self.health;
        let ready = || plain_http::get(health, "/readyz").is_ok_and(|answer| answer.status == 200);
        self.process
            .ready(ready)
            .unwrap_or_else(|log| panic!("{log}"));
    }

    /// What `/readyz` says, once it says what is `wanted`.
    pub(crate) fn await_readiness(&self, what: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        wait_for(what, || {
            let answer =
                plain_http::get(self.health, "/readyz").map_err(|error| error.to_string())?;
            if wanted(&answer) {
                return Ok(answer);
            }
            Err(answer.body)
        })
    }

    /// The value of one series, such as `keyguard_connections`.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let metrics = plain_http::get(self.health, "/metrics")
            .expect("metrics")
            .body;
        let line = metrics.lines().find_map(|line| line.strip_prefix(series));
        let value = line.unwrap_or_else(|| panic!("no {series}"));
        value.trim().parse().expect("a number")
    }

    /// The memory that it has now, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.process.resident_kib()
    }

    /// Everything that it has written so far.
    pub(crate) fn output(&self) -> String {
        self.process.stdout() + &self.process.stderr()
    }
}

/// An account with the rights of every keyguard, and these.
fn account(namespace: &str, guarded: &str, rights: &[Right]) -> Vec<Value> {
    let api = "rbac.authorization.k8s.io/v1";
    let name = format!("keyguard-{namespace}");
    let subjects = json!([{"kind": "ServiceAccount", "name": "keyguard", "namespace": namespace}]);
    let is_namespaced = |right: &&Right| right.names().1 == "secrets";
    let rules = |namespaced: bool| -> Vec<Value> {
        let rights = rights
            .iter()
            .filter(|right| is_namespaced(right) == namespaced);
        rights.map(|right| right.rule(namespace)).collect()
    };
    let reference = |kind: &str, name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name});
    let reads = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]);
    let mut cluster_rules = rules(false);
    cluster_rules.extend(reads.as_array().cloned().unwrap_or_default());
    let secrets = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]);
    vec![
        json!({"apiVersion": api, "kind": "Role", "metadata": {"name": "keyguard", "namespace": guarded}, "rules": secrets}),
        json!({
            "apiVersion": api, "kind": "RoleBinding", "metadata": {"name": "keyguard", "namespace": guarded},
            "roleRef": reference("Role", "keyguard"), "subjects": subjects,
        }),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "keyguard", "namespace": namespace}}),
        json!({"apiVersion": api, "kind": "Role", "metadata": {"name": "keyguard", "namespace": namespace}, "rules": rules(true)}),
        json!({
            "apiVersion": api, "kind": "RoleBinding", "metadata": {"name": "keyguard", "namespace": namespace},
            "roleRef": reference("Role", "keyguard"), "subjects": subjects,
        }),
        json!({"apiVersion": api, "kind": "ClusterRole", "metadata": {"name": name}, "rules": cluster_rules}),
        json!({
            "apiVersion": api, "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": reference("ClusterRole", &name), "subjects": subjects,
        }),
    ]
}

fn decoded(base64: &Value) -> String {
    let bytes = STANDARD.decode(base64.as_str().unwrap_or_default());
    String::from_utf8(bytes.expect("it is base64")).expect("it is PEM")
}

fn output_of(command: &mut Command) -> String {
    let output = command.output().expect("run keyguard");
    let text = |bytes| String::from_utf8(bytes).expect("its output is text");
    assert!(output.status.success(), "{}", text(output.stderr));
    text(output.stdout)
}
