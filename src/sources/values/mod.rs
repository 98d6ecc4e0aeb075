//! Values of the charts `gitops-runtime` and `argo-cd`, wherever people keep them. Nothing here opens a file.
//!
//! What is looked at: charts that depend on one, Argo CD's Application and ApplicationSet, Flux's HelmRelease,
//! Kustomize's `helmCharts`, the charts themselves, and values files that nothing names.

mod argocd_application;
mod argocd_sources;
mod embedded;
mod flux;
mod flux_values_from;
mod helm;
mod kustomize;
mod layers;
mod marks;
mod parameters;
mod release;
mod standalone;
mod templated;
mod tree;

#[cfg(test)]
mod argocd_application_tests;
#[cfg(test)]
mod flux_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub(crate) use embedded::documents as embedded_documents;
pub(crate) use kustomize::is_kustomization;
pub use release::{Context, Release};
pub use tree::Files;
pub(crate) use tree::{folder, resolve};

/// Every release of the two charts in `files`, and what could not be seen of them.
///
/// A chart or values file that a release names is not told a second time on its own. Two releases may share a file, and
/// with it a finding.
pub fn releases(files: &Files, context: &Context) -> Vec<Release> {
    let mut releases = argocd_application::releases(files, context);
    releases.extend(flux::releases(files));
    releases.extend(kustomize::releases(files));
    let named: BTreeSet<String> = releases
        .iter()
        .flat_map(|release| release.files.iter().cloned())
        .collect();
    releases.extend(helm::releases(files, context, &named));
    let named: BTreeSet<String> = releases
        .iter()
        .flat_map(|release| release.files.iter().cloned())
        .collect();
    releases.extend(standalone::releases(files, context, &named));
    for release in &mut releases {
        templated::note(release);
        release.unseen.sort();
        release.unseen.dedup();
    }
    releases
}
