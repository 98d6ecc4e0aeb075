//! What all ways to install a chart have in common.

use keyguard_core::document::{Node, Position};
use keyguard_core::policy::chart_values;
use keyguard_core::policy::check_finding::{CheckFinding, CheckSeverity};
use keyguard_core::policy::check_rules::CheckRule;
use keyguard_core::runtime::chart::argocd_cm::ArgocdChart;
use keyguard_core::runtime::chart::references::ChartReference;
use keyguard_core::runtime::chart::rendering::references;
use keyguard_core::runtime::chart::version::ChartVersion;

use crate::report::Unseen;

/// What is known besides the files.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The addresses of the repository that the files are a checkout of, such as its git remotes.
    pub repositories: Vec<String>,
    /// Values files, relative to the root, that are laid over the `values.yaml` of a chart, as by `helm -f`, in order.
    pub value_files: Vec<String>,
}

/// One release of a chart. `Debug` shows the shape of the values and no scalar.
#[derive(Clone, Debug)]
pub struct Release {
    /// The chart.
    pub chart: ArgocdChart,
    /// Its version, as far as it is named.
    pub version: ChartVersion,
    /// All layers merged. They begin where the chart's own values do: `global` is at the top. Each part has the place
    /// where a person edits it.
    pub values: Node,
    /// The namespace, when it is named and no template.
    pub namespace: Option<String>,
    /// The name of the release, when it is named and no template.
    pub name: Option<String>,
    /// Where the release is declared.
    pub at: Position,
    /// The files of which the values are, and the `Chart.yaml` of a chart in the tree.
    pub files: Vec<String>,
    /// What is wrong with where the values stand, besides what `chart_values::judge` tells of them.
    pub findings: Vec<CheckFinding>,
    /// What would have been needed and could not be seen.
    pub unseen: Vec<Unseen>,
    /// Whether all layers of the values could be seen. Otherwise what is not written may stand in another.
    pub is_complete: bool,
}

impl Release {
    /// Everything that is wrong with the values. Of Argo CD's own chart only its accounts count, which the caller judges.
    pub fn judge(&self) -> Vec<CheckFinding> {
        let mut findings = self.findings.clone();
        if self.chart == ArgocdChart::GitopsRuntime {
            findings.extend(chart_values::judge(&self.values, &self.version));
        }
        if !self.is_complete {
            findings.iter_mut().for_each(allow_for_other_layers);
        }
        findings
    }

    /// The Secrets that the components will refer to; of the chart's defaults only when no layer is missing that may
    /// say otherwise.
    pub fn references(&self) -> Vec<ChartReference> {
        if self.chart != ArgocdChart::GitopsRuntime {
            return Vec::new();
        }
        let mut references = references(&self.values, &self.version);
        references.retain(|reference| self.is_complete || reference.is_written);
        references
    }
}

/// What is missing here may stand in a layer that could not be seen.
fn allow_for_other_layers(finding: &mut CheckFinding) {
    let by_absence = [CheckRule::TypeMismatch, CheckRule::ReferenceIncomplete];
    if by_absence.contains(&finding.rule) && finding.severity == CheckSeverity::Error {
        finding.severity = CheckSeverity::Warning;
        finding
            .what
            .push_str(", as far as the values could be seen");
    }
}

/// The chart of this name, if it is one of the two.
pub(super) fn chart_named(name: &str) -> Option<ArgocdChart> {
    match name {
        "gitops-runtime" => Some(ArgocdChart::GitopsRuntime),
        "argo-cd" => Some(ArgocdChart::ArgoCd),
        _ => None,
    }
}

/// The chart at the end of an address of a registry, such as `oci://quay.io/codefresh/gitops-runtime`.
pub(super) fn chart_of_address(address: &str) -> Option<ArgocdChart> {
    chart_named(address.trim_end_matches('/').rsplit('/').next()?)
}
