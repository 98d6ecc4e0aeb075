//! Argo CD's `Application` and the template of an `ApplicationSet`.

use crate::report::Unseen;
use keyguard_core::document::Node;
use keyguard_core::runtime::chart::argocd_cm::ArgocdChart;
use keyguard_core::runtime::chart::auth::{is_template, is_true};
use keyguard_core::runtime::chart::version::{ChartVersion, EXTERNAL, INTEGRATIONS, NEVER};

use super::argocd_sources::Sources;
use super::embedded;
use super::helm;
use super::layers::Layers;
use super::parameters;
use super::release::{Context, Release, chart_named, chart_of_address};
use super::tree::{Files, is_kind, objects};

const GROUP: &str = "argoproj.io";

/// The releases of every Application and ApplicationSet in the tree.
pub(super) fn releases(files: &Files, context: &Context) -> Vec<Release> {
    let documents = files.values().flat_map(|documents| objects(documents));
    documents
        .filter_map(|object| {
            if is_kind(object, GROUP, "Application") {
                object.get("spec")
            } else if is_kind(object, GROUP, "ApplicationSet") {
                object.path(&["spec", "template", "spec"])
            } else {
                None
            }
        })
        .flat_map(|spec| of_spec(files, context, spec))
        .collect()
}

fn of_spec(files: &Files, context: &Context, spec: &Node) -> Vec<Release> {
    let sources = Sources::of(spec, files, context);
    let namespace = spec.path(&["destination", "namespace"]);
    let mut releases: Vec<Release> = sources
        .all()
        .flat_map(|source| of_source(&sources, source))
        .collect();
    for release in &mut releases {
        release.namespace = namespace.and_then(plain);
        if let Some(node) = namespace.filter(|node| is_template(node)) {
            let what = "the namespace of the release";
            let noted = Unseen::at(&node.at, what, "it is filled in by a template");
            release.unseen.push(noted);
        }
    }
    releases
}

/// A text that is no template.
fn plain(node: &Node) -> Option<String> {
    let text = node.text().filter(|_| !is_template(node))?;
    Some(text.to_owned())
}

fn of_source(sources: &Sources<'_>, source: &Node) -> Vec<Release> {
    let mut releases = match source.get("chart") {
        Some(chart) => packaged(sources, source, chart).into_iter().collect(),
        None => match chart_of_oci(source) {
            Some(chart) => vec![of_chart(sources, source, chart)],
            None => of_path(sources, source),
        },
    };
    let name = source.path(&["helm", "releaseName"]).and_then(plain);
    for release in &mut releases {
        release.name.clone_from(&name);
    }
    releases
}

/// A chart in an OCI registry: the address has its name.
fn chart_of_oci(source: &Node) -> Option<ArgocdChart> {
    let address = source.text_at(&["repoURL"])?;
    chart_of_address(address.strip_prefix("oci://")?)
}

/// A chart of a repository of charts.
fn packaged(sources: &Sources<'_>, source: &Node, chart: &Node) -> Option<Release> {
    if let Some(chart) = chart_named(chart.text()?) {
        return Some(of_chart(sources, source, chart));
    }
    if !is_template(chart) {
        return None;
    }
    // It may be any chart: only the values tell.
    let mut release = of_chart(sources, source, ArgocdChart::GitopsRuntime);
    let is_runtime = [INTEGRATIONS, EXTERNAL, NEVER]
        .iter()
        .any(|path| release.values.path(path).is_some());
    let noted = Unseen::at(&chart.at, "the chart", "it is filled in by a template");
    release.unseen.push(noted);
    is_runtime.then_some(release)
}

fn of_chart(sources: &Sources<'_>, source: &Node, chart: ArgocdChart) -> Release {
    let mut layers = Layers::new(source.at.clone());
    add_values(sources, source, None, &mut layers);
    let revision = source.get("targetRevision");
    let version = match revision.and_then(plain) {
        Some(text) => ChartVersion::parse(&text),
        None => ChartVersion::Unknown,
    };
    if let Some(node) = revision.filter(|node| is_template(node)) {
        let what = "the version of the chart";
        let noted = Unseen::at(&node.at, what, "it is filled in by a template");
        layers.unseen.push(noted);
    }
    Release {
        chart,
        version,
        values: layers.values,
        namespace: None,
        name: None,
        at: source.at.clone(),
        files: layers.files,
        findings: Vec::new(),
        unseen: layers.unseen,
        is_complete: layers.is_complete,
    }
}

/// A chart in this checkout, which depends on one of the two or is one.
fn of_path(sources: &Sources<'_>, source: &Node) -> Vec<Release> {
    let Some(folder) = sources.folder_here(source) else {
        return Vec::new();
    };
    helm::of_folder(sources.files, &folder, |layers| {
        add_values(sources, source, Some(&folder), layers);
    })
}

/// `valueFiles` < `values` < `valuesObject` < `parameters`.
fn add_values(sources: &Sources<'_>, source: &Node, folder: Option<&str>, layers: &mut Layers) {
    let Some(helm) = source.get("helm") else {
        return;
    };
    for file in helm.get("valueFiles").map_or(&[][..], Node::items) {
        sources.add_value_file(helm, file, folder, layers);
    }
    if let Some(entry) = helm.entry("values") {
        match embedded::document(&entry.value, &entry.at) {
            Ok(Some(values)) => layers.add(&values),
            Ok(None) => {}
            Err(_) => layers.miss(
                &entry.at,
                "helm.values",
                "it is no YAML before its templates are filled in",
            ),
        }
    }
    if let Some(object) = helm.get("valuesObject") {
        layers.add(object);
    }
    for parameter in helm.get("parameters").map_or(&[][..], Node::items) {
        let (Some(name), Some(value)) = (parameter.text_at(&["name"]), parameter.get("value"))
        else {
            continue;
        };
        let is_text = parameter.get("forceString").is_some_and(is_true);
        layers.replace_with(|values| parameters::apply(values, name, value, is_text));
    }
}
