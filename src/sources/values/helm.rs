//! Charts in the tree: those that depend on one of the two charts, and the charts themselves.

use std::collections::BTreeSet;

use keyguard_core::document::layers::merge;
use keyguard_core::document::{Content, Entry, Node, ScalarKind};
use keyguard_core::policy::chart_values::beside_dependency;
use keyguard_core::policy::check_finding::CheckFinding;
use keyguard_core::runtime::chart::argocd_cm::ArgocdChart;
use keyguard_core::runtime::chart::version::ChartVersion;

use super::layers::Layers;
use super::marks::has_layers;
use super::release::{Context, Release, chart_named};
use super::tree::{Files, first, folder, name, resolve};

/// The releases of every chart in the tree that is not `named` by one already.
pub(super) fn releases(files: &Files, context: &Context, named: &BTreeSet<String>) -> Vec<Release> {
    let charts = files
        .keys()
        .filter(|path| name(path) == "Chart.yaml" && !named.contains(*path));
    let parts = parts_of_others(files);
    charts
        .flat_map(|path| {
            let folder = folder(path);
            let mut releases = of_folder(files, folder, |layers| {
                for path in &context.value_files {
                    let at = layers.values.at.clone();
                    layers.add_named_file(files, resolve("", path), &at);
                }
            });
            // What others lay over it may have what it lacks.
            let is_a_base = context.value_files.is_empty() && has_layers(files, folder);
            if parts.contains(folder) || is_a_base {
                releases.iter_mut().for_each(|it| it.is_complete = false);
            }
            releases
        })
        .collect()
}

/// The folders of charts in the tree that another chart depends on.
fn parts_of_others(files: &Files) -> BTreeSet<String> {
    let charts = files.keys().filter(|path| name(path) == "Chart.yaml");
    let dependencies = charts.flat_map(|path| {
        let listed = first(files, path).and_then(|chart| chart.get("dependencies"));
        let listed = listed.map_or(&[][..], Node::items).iter();
        listed.filter_map(|dependency| {
            let repository = dependency.text_at(&["repository"])?;
            resolve(folder(path), repository.strip_prefix("file://")?)
        })
    });
    dependencies.collect()
}

/// Whether the chart in `folder` is one of the two, or depends on one, enabled or not.
pub(super) fn concerns(files: &Files, folder: &str) -> bool {
    let inside = |name: &str| first(files, &resolve(folder, name)?);
    let chart = inside("Chart.yaml");
    chart.is_some_and(|chart| !dependencies(chart, inside("requirements.yaml")).is_empty())
}

/// What a `Chart.yaml` says about one of the two charts.
struct Dependency<'a> {
    chart: ArgocdChart,
    /// Under which key its values stand; `None` of the chart itself.
    key: Option<&'a str>,
    version: ChartVersion,
    condition: Option<&'a str>,
    tags: &'a [Node],
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
    let keys: Vec<&str> = dependencies.iter().filter_map(|it| it.key).collect();
    dependencies
        .into_iter()
        .filter(|dependency| dependency.is_enabled(&layers.values))
        .map(|dependency| dependency.release(&layers, &keys))
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
            tags: &[],
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
                tags: dependency.get("tags").map_or(&[][..], Node::items),
                declared: dependency,
            })
        })
        .collect()
}

impl Dependency<'_> {
    /// The first path of `condition` that is a boolean decides, else a tag that is true, else one that is false.
    ///
    /// Source: Helm `processDependencyConditions` and `processDependencyTags`.
    fn is_enabled(&self, values: &Node) -> bool {
        let boolean = |keys: &[&str]| match values.path(keys)?.scalar()?.kind {
            ScalarKind::Bool(value) => Some(value),
            _ => None,
        };
        let mut paths = self.condition.unwrap_or_default().split(',');
        let by_condition = paths.find_map(|path| {
            let keys: Vec<&str> = path.trim().split('.').collect();
            boolean(&keys)
        });
        let tags = self.tags.iter().filter_map(Node::text);
        let by_tag = tags.filter_map(|tag| boolean(&["tags", tag])).max();
        by_condition.or(by_tag).unwrap_or(true)
    }

    /// `keys` are those of all dependencies.
    fn release(self, layers: &Layers, keys: &[&str]) -> Release {
        let parent = &layers.values;
        let (values, findings) = match self.key {
            None => (parent.clone(), Vec::new()),
            Some(key) => (below(parent, key), self.misplaced(parent, key, keys)),
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

    fn misplaced(&self, parent: &Node, key: &str, keys: &[&str]) -> Vec<CheckFinding> {
        if self.chart == ArgocdChart::ArgoCd {
            return Vec::new();
        }
        let mut findings = beside_dependency(parent, key);
        // The values of another alias are where they belong.
        let of_another = |path: &str| keys.iter().any(|key| path.split('.').next() == Some(key));
        findings.retain(|finding| !of_another(&finding.path));
        findings
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
