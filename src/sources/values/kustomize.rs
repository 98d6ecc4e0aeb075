//! Kustomize's `helmCharts`.
//!
//! Source: kustomize `api/types/helmchartargs.go` and `HelmChartInflationGenerator`.

use keyguard_core::document::Node;
use keyguard_core::runtime::chart::version::ChartVersion;

use super::layers::Layers;
use super::release::{Release, chart_named};
use super::tree::{Files, folder, name, resolve};

/// The releases of every kustomization in the tree.
pub(super) fn releases(files: &Files) -> Vec<Release> {
    let mut releases = Vec::new();
    for (path, documents) in files {
        if !is_kustomization(path) {
            continue;
        }
        for document in documents {
            let charts = document.get("helmCharts").map_or(&[][..], Node::items);
            let found = charts
                .iter()
                .filter_map(|chart| release(files, path, document, chart));
            releases.extend(found);
        }
    }
    releases
}

/// Whether Kustomize reads a file of this name.
pub(crate) fn is_kustomization(path: &str) -> bool {
    matches!(
        name(path),
        "kustomization.yaml" | "kustomization.yml" | "Kustomization"
    )
}

fn release(files: &Files, path: &str, document: &Node, chart: &Node) -> Option<Release> {
    let kind = chart_named(chart.text_at(&["name"])?)?;
    let mut layers = Layers::new(chart.at.clone());
    let inline = chart.get("valuesInline");
    let file = |layers: &mut Layers, node: &Node| {
        let named = node.text().unwrap_or_default();
        layers.add_named_file(files, resolve(folder(path), named), &node.at);
    };
    // Which of the two wins; the others come after both.
    let way = chart.text_at(&["valuesMerge"]).unwrap_or("override");
    if let Some(inline) = inline.filter(|_| way == "merge") {
        layers.add(inline);
    }
    match chart.get("valuesFile") {
        // It is named, and not read.
        Some(node) if inline.is_some() && way == "replace" => {
            let named = node.text().and_then(|named| resolve(folder(path), named));
            layers.files.extend(named);
        }
        Some(node) => file(&mut layers, node),
        None => {}
    }
    if let Some(inline) = inline.filter(|_| way != "merge") {
        layers.add(inline);
    }
    for node in chart
        .get("additionalValuesFiles")
        .map_or(&[][..], Node::items)
    {
        file(&mut layers, node);
    }
    let namespace = chart
        .text_at(&["namespace"])
        .or_else(|| document.text_at(&["namespace"]));
    Some(Release {
        chart: kind,
        version: chart
            .text_at(&["version"])
            .map_or(ChartVersion::Unknown, ChartVersion::parse),
        values: layers.values,
        namespace: namespace.map(str::to_owned),
        name: chart.text_at(&["releaseName"]).map(str::to_owned),
        at: chart.at.clone(),
        files: layers.files,
        findings: Vec::new(),
        unseen: layers.unseen,
        is_complete: layers.is_complete,
    })
}
