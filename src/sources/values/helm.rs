//! Charts in the tree: those that depend on one of the two charts, and the charts themselves.

use std::collections::BTreeSet;

use keyguard_core::document::layers::merge;
use keyguard_core::document::{Content, Entry, Node};
use keyguard_core::policy::chart_values::beside_dependency;
use keyguard_core::policy::check_finding::CheckFinding;
use keyguard_core::runtime::chart::argocd_cm::ArgocdChart;
use keyguard_core::runtime::chart::auth::is_true;
use keyguard_core::runtime::chart::version::ChartVersion;

use super::layers::Layers;
use super::release::{Context, Release, chart_named};
use super::tree::{Files, first, folder, name, resolve};

/// The releases of every chart in the tree that is not `named` by one already.
pub(super) fn releases(files: &Files, context: &Context, named: &BTreeSet<String>) -> Vec<Release> {
    let charts = files
        .keys()
        .filter(|path| name(path) == "Chart.yaml" && !named.contains(*path));
    charts
        .flat_map(|path| {
            of_folder(files, folder(path), |layers| {
                for path in &context.value_files {
                    let at = layers.values.at.clone();
                    layers.add_named_file(files, resolve("", path), &at);
                }
            })
        })
        .collect()
}

/// What a `Chart.yaml` says about one of the two charts.
struct Dependency<'a> {
    chart: ArgocdChart,
    /// Under which key its values stand; `None` of the chart itself.
    key: Option<&'a str>,
    version: ChartVersion,
    condition: Option<&'a str>,
    declared: &'a Node,
}

/// The releases of the chart in `folder`: of itself, or of what it depends on. `add` lays more values over its own.
pub(super) fn of_folder(files: &Files, folder: &str, add: impl Fn(&mut Layers)) -> Vec<Release> {
    let inside = |name: &str| resolve(folder, name).unwrap_or_default();
    let Some(chart) = first(files, &inside("Chart.yaml")) else {
        return Vec::new();
    };
    let requirements = first(files, &inside("requirements.yaml"));
    let dependencies = dependencies(chart, requirements);
    if dependencies.is_empty() {
        return Vec::new();
    }
    let mut layers = Layers::new(chart.at.clone());
    layers.files.push(inside("Chart.yaml"));
    layers.add_file(files, &inside("values.yaml"));
    add(&mut layers);
    dependencies
        .into_iter()
        .filter(|dependency| dependency.is_enabled(&layers.values))
        .map(|dependency| dependency.release(&layers))
        .collect()
}

fn dependencies<'a>(chart: &'a Node, requirements: Option<&'a Node>) -> Vec<Dependency<'a>> {
    let version = |node: &Node| {
        let text = node.text_at(&["version"]);
        text.map_or(ChartVersion::Unknown, ChartVersion::parse)
    };
    if let Some(itself) = chart.text_at(&["name"]).and_then(chart_named) {
        return vec![Dependency {
            chart: itself,
            key: None,
            version: version(chart),
            condition: None,
            declared: chart,
        }];
    }
    let listed = [Some(chart), requirements].into_iter().flatten();
    listed
        .filter_map(|document| document.get("dependencies"))
        .flat_map(Node::items)
        .filter_map(|dependency| {
            let name = dependency.text_at(&["name"])?;
            Some(Dependency {
                chart: chart_named(name)?,
                key: Some(dependency.text_at(&["alias"]).unwrap_or(name)),
                version: version(dependency),
                condition: dependency.text_at(&["condition"]),
                declared: dependency,
            })
        })
        .collect()
}

impl Dependency<'_> {
    /// The first path of `condition` that is a boolean decides.
    fn is_enabled(&self, values: &Node) -> bool {
        let paths = self.condition.unwrap_or_default().split(',');
        paths
            .filter_map(|path| {
                let keys: Vec<&str> = path.trim().split('.').collect();
                values.path(&keys)
            })
            .next()
            .is_none_or(is_true)
    }

    fn release(self, layers: &Layers) -> Release {
        let parent = &layers.values;
        let (values, findings) = match self.key {
            None => (parent.clone(), Vec::new()),
            Some(key) => (below(parent, key), self.misplaced(parent, key)),
        };
        Release {
            chart: self.chart,
            version: self.version,
            values,
            namespace: None,
            name: None,
            at: self.declared.at.clone(),
            files: layers.files.clone(),
            findings,
            unseen: layers.unseen.clone(),
            is_complete: layers.is_complete,
        }
    }

    fn misplaced(&self, parent: &Node, key: &str) -> Vec<CheckFinding> {
        match self.chart {
            ArgocdChart::GitopsRuntime => beside_dependency(parent, key),
            ArgocdChart::ArgoCd => Vec::new(),
        }
    }
}

/// The values of a dependency: what stands under its key, and the parent's `global` over its own.
fn below(parent: &Node, key: &str) -> Node {
    let own = parent
        .get(key)
        .filter(|own| matches!(own.content, Content::Map(_)));
    let values = own.map_or_else(|| Node::empty_map(parent.at.clone()), Node::clone);
    let Some(global) = parent.entry("global") else {
        return values;
    };
    let over = Node {
        at: values.at.clone(),
        content: Content::Map(vec![Entry {
            key: global.key.clone(),
            at: global.at.clone(),
            value: global.value.clone(),
        }]),
    };
    merge(values, over)
}
