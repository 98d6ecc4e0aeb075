use super::*;
use crate::policy::accounts_change::AccountsConfigMap;
use crate::policy::rules::Rule;
use crate::policy::verdict::Decision;
use crate::runtime::credential::References;

fn deletion(user: &str) -> Case {
    Case {
        operation: Operation::Delete,
        user: user.to_owned(),
        groups: vec!["dev".to_owned(), "ops".to_owned()],
        allow: None,
        for_the_record: false,
        dry_run: false,
        controller: None,
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
