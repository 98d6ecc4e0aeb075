//! A namespace for each test.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::ControlPlane;
use super::users::{ADMIN, ALICE, NAMESPACE_CONTROLLER};
use super::wait::wait_for;

/// The ClusterRole that [`ALICE`] has in every namespace of a test.
const DEVELOPER_ROLE: &str = "developer";

/// The label by which a namespace says which of the keyguards that several
/// tests share guards it.
pub(super) const GUARD_LABEL: &str = "keyguard-test/guard";

/// The collections that a namespace of these tests may hold.
const COLLECTIONS: [(&str, &[&str]); 4] = [
    (
        "api/v1",
        &["configmaps", "secrets", "pods", "serviceaccounts"],
    ),
    (
        "apis/apps/v1",
        &["deployments", "statefulsets", "daemonsets", "replicasets"],
    ),
    ("apis/batch/v1", &["jobs", "cronjobs"]),
    ("apis/argoproj.io/v1alpha1", &["rollouts"]),
];

impl ControlPlane {
    /// Makes a namespace that nobody else has, in which [`ALICE`] may work on
    /// applications.
    pub(crate) fn fresh_namespace(&self, prefix: &str) -> String {
        self.fresh_namespace_guarded_by("", prefix)
    }

    /// As [`fresh_namespace`](Self::fresh_namespace), guarded from its first
    /// moment by the keyguard that was
    /// [installed for](super::keyguard::Keyguard::install_for) this guard.
    pub(crate) fn fresh_namespace_guarded_by(&self, guard: &str, prefix: &str) -> String {
        self.fresh_namespaces_guarded_by(guard, prefix, 1).remove(0)
    }

    /// Many of them at once.
    pub(crate) fn fresh_namespaces_guarded_by(
        &self,
        guard: &str,
        prefix: &str,
        count: usize,
    ) -> Vec<String> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let first = COUNT.fetch_add(count, Ordering::Relaxed);
        let namespaces: Vec<_> = (first..first + count)
            .map(|number| format!("{prefix}-{number}"))
            .collect();
        let objects = namespaces.iter().flat_map(|name| namespace(name, guard));
        let objects: Vec<_> = objects.collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let create = self.kubectl().stdin(list.to_string());
        create.run(["create", "-f", "-"]).expect_ok();
        // The authorizer reads bindings from a cache, in their order.
        let last = namespaces.last().expect("at least one");
        wait_for("alice's rights", || {
            let ask = self.kubectl().as_user(ALICE).namespace(last);
            let answer = ask.run(["auth", "can-i", "update", "configmaps"]);
            answer.status.success().then_some(()).ok_or(answer.stdout)
        });
        namespaces
    }

    /// Deletes a namespace as the namespace controller does once [`ADMIN`]
    /// has asked for it: every collection in one request each, then the
    /// finalizer.
    ///
    /// # Panics
    /// When a deletion is refused: the namespace would hang for ever.
    pub(crate) fn end_namespace(&self, namespace: &str) {
        let name = format!("namespace/{namespace}");
        self.kubectl()
            .as_user(ADMIN)
            .run(["delete", "--wait=false", &name])
            .expect_ok();
        let controller = || self.kubectl().as_user(NAMESPACE_CONTROLLER);
        for (group, resources) in COLLECTIONS {
            for resource in resources {
                let collection = format!("/{group}/namespaces/{namespace}/{resource}");
                controller()
                    .run(["delete", "--raw", &collection])
                    .expect_ok();
            }
        }
        let found = controller()
            .run(["get", &name, "--output=json"])
            .expect_ok();
        let mut object: Value = serde_json::from_str(&found.stdout).expect("kubectl prints JSON");
        object["spec"]["finalizers"] = json!([]);
        let finalize = format!("/api/v1/namespaces/{namespace}/finalize");
        controller()
            .stdin(object.to_string())
            .run(["replace", "--raw", &finalize, "-f", "-"])
            .expect_ok();
        wait_for(&format!("the end of {name}"), || {
            let found = self
                .kubectl()
                .run(["get", &name, "--ignore-not-found", "--output=name"]);
            found
                .expect_ok()
                .stdout
                .is_empty()
                .then_some(())
                .ok_or("it is there".to_owned())
        });
    }
}

/// A namespace and [`ALICE`]'s rights in it.
fn namespace(name: &str, guard: &str) -> [Value; 2] {
    let rbac = "rbac.authorization.k8s.io";
    [
        json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {GUARD_LABEL: guard}},
        }),
        json!({
            "apiVersion": format!("{rbac}/v1"),
            "kind": "RoleBinding",
            "metadata": {"name": ALICE, "namespace": name},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": DEVELOPER_ROLE},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": ALICE}],
        }),
    ]
}
