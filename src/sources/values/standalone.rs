//! Values files that nothing names, and values of the chart that stand beside a chart that depends on it.

use std::collections::BTreeSet;

use keyguard_core::document::Node;
use keyguard_core::document::layers::merge;
use keyguard_core::runtime::chart::argocd_cm::ArgocdChart;
use keyguard_core::runtime::chart::version::ChartVersion;

use super::helm;
use super::marks::{is_marked, is_object, layers};
use super::release::{Context, Release};
use super::tree::{Files, first, folder};

/// A release for each file that is not `named` and has the chart's settings at its top or one level below. One in the
/// folder of a chart is laid over that chart's own values, as `helm -f` would. Those of `context` are one release.
pub(super) fn releases(files: &Files, context: &Context, named: &BTreeSet<String>) -> Vec<Release> {
    let layered = context.value_files.iter();
    let layered: Vec<&String> = layered.filter(|path| !named.contains(*path)).collect();
    let unnamed = files
        .keys()
        .filter(|path| !named.contains(*path) && !layered.contains(path));
    let alone = unnamed.flat_map(|path| match first(files, path) {
        Some(document) if !is_object(document) => of_file(files, path, document),
        _ => Vec::new(),
    });
    let mut releases: Vec<Release> = alone.collect();
    releases.extend(of_layers(files, &layered));
    releases
}

fn of_file(files: &Files, path: &str, document: &Node) -> Vec<Release> {
    let Some(release) = of_values(document, vec![path.to_owned()]) else {
        return Vec::new();
    };
    beside_chart(files, path).unwrap_or_else(|| vec![release])
}

fn of_layers(files: &Files, paths: &[&String]) -> Option<Release> {
    let documents = paths.iter().filter_map(|path| first(files, path));
    let values = documents.cloned().reduce(merge)?;
    of_values(&values, paths.iter().map(|path| (*path).clone()).collect())
}

/// The release of values that have the chart's settings.
fn of_values(document: &Node, files: Vec<String>) -> Option<Release> {
    let nested = document.entries().iter().map(|entry| &entry.value);
    let values = std::iter::once(document)
        .chain(nested)
        .find(|it| is_marked(it))?;
    Some(Release {
        chart: ArgocdChart::GitopsRuntime,
        version: ChartVersion::Unknown,
        values: values.clone(),
        namespace: None,
        name: None,
        at: document.at.clone(),
        files,
        findings: Vec::new(),
        unseen: Vec::new(),
        // It may be one layer of several.
        is_complete: true,
    })
}

/// The chart in the folder of the file, or in the one above, with the file over its values.
fn beside_chart(files: &Files, path: &str) -> Option<Vec<Release>> {
    let own = folder(path);
    let mut folders = [own, folder(own)].into_iter();
    let chart = folders.find(|folder| helm::concerns(files, folder))?;
    let mut releases = helm::of_folder(files, chart, |layers| {
        layers.add_file(files, path);
    });
    if layers(files, chart).count() > 1 {
        // They may be meant for one another, or each for itself.
        releases.iter_mut().for_each(|it| it.is_complete = false);
    }
    Some(releases)
}
