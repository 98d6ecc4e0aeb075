//! A keyguard that may list workloads: its account has what `docs/operations.md` says, and nothing more.

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::guard::{Guard, Scene};
use super::objects::{deployment, token_from};
use crate::control_plane::ControlPlane;
use crate::control_plane::keyguard::{Options, Reads};
use crate::control_plane::kubectl::Finished;
use crate::control_plane::wait::wait_for;

const OPERATIONS: &str = include_str!("../../../docs/operations.md");
/// The ClusterRole that the document names.
const ROLE: &str = "keyguard-in-use";

/// One with this configuration and those rights.
pub(super) fn guard(config: &str) -> Guard {
    start(config, account())
}

/// One with this configuration and the rights that it has anyway.
pub(super) fn failing(config: &str) -> Guard {
    Guard::configured(config)
}

fn start(config: &str, account: &str) -> Guard {
    let plane = ControlPlane::shared();
    Guard::start(&Options {
        config: Some(config.to_owned()),
        reads: Reads::Kubeconfig(plane.kubeconfig_for_service_account("keyguard", account)),
        ..Options::default()
    })
}

/// The account, made at first use.
fn account() -> &'static str {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        let role = documented_role();
        let reference = |name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
        let subject = json!({"kind": "ServiceAccount", "name": ROLE, "namespace": "keyguard"});
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": ROLE, "namespace": "keyguard"},
        });
        let bindings = ["keyguard", ROLE].map(|role| {
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": {"name": format!("{ROLE}-{role}")},
                "roleRef": reference(role), "subjects": [subject],
            })
        });
        let objects: Vec<Value> = [role, account].into_iter().chain(bindings).collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let create = ControlPlane::shared().kubectl().stdin(list.to_string());
        create.run(["create", "-f", "-"]).expect_ok();
    });
    ROLE
}

/// The ClusterRole as the document has it.
pub(crate) fn documented_role() -> Value {
    let blocks = OPERATIONS.split("```yaml\n").skip(1);
    let blocks = blocks.filter_map(|block| block.split_once("\n```").map(|(block, _)| block));
    let roles = blocks.filter(|block| block.contains("kind: ClusterRole\n"));
    let roles: Vec<&str> = roles.collect();
    assert_eq!(roles.len(), 1, "docs/operations.md has one ClusterRole");
    let role: Value = serde_saphyr::from_str(roles[0]).expect("it is YAML");
    assert_eq!(role["metadata"]["name"], ROLE);
    role
}

/// Creates an object in a namespace of a scene before anybody guards it.
pub(super) fn unguarded(scene: &Scene, object: &Value) -> Finished {
    let namespace = format!("namespace/{}", scene.namespace);
    let label = |value: String| {
        let label = ["label", "--overwrite", &namespace, &value];
        scene.admin().run(label).expect_ok();
    };
    let read = r"{.metadata.labels.keyguard-test/guard}";
    let guard = scene.read(&namespace, read);
    label("keyguard-test/guard-".to_owned());
    let finished = wait_for("the namespace to be unguarded", || {
        let create = scene.admin().stdin(object.to_string());
        let finished = create.run(["create", "-f", "-"]);
        match finished.status.success() {
            true => Ok(finished),
            false => Err(finished.stderr),
        }
    });
    label(format!("keyguard-test/guard={guard}"));
    let probe = deployment("probe", vec![token_from("missing", "token")]);
    wait_for("the namespace to be guarded again", || {
        let answer = scene.send(["create", "--dry-run=server"], &probe);
        let refused = answer.stderr.contains("denied the request");
        refused.then_some(()).ok_or(answer.stderr)
    });
    finished
}
