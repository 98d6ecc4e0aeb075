//! `guard`: what is guarded besides `argocd-cm` and workloads.

use super::section::Section;
use keyguard_core::policy::guard::Guard;

/// Reads the section.
pub(super) fn read(section: &mut Section<'_>, guard: &mut Guard) {
    section.boolean("secrets", &mut guard.secrets);
    section.boolean("accountsInUse", &mut guard.accounts_in_use);
    section.boolean("argocdSecret", &mut guard.argocd_secret);
    section.namespaces("runtimeNamespaces", &mut guard.runtime_namespaces);
}
