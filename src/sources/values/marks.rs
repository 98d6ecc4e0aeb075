//! By what values of the Runtime's chart are known, and which files are laid over which chart.

use keyguard_core::document::Node;

use super::tree::{Files, folder, resolve};

/// What only values of the Runtime's chart have under `global`.
const MARKS: [&[&str]; 3] = [
    &["global", "external-argo-cd"],
    &["global", "integrations", "argo-cd"],
    &["global", "external-arg-cd"],
];

/// Whether there are files of values that may be laid over the values of the chart in `folder`.
pub(super) fn has_layers(files: &Files, folder: &str) -> bool {
    layers(files, folder).next().is_some()
}

pub(super) fn layers<'a>(files: &'a Files, chart: &'a str) -> impl Iterator<Item = &'a str> {
    let own = resolve(chart, "values.yaml");
    let in_reach = move |path: &str| folder(path) == chart || folder(folder(path)) == chart;
    let start = chart.to_owned();
    let files = files
        .range(start..)
        .take_while(move |(path, _)| path.starts_with(chart));
    files.filter_map(move |(path, documents)| {
        let document = documents.first()?;
        let is_layer = in_reach(path) && Some(path) != own.as_ref() && !is_object(document);
        let mut nested = document.entries().iter().map(|entry| &entry.value);
        (is_layer && (is_marked(document) || nested.any(is_marked))).then_some(path.as_str())
    })
}

pub(super) fn is_object(document: &Node) -> bool {
    document.get("apiVersion").is_some() && document.get("kind").is_some()
}

pub(super) fn is_marked(values: &Node) -> bool {
    MARKS
        .iter()
        .any(|path| values.path(path).is_some_and(|it| !it.is_null()))
}
