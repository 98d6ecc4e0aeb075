//! The decision: who is let through unjudged, what must be known, and the verdict on what is.

use crate::policy::accounts::{self, Change};
use crate::policy::accounts_in_use;
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
use crate::policy::verdict::{Passage, Verdict};

/// Users that only clean up: refusing their deletes would keep a namespace from ever ending.
pub const CLUSTER_CONTROLLERS: [&str; 2] = [
    "system:serviceaccount:kube-system:namespace-controller",
    "system:serviceaccount:kube-system:generic-garbage-collector",
];

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
        let findings = match &case.subject {
            Subject::NotGuarded => return Verdict::passed(Passage::NotGuarded),
            Subject::Accounts { old, new } => {
                let protected = &self.protected_accounts;
                match (Change::of(old.as_ref(), new.as_ref()), in_use) {
                    (None, _) => return Verdict::passed(Passage::NotGuarded),
                    (Some(change), Some(InUse::Accounts(known))) => {
                        accounts_in_use::judge(change, protected, known, self.on_error)
                    }
                    (Some(change), _) => accounts::judge(change, protected),
                }
            }
            Subject::Secret { name } => {
                let known = in_use.and_then(InUse::secret);
                secrets_in_use::judge(name, &case.namespace, known, self.on_error)
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
                },
            ),
            Subject::Malformed {
                kind,
                field,
                unchanged,
                ..
            } => vec![credentials::malformed(kind, field, *unchanged)],
        };
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

/// The first of these groups that whoever asks is in.
fn group_of<'a>(case: &Case, groups: &'a [String]) -> Option<&'a str> {
    let mut groups = groups.iter().map(String::as_str);
    groups.find(|group| case.groups.contains(group))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::accounts::AccountsConfigMap;
    use crate::policy::rules::Rule;
    use crate::policy::verdict::Decision;
    use crate::runtime::credential::References;

    fn deletion(user: &str) -> Case {
        Case {
            operation: Operation::Delete,
            user: user.to_owned(),
            groups: ["dev", "ops"].into_iter().collect(),
            allow: None,
            for_the_record: false,
            namespace: "argocd".to_owned(),
            being_deleted: false,
            subject: Subject::Accounts {
                old: Some(AccountsConfigMap {
                    data: [("accounts.admin".to_owned(), "apiKey".to_owned())].into(),
                    labelled: true,
                }),
                new: None,
            },
        }
    }

    #[test]
    fn cleaning_up_is_never_refused() {
        let policy = Policy::default();
        assert_eq!(
            policy.decide(&deletion("alice"), None).decision,
            Decision::Deny
        );
        for user in CLUSTER_CONTROLLERS {
            let verdict = policy.decide(&deletion(user), None);
            assert_eq!(verdict.passage, Some(Passage::ClusterController));
        }
        let terminating = Case {
            being_deleted: true,
            ..deletion("alice")
        };
        assert_eq!(
            policy.decide(&terminating, None).passage,
            Some(Passage::BeingDeleted)
        );
    }

    #[test]
    fn the_cluster_controllers_are_let_through_for_deletes_only() {
        let mut case = deletion(CLUSTER_CONTROLLERS[0]);
        case.operation = Operation::Update;
        let Subject::Accounts { new, .. } = &mut case.subject else {
            unreachable!()
        };
        *new = Some(AccountsConfigMap::default());
        assert_eq!(
            Policy::default().decide(&case, None).decision,
            Decision::Deny
        );
    }

    #[test]
    fn exemptions_are_on_record_as_such() {
        let one = |name: &str| vec![name.to_owned()];
        let decided = |policy: Policy, user: &str| {
            let verdict = policy.decide(&deletion(user), None);
            (verdict.decision, verdict.passage, verdict.reason)
        };
        let users = Policy {
            exempt_users: one("root"),
            ..Policy::default()
        };
        let groups = Policy {
            exempt_groups: vec!["none".to_owned(), "ops".to_owned()],
            ..Policy::default()
        };
        let namespaces = Policy {
            exempt_namespaces: one("argocd"),
            ..Policy::default()
        };
        let table = [
            (
                users.clone(),
                "root",
                Passage::ExemptUser,
                "exemptUsers: root",
            ),
            (groups, "alice", Passage::ExemptGroup, "exemptGroups: ops"),
            (
                namespaces,
                "alice",
                Passage::ExemptNamespace,
                "exemptNamespaces: argocd",
            ),
        ];
        for (policy, user, passage, reason) in table {
            let expected = (Decision::Exempt, Some(passage), reason.to_owned());
            assert_eq!(decided(policy, user), expected);
        }
        assert_eq!(decided(users, "alice").0, Decision::Deny);
    }

    #[test]
    fn a_label_exempts_only_when_the_api_server_asks_for_the_record() {
        let labels = |texts: &[&str]| Policy {
            exempt_namespace_labels: texts
                .iter()
                .map(|text| NamespaceLabel::parse(text).unwrap())
                .collect(),
            ..Policy::default()
        };
        let decided = |policy: Policy, for_the_record| {
            let case = Case {
                for_the_record,
                ..deletion("alice")
            };
            let verdict = policy.decide(&case, None);
            (verdict.decision, verdict.reason)
        };
        let both = || labels(&["team=a", "team=b"]);
        let reason = "exemptNamespaceLabels: team=a, team=b".to_owned();
        assert_eq!(decided(both(), true), (Decision::Exempt, reason));
        assert_eq!(decided(both(), false).0, Decision::Deny);
        assert_eq!(
            decided(labels(&[]), true).0,
            Decision::Deny,
            "no label exempts any more"
        );
    }

    #[test]
    fn the_glass_is_broken_by_members_of_the_groups_alone_and_for_the_rules_named() {
        let allow = "accounts/config-map-deleted: moving away";
        let decided = |groups: &[&str], allow: &str| {
            let policy = Policy {
                break_glass_groups: groups.iter().map(|group| (*group).to_owned()).collect(),
                ..Policy::default()
            };
            let case = Case {
                allow: Some(allow.to_owned()),
                ..deletion("alice")
            };
            policy.decide(&case, None)
        };
        let broken = decided(&["admins", "ops"], allow);
        assert_eq!(
            (broken.decision, broken.allowed()),
            (Decision::BreakGlass, true)
        );
        assert_eq!(broken.reason, allow);
        assert_eq!(broken.rules(), [Rule::ConfigMapDeleted]);
        let table: [(&[&str], &str, &str); 4] = [
            (&[], allow, "you are in none of the groups"),
            (&["admins"], allow, "you are in none of the groups"),
            (&["ops"], "accounts/config-map-deleted: ", "gives no reason"),
            (&["ops"], "accounts/none: x", "is no rule"),
        ];
        for (groups, allow, objection) in table {
            let verdict = decided(groups, allow);
            assert_eq!(
                (verdict.decision, verdict.reason.as_str()),
                (Decision::Deny, "")
            );
            assert!(
                verdict.objections[0].to_string().contains(objection),
                "{allow}"
            );
        }
        let other = decided(&["ops"], "accounts/api-key-removed: x");
        assert_eq!(
            (other.decision, other.objections.len()),
            (Decision::Deny, 0)
        );
    }

    #[test]
    fn a_workload_is_judged_on_its_way_in_and_never_on_its_way_out() {
        let workload = |operation, controlled| Case {
            operation,
            subject: Subject::Workload {
                references: References::default(),
                controlled,
                unchanged: false,
            },
            ..deletion("alice")
        };
        let policy = Policy::default();
        let passage = |operation, controlled| policy.passage(&workload(operation, controlled));
        assert_eq!(passage(Operation::Create, false), None);
        assert_eq!(passage(Operation::Update, false), None);
        assert_eq!(passage(Operation::Create, true), Some(Passage::Controlled));
        assert_eq!(passage(Operation::Delete, false), Some(Passage::NotGuarded));
        assert_eq!(
            passage(Operation::Connect, false),
            Some(Passage::NotGuarded)
        );
    }
}
