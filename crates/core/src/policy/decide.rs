//! The decision: who is let through unjudged, what must be known, and the verdict on what is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::accounts::{self};

use crate::policy::accounts_change::Change;
use crate::policy::accounts_in_use;
use crate::policy::argocd_secret::{self, Fate};
use crate::policy::break_glass::BreakGlass;
use crate::policy::credentials::{self, OnError};
use crate::policy::facts::Facts;
use crate::policy::guard::Guard;
use crate::policy::in_use::{InUse, Search};
use crate::policy::namespace_label::NamespaceLabel;
use crate::policy::plan::{Lookups, lookups};
use crate::policy::rules::Modes;
use crate::policy::secrets_in_use;
use crate::policy::subject::{Case, Operation, Subject};
use crate::policy::verdict::{Finding, Passage, Severity, Verdict};

/// Users that only clean up: refusing their deletes would keep a namespace from ever ending.
pub const CLUSTER_CONTROLLERS: [&str; 2] = [
    "system:serviceaccount:kube-system:namespace-controller",
    "system:serviceaccount:kube-system:generic-garbage-collector",
];

/// What a dry run is refused for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum DryRun {
    /// What the object alone shows. What depends on other objects is warned of: the same change may bring them, and a
    /// refusal would keep Argo CD's server-side diff from ever starting the sync that does.
    #[default]
    Warn,
    /// The same as any other request.
    Enforce,
}

/// What the operator decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The accounts whose API key and login are kept.
    pub protected_accounts: Vec<String>,
    /// What happens when a Secret cannot be read.
    pub on_error: OnError,
    /// The mode of each rule.
    pub modes: Modes,
    /// Users whose requests are not judged.
    pub exempt_users: Vec<String>,
    /// Groups whose members' requests are not judged.
    pub exempt_groups: Vec<String>,
    /// Namespaces in which nothing is judged.
    pub exempt_namespaces: Vec<String>,
    /// Labels of namespaces in which nothing is judged, when the API server asks for the record.
    pub exempt_namespace_labels: Vec<NamespaceLabel>,
    /// Groups whose members may lift rules by an annotation of the object.
    pub break_glass_groups: Vec<String>,
    /// How many Secrets are read for one request.
    pub max_secret_reads: usize,
    /// What a dry run is for.
    pub dry_run: DryRun,
    /// What is guarded besides.
    pub guard: Guard,
    /// Where the Argo CD is whose own state is asked whether credentials work; nowhere by default.
    pub argocd_namespace: Option<String>,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            protected_accounts: vec!["admin".to_owned()],
            on_error: OnError::Deny,
            modes: Modes::default(),
            exempt_users: Vec::new(),
            exempt_groups: Vec::new(),
            exempt_namespaces: Vec::new(),
            exempt_namespace_labels: Vec::new(),
            break_glass_groups: Vec::new(),
            max_secret_reads: 32,
            dry_run: DryRun::default(),
            guard: Guard::default(),
            argocd_namespace: None,
        }
    }
}

impl Policy {
    /// Why the request is let through unjudged, if it is.
    pub fn passage(&self, case: &Case) -> Option<Passage> {
        let guarded = match (&case.subject, case.operation) {
            (_, Operation::Connect) | (Subject::NotGuarded, _) => false,
            (Subject::Accounts { .. }, _) => true,
            (Subject::Secret { .. }, operation) => {
                self.guard.secrets
                    && self.guard.is_runtime(&case.namespace)
                    && operation != Operation::Create
            }
            (Subject::ArgocdSecret { .. }, operation) => {
                self.guard.argocd_secret && operation != Operation::Create
            }
            (Subject::Workload { .. } | Subject::Malformed { .. }, operation) => {
                operation != Operation::Delete
            }
        };
        let deletes = case.operation == Operation::Delete;
        if !guarded {
            Some(Passage::NotGuarded)
        } else if self.exempt_users.contains(&case.user) {
            Some(Passage::ExemptUser)
        } else if group_of(case, &self.exempt_groups).is_some() {
            Some(Passage::ExemptGroup)
        } else if self.exempt_namespaces.contains(&case.namespace) {
            Some(Passage::ExemptNamespace)
        } else if case.for_the_record && !self.exempt_namespace_labels.is_empty() {
            Some(Passage::ExemptNamespaceLabel)
        } else if case.being_deleted {
            Some(Passage::BeingDeleted)
        } else if deletes && CLUSTER_CONTROLLERS.contains(&case.user.as_str()) {
            Some(Passage::ClusterController)
        } else if matches!(
            case.subject,
            Subject::Workload {
                controlled: true,
                ..
            } | Subject::Malformed {
                controlled: true,
                ..
            }
        ) {
            Some(Passage::Controlled)
        } else {
            None
        }
    }

    /// The entry of the configuration by which the request is let through, if one does.
    fn entry(&self, passage: Passage, case: &Case) -> String {
        match passage {
            Passage::ExemptUser => format!("exemptUsers: {}", case.user),
            Passage::ExemptGroup => {
                let group = group_of(case, &self.exempt_groups).unwrap_or_default();
                format!("exemptGroups: {group}")
            }
            Passage::ExemptNamespace => format!("exemptNamespaces: {}", case.namespace),
            Passage::ExemptNamespaceLabel => {
                let labels = self.exempt_namespace_labels.iter();
                let labels: Vec<String> = labels.map(ToString::to_string).collect();
                format!("exemptNamespaceLabels: {}", labels.join(", "))
            }
            _ => String::new(),
        }
    }

    /// What must be looked up before [`Policy::decide`]; `None` when nothing.
    pub fn plan(&self, case: &Case) -> Option<Lookups> {
        if self.passage(case).is_some() {
            return None;
        }
        match &case.subject {
            Subject::Workload { references, .. } if !references.found.is_empty() => {
                let found = &references.found;
                let lookups = lookups(found, self.max_secret_reads);
                Some(match &self.argocd_namespace {
                    Some(namespace) => lookups.verifying(found, namespace),
                    None => lookups,
                })
            }
            _ => None,
        }
    }

    /// The verdict. `facts` are what [`Policy::plan`] asked for; without them nothing is assumed good.
    pub fn decide(&self, case: &Case, facts: Option<&Facts>) -> Verdict {
        self.decide_with(case, facts, None)
    }

    /// What must be looked up about who uses what is changed; `None` when nothing.
    pub fn plan_use(&self, case: &Case) -> Option<Search> {
        if self.passage(case).is_some() {
            return None;
        }
        match &case.subject {
            Subject::Secret { name } => Some(Search::Secret {
                name: name.clone(),
                mode: secrets_in_use::mode_matters(name.as_str()),
            }),
            Subject::ArgocdSecret { .. } => Some(Search::ArgocdSecret),
            Subject::Accounts { old, new } if self.guard.accounts_in_use => {
                let change = Change::of(old.as_ref(), new.as_ref())?;
                (!accounts_in_use::losers(change).is_empty()).then_some(Search::Accounts)
            }
            _ => None,
        }
    }

    /// The verdict with what [`Policy::plan_use`] asked for.
    pub fn decide_in_use(&self, case: &Case, in_use: &InUse) -> Verdict {
        self.decide_with(case, None, Some(in_use))
    }

    fn decide_with(&self, case: &Case, facts: Option<&Facts>, in_use: Option<&InUse>) -> Verdict {
        if let Some(passage) = self.passage(case) {
            return Verdict::passed(passage).because(&self.entry(passage, case));
        }
        let mut findings = match &case.subject {
            Subject::NotGuarded => return Verdict::passed(Passage::NotGuarded),
            Subject::Accounts { old, new } => {
                let Some(change) = Change::of(old.as_ref(), new.as_ref()) else {
                    return Verdict::passed(Passage::NotGuarded);
                };
                self.judge_accounts(change, case, in_use)
            }
            Subject::Secret { name } => {
                let known = in_use.and_then(InUse::secret);
                let controller = case.controller.as_ref();
                secrets_in_use::judge(name, &case.namespace, controller, known, self.on_error)
            }
            Subject::ArgocdSecret { hidden } => {
                let known = in_use.and_then(InUse::argocd_secret);
                let fate = match (case.operation, hidden) {
                    (Operation::Delete, _) => Fate::Deleted,
                    (_, true) => Fate::Hidden,
                    (_, false) => Fate::Changed,
                };
                let mut findings =
                    argocd_secret::judge(&case.namespace, fate, known, self.on_error);
                if !self.break_glass_groups.is_empty() {
                    findings.iter_mut().for_each(argocd_secret::offer_the_glass);
                }
                findings
            }
            Subject::Workload {
                references,
                unchanged,
                ..
            } => credentials::judge(
                references,
                facts,
                &credentials::Circumstances {
                    namespace: &case.namespace,
                    unchanged: *unchanged,
                    on_error: self.on_error,
                    lenient: self.is_lenient(case),
                },
            ),
            Subject::Malformed {
                kind,
                field,
                unchanged,
                ..
            } => vec![credentials::malformed(kind, field, *unchanged)],
        };
        let by_use = matches!(
            case.subject,
            Subject::Secret { .. } | Subject::ArgocdSecret { .. }
        );
        if by_use && self.is_lenient(case) {
            for finding in &mut findings {
                finding.severity = Severity::Warning;
            }
        }
        let verdict = Verdict::of(findings, &self.modes);
        match &case.allow {
            Some(annotation) if !verdict.allowed() => {
                let permitted = group_of(case, &self.break_glass_groups).is_some();
                verdict.under(&BreakGlass::read(annotation, permitted))
            }
            _ => verdict,
        }
    }
}

impl Policy {
    /// Whether what depends on other objects is only warned of.
    fn is_lenient(&self, case: &Case) -> bool {
        case.dry_run && self.dry_run == DryRun::Warn
    }

    fn judge_accounts(
        &self,
        change: Change<'_>,
        case: &Case,
        in_use: Option<&InUse>,
    ) -> Vec<Finding> {
        let known = match in_use {
            Some(InUse::Accounts(known)) => Some(known),
            _ => None,
        };
        let circumstances = accounts::Circumstances {
            namespace: &case.namespace,
            protected: &self.protected_accounts,
            known,
            glass: !self.break_glass_groups.is_empty(),
            lenient: self.is_lenient(case),
            controller: case.controller.as_ref(),
        };
        let mut findings = accounts::judge(change, &circumstances);
        let unknown = known.and_then(|known| {
            let on_error = match circumstances.lenient {
                true => OnError::Allow,
                false => self.on_error,
            };
            accounts_in_use::unknown_use(change, &self.protected_accounts, known, on_error)
        });
        findings.extend(unknown);
        findings
    }
}

/// The first of these groups that the user is in.
fn group_of<'a>(case: &Case, groups: &'a [String]) -> Option<&'a str> {
    let mut groups = groups.iter().map(String::as_str);
    groups.find(|group| case.groups.iter().any(|of| of == group))
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
