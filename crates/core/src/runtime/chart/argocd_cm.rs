//! What the values of a chart put into `argocd-cm` about accounts.

use std::collections::BTreeMap;

use super::auth::is_true;
use super::references::is_external;
use crate::document::{Content, Node, Position};

/// A chart that makes `argocd-cm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgocdChart {
    /// The Runtime's, with Argo CD's as its dependency `argo-cd`.
    GitopsRuntime,
    /// Argo CD's own.
    ArgoCd,
}

/// The accounts of an `argocd-cm` that a chart makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgocdCm {
    /// The keys about accounts, with the chart's defaults.
    pub data: BTreeMap<String, String>,
    /// Where those stand that are written.
    pub places: BTreeMap<String, Position>,
    /// Where `cm` stands, or else where the values begin.
    pub at: Position,
    /// The path of `cm` among the values.
    pub path: &'static str,
    /// Whether anything about accounts is written, so that it differs from the chart's defaults.
    pub is_written: bool,
}

/// The `argocd-cm` that `chart` makes of these values; `None` when it makes none.
pub fn argocd_cm(values: &Node, chart: ArgocdChart) -> Option<ArgocdCm> {
    let (keys, path): (&[&str], _) = match chart {
        ArgocdChart::GitopsRuntime if is_external(values) => return None,
        ArgocdChart::GitopsRuntime => (&["argo-cd", "configs", "cm"], "argo-cd.configs.cm"),
        ArgocdChart::ArgoCd => (&["configs", "cm"], "configs.cm"),
    };
    let mut data = BTreeMap::from([("admin.enabled".to_owned(), "true".to_owned())]);
    if chart == ArgocdChart::GitopsRuntime {
        data.insert("accounts.admin".to_owned(), "apiKey,login".to_owned());
    }
    let mut places = BTreeMap::new();
    let cm = values.path(keys);
    let is_made = |cm: &Node| cm.get("create").is_none_or(is_true);
    if !cm.is_none_or(is_made) {
        return None;
    }
    for entry in cm.map_or(&[][..], Node::entries) {
        if !(entry.key.starts_with("accounts.") || entry.key == "admin.enabled") {
            continue;
        }
        let Content::Scalar(scalar) = &entry.value.content else {
            continue;
        };
        places.insert(entry.key.clone(), entry.value.at.clone());
        // The chart leaves out what is empty.
        match scalar.text.is_empty() || entry.value.is_null() {
            true => data.remove(&entry.key),
            false => data.insert(entry.key.clone(), scalar.text.to_string()),
        };
    }
    Some(ArgocdCm {
        is_written: !places.is_empty(),
        data,
        places,
        at: cm.map_or(&values.at, |cm| &cm.at).clone(),
        path,
    })
}
