//! Who speaks to the API server, and the files with which they do.

use std::fs;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::workspace::Workspace;

/// May do everything.
pub(crate) const ADMIN: &str = "admin";
/// An ordinary person: may work on applications in every namespace that
/// [`fresh_namespace`](super::ControlPlane::fresh_namespace) makes.
pub(crate) const ALICE: &str = "alice";
/// Empties namespaces that are being deleted.
pub(crate) const NAMESPACE_CONTROLLER: &str =
    "system:serviceaccount:kube-system:namespace-controller";
/// Deletes objects whose owner is gone.
pub(crate) const GARBAGE_COLLECTOR: &str =
    "system:serviceaccount:kube-system:generic-garbage-collector";

/// User names and groups. The API server itself binds the controllers to
/// their roles.
const USERS: [(&str, &str); 4] = [
    (ADMIN, "system:masters"),
    (ALICE, "developers"),
    (NAMESPACE_CONTROLLER, CONTROLLER_GROUPS),
    (GARBAGE_COLLECTOR, CONTROLLER_GROUPS),
];
const CONTROLLER_GROUPS: &str = "system:serviceaccounts,system:serviceaccounts:kube-system";

/// Writes the API server's token file and a kubeconfig for each user, and
/// returns the path of the token file.
pub(crate) fn write_users(server: &str, authority: &Path, workspace: &Workspace) -> PathBuf {
    let mut tokens = String::new();
    for (user, groups) in USERS {
        let token = random_token();
        tokens.extend([&token, ",", user, ",", user, ",\"", groups, "\"\n"]);
        write_kubeconfig(user, server, authority, &token, workspace);
    }
    workspace.write("tokens.csv", tokens)
}

/// Writes the kubeconfig with which `user` reaches the API server.
pub(crate) fn write_kubeconfig(
    user: &str,
    server: &str,
    authority: &Path,
    token: &str,
    workspace: &Workspace,
) -> PathBuf {
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        "clusters": [{
            "name": "test",
            "cluster": {"server": server, "certificate-authority": authority},
        }],
        "users": [{"name": user, "user": {"token": token}}],
    });
    workspace.write(kubeconfig_name(user), kubeconfig.to_string())
}

/// The kubeconfig of a user who has one.
pub(crate) fn kubeconfig_for(user: &str, workspace: &Workspace) -> PathBuf {
    let path = workspace.path(kubeconfig_name(user));
    assert!(
        path.is_file(),
        "{user} has no kubeconfig; the users are {USERS:?}"
    );
    path
}

/// Copies a kubeconfig and lets the copy point to another server, which must
/// show the same certificate.
pub(crate) fn redirect_kubeconfig(original: &Path, server: &str, copy: &Path) {
    let text = fs::read(original).expect("read a kubeconfig");
    let mut kubeconfig: Value = serde_json::from_slice(&text).expect("one of our kubeconfigs");
    kubeconfig["clusters"][0]["cluster"]["server"] = server.into();
    fs::write(copy, kubeconfig.to_string()).expect("write a kubeconfig");
}

fn kubeconfig_name(user: &str) -> String {
    format!("{}.kubeconfig", user.replace(':', "-"))
}

/// 128 random bits, in hexadecimal.
fn random_token() -> String {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .expect("read random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
