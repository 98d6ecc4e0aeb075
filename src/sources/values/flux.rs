//! Flux's `HelmRelease`.
//!
//! Source: Flux helm-controller `api/v2`, `ChartValuesFromReferences`.

use keyguard_core::document::Node;
use keyguard_core::runtime::chart::argocd_cm::ArgocdChart;
use keyguard_core::runtime::chart::auth::is_template;
use keyguard_core::runtime::chart::version::ChartVersion;

use super::flux_values_from;
use super::helm;
use super::layers::Layers;
use super::release::{Release, chart_named, chart_of_address};
use super::tree::{Files, is_kind, objects, resolve};
use crate::report::Unseen;

/// The releases of every HelmRelease in the tree.
pub(super) fn releases(files: &Files) -> Vec<Release> {
    let documents = files.values().flat_map(|documents| objects(documents));
    documents
        .filter(|object| is_kind(object, "helm.toolkit.fluxcd.io", "HelmRelease"))
        .flat_map(|object| of_object(files, object))
        .collect()
}

/// Where a HelmRelease has its chart from.
enum Chart {
    /// A package.
    Packaged(ArgocdChart, ChartVersion, Vec<Unseen>),
    /// A folder of this checkout, as far as it can be told.
    Folder(String),
}

fn of_object(files: &Files, object: &Node) -> Vec<Release> {
    let Some(spec) = object.get("spec") else {
        return Vec::new();
    };
    let namespace = [&["spec", "targetNamespace"][..], &["metadata", "namespace"]]
        .iter()
        .find_map(|path| object.path(path))
        .and_then(plain);
    let name = [&["spec", "releaseName"][..], &["metadata", "name"]]
        .iter()
        .find_map(|path| object.path(path))
        .and_then(plain);
    let mut releases = match chart(files, object, spec) {
        Some(Chart::Packaged(chart, version, unseen)) => {
            let mut layers = Layers::new(spec.at.clone());
            layers.unseen = unseen;
            add_values(files, object, spec, &mut layers);
            vec![Release {
                chart,
                version,
                values: layers.values,
                namespace: None,
                name: None,
                at: spec.at.clone(),
                files: layers.files,
                findings: Vec::new(),
                unseen: layers.unseen,
                is_complete: layers.is_complete,
            }]
        }
        Some(Chart::Folder(folder)) => helm::of_folder(files, &folder, |layers| {
            for file in spec
                .path(&["chart", "spec", "valuesFiles"])
                .map_or(&[][..], Node::items)
            {
                let path = file.text().and_then(|path| resolve("", path));
                layers.add_named_file(files, path, &file.at);
            }
            add_values(files, object, spec, layers);
        }),
        None => Vec::new(),
    };
    for release in &mut releases {
        release.namespace.clone_from(&namespace);
        release.name.clone_from(&name);
    }
    releases
}

/// A text that is no template.
fn plain(node: &Node) -> Option<String> {
    let text = node.text().filter(|_| !is_template(node))?;
    Some(text.to_owned())
}

fn chart(files: &Files, object: &Node, spec: &Node) -> Option<Chart> {
    if let Some(reference) = spec.get("chartRef") {
        return referred(files, object, reference);
    }
    template(spec.path(&["chart", "spec"])?)
}

/// `chart` and `version`, as a HelmRelease and a HelmChart have them.
fn template(spec: &Node) -> Option<Chart> {
    let name = spec.text_at(&["chart"])?;
    match chart_named(name) {
        Some(chart) => {
            let (version, unseen) = version(spec.get("version"));
            Some(Chart::Packaged(chart, version, unseen))
        }
        // A chart in a repository of git.
        None => resolve("", name).map(Chart::Folder),
    }
}

fn version(node: Option<&Node>) -> (ChartVersion, Vec<Unseen>) {
    let Some(node) = node else {
        return (ChartVersion::Unknown, Vec::new());
    };
    match plain(node) {
        Some(text) => (ChartVersion::parse(&text), Vec::new()),
        None if is_template(node) => {
            let noted = Unseen::at(
                &node.at,
                "the version of the chart",
                "it is filled in by a template",
            );
            (ChartVersion::Unknown, vec![noted])
        }
        None => (ChartVersion::Unknown, Vec::new()),
    }
}

/// The HelmChart or OCIRepository that `chartRef` names, in the tree.
fn referred(files: &Files, object: &Node, reference: &Node) -> Option<Chart> {
    let (kind, name) = (reference.text_at(&["kind"])?, reference.text_at(&["name"])?);
    let namespace = reference
        .text_at(&["namespace"])
        .or_else(|| object.text_at(&["metadata", "namespace"]));
    let mut documents = files.values().flat_map(|documents| objects(documents));
    let found = documents.find(|it| {
        is_kind(it, "source.toolkit.fluxcd.io", kind)
            && it.text_at(&["metadata", "name"]) == Some(name)
            && flux_values_from::is_in(it, namespace)
    });
    let Some(spec) = found.and_then(|it| it.get("spec")) else {
        // Nothing tells which chart it is; its name is a hint that is good enough to say that it was not seen.
        let chart = chart_of_address(name)?;
        let noted = Unseen::at(
            &reference.at,
            format!("the {kind} {name}"),
            "it is not in the tree",
        );
        return Some(Chart::Packaged(chart, ChartVersion::Unknown, vec![noted]));
    };
    if kind == "HelmChart" {
        return template(spec);
    }
    let chart = chart_of_address(spec.text_at(&["url"])?)?;
    let tag = [["ref", "semver"], ["ref", "tag"]];
    let (version, unseen) = version(tag.iter().find_map(|path| spec.path(path)));
    Some(Chart::Packaged(chart, version, unseen))
}

fn add_values(files: &Files, object: &Node, spec: &Node, layers: &mut Layers) {
    let namespace = object.text_at(&["metadata", "namespace"]);
    for source in spec.get("valuesFrom").map_or(&[][..], Node::items) {
        flux_values_from::add(files, namespace, source, layers);
    }
    if let Some(values) = spec.get("values") {
        layers.add(values);
    }
}
