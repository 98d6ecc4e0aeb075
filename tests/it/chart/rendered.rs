//! What Helm makes of the chart without a cluster.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::control_plane::kubectl::{Client, Finished};
use crate::control_plane::workspace::Workspace;

/// The folder of the chart.
pub(super) fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/chart")
}

/// Runs helm on the chart with values, in YAML.
#[must_use = "say what is expected of it"]
pub(super) fn helm<const N: usize>(arguments: [&str; N], values: &str) -> Finished {
    let workspace = Workspace::new();
    let file = workspace.write("values.yaml", values);
    let [chart, file] = [chart(), file].map(|path| path.display().to_string());
    let arguments = arguments.into_iter().chain([&*chart, "--values", &*file]);
    // No cluster is asked: there is no such file.
    let nowhere = workspace.path("kubeconfig");
    Client::helm(&workspace)
        .with_kubeconfig(&nowhere)
        .run(arguments)
}

/// The objects that the chart renders for the release `keyguard` in the
/// namespace `keyguard`.
pub(super) fn render(values: &str) -> Vec<Value> {
    let rendered = template(values).expect_ok().stdout;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&rendered).expect("helm prints YAML");
    objects
        .into_iter()
        .filter(|object| !object.is_null())
        .collect()
}

/// As [`render`], also when it fails.
#[must_use = "say what is expected of it"]
pub(super) fn template(values: &str) -> Finished {
    let arguments = [
        "template",
        "keyguard",
        "--namespace=keyguard",
        "--kube-version=1.30.0",
    ];
    helm(arguments, values)
}

/// The only object of a kind and name.
pub(super) fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found = objects
        .iter()
        .filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    let object = found.next();
    assert!(found.next().is_none(), "several {kind} {name}");
    object.unwrap_or_else(|| panic!("no {kind} {name}"))
}
