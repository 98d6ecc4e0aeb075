//! Argo CD's `Application` and the template of an `ApplicationSet`.

use crate::report::Unseen;
use keyguard_core::document::Node;
use keyguard_core::document::layers::merge;
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
        .flat_map(|object| {
            if is_kind(object, GROUP, "Application") {
                let spec = object.get("spec");
                spec.map_or_else(Vec::new, |spec| of_spec(files, context, spec))
            } else if is_kind(object, GROUP, "ApplicationSet") {
                of_set(files, context, object)
            } else {
                Vec::new()
            }
        })
        .collect()
}

/// The releases of the template of an ApplicationSet, with its `templatePatch` over it.
fn of_set(files: &Files, context: &Context, object: &Node) -> Vec<Release> {
    let Some(template) = object.path(&["spec", "template"]) else {
        return Vec::new();
    };
    let patch = object
        .path(&["spec"])
        .and_then(|spec| spec.entry("templatePatch"));
    let written = patch.map(|patch| match is_template(&patch.value) {
        true => Err(patch),
        false => embedded::document(&patch.value, &patch.at).map_err(|_| patch),
    });
    let patched = match &written {
        Some(Ok(Some(patch))) => merge(template.clone(), patch.clone()),
        _ => template.clone(),
    };
    let spec = patched.get("spec");
    let mut releases = spec.map_or_else(Vec::new, |spec| of_spec(files, context, spec));
    if let Some(Err(patch)) = written {
        let why = "it is no YAML before its templates are filled in, and may change the values";
        for release in &mut releases {
            let noted = Unseen::at(&patch.at, "templatePatch", why);
            release.unseen.push(noted);
            release.is_complete = false;
        }
    }
    releases
}

fn of_spec(files: &Files, context: &Context, spec: &Node) -> Vec<Release> {
    let sources = Sources::of(spec, files, context);
    let namespace = spec.path(&["destination", "namespace"]);
    let mut releases: Vec<Release> = sources
        .all()
        .flat_map(|source| of_source(&sources, source))
        .collect();
    for release in &mut releases {
        set_namespace(release, namespace);
    }
    releases
}

/// `helm.namespace` wins over `destination.namespace`, which comes later here.
fn set_namespace(release: &mut Release, namespace: Option<&Node>) {
    let Some(node) = namespace.filter(|_| release.namespace.is_none()) else {
        return;
    };
    release.namespace = plain(node);
    if is_template(node) {
        let what = "the namespace of the release";
        let noted = Unseen::at(&node.at, what, "it is filled in by a template");
        release.unseen.push(noted);
    }
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
    let namespace = source.path(&["helm", "namespace"]);
    for release in &mut releases {
        release.name.clone_from(&name);
        set_namespace(release, namespace);
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

/// `valueFiles` < `valuesObject`, else `values` < `parameters` < those that are texts < `fileParameters`.
///
/// Source: Argo CD `reposerver/repository/repository.go`, `helmTemplate`, and `ValuesYAML`.
fn add_values(sources: &Sources<'_>, source: &Node, folder: Option<&str>, layers: &mut Layers) {
    let Some(helm) = source.get("helm") else {
        return;
    };
    sources.add_value_files(helm, folder, layers);
    match helm.get("valuesObject").filter(|object| !object.is_null()) {
        Some(object) => layers.add(object),
        None => add_text(helm, layers),
    }
    let parameters = || helm.get("parameters").map_or(&[][..], Node::items).iter();
    for are_texts in [false, true] {
        for parameter in parameters() {
            let is_text = parameter.get("forceString").is_some_and(is_true);
            if is_text == are_texts
                && let Some(name) = parameter.text_at(&["name"])
                && let Some(value) = parameter.get("value")
            {
                layers.replace_with(|values| parameters::apply(values, name, value, is_text));
            }
        }
    }
    for parameter in helm.get("fileParameters").map_or(&[][..], Node::items) {
        let name = parameter.text_at(&["name"]).unwrap_or_default();
        if name.starts_with("global.") || name.contains("configs.cm.") {
            layers.miss(&parameter.at, name, "its value is the text of a file");
        }
    }
}

fn add_text(helm: &Node, layers: &mut Layers) {
    let Some(entry) = helm.entry("values") else {
        return;
    };
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
