//! Values files that nothing names, and values of the chart that stand beside a chart that depends on it.

use std::collections::BTreeSet;

use keyguard_core::document::Node;
use keyguard_core::runtime::chart::argocd_cm::ArgocdChart;
use keyguard_core::runtime::chart::version::ChartVersion;

use super::helm;
use super::release::Release;
use super::tree::{Files, first, folder, resolve};

/// What only values of the Runtime's chart have under `global`.
const MARKS: [&[&str]; 3] = [
    &["global", "external-argo-cd"],
    &["global", "integrations", "argo-cd"],
    &["global", "external-arg-cd"],
];

/// A release for each file that is not `named` and has the chart's settings at its top or one level below. One in the
/// folder of a chart is laid over that chart's own values, as `helm -f` would.
pub(super) fn releases(files: &Files, named: &BTreeSet<String>) -> Vec<Release> {
    let unnamed = files.keys().filter(|path| !named.contains(*path));
    unnamed
        .flat_map(|path| match first(files, path) {
            Some(document) if !is_object(document) => of_file(files, path, document),
            _ => Vec::new(),
        })
        .collect()
}

fn of_file(files: &Files, path: &str, document: &Node) -> Vec<Release> {
    let nested = document.entries().iter().map(|entry| &entry.value);
    let Some(values) = std::iter::once(document)
        .chain(nested)
        .find(|it| is_marked(it))
    else {
        return Vec::new();
    };
    let beside = beside_chart(files, path);
    if !beside.is_empty() {
        return beside;
    }
    vec![Release {
        chart: ArgocdChart::GitopsRuntime,
        version: ChartVersion::Unknown,
        values: values.clone(),
        namespace: None,
        name: None,
        at: document.at.clone(),
        files: vec![path.to_owned()],
        findings: Vec::new(),
        unseen: Vec::new(),
        // It may be one layer of several.
        is_complete: true,
    }]
}

/// The chart in the folder of the file, or in the one above, with the file over its values.
fn beside_chart(files: &Files, path: &str) -> Vec<Release> {
    let own = folder(path);
    let above = folder(own);
    [own, above]
        .into_iter()
        .filter(|folder| {
            resolve(folder, "Chart.yaml").is_some_and(|chart| files.contains_key(&chart))
        })
        .map(|folder| {
            helm::of_folder(files, folder, |layers| {
                layers.add_file(files, path);
            })
        })
        .find(|releases| !releases.is_empty())
        .unwrap_or_default()
}

fn is_object(document: &Node) -> bool {
    document.get("apiVersion").is_some() && document.get("kind").is_some()
}

fn is_marked(values: &Node) -> bool {
    MARKS
        .iter()
        .any(|path| values.path(path).is_some_and(|it| !it.is_null()))
}
