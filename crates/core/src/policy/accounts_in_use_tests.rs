use super::*;
use crate::policy::accounts::{self, Circumstances};
use crate::policy::accounts_change::AccountsConfigMap;
use crate::runtime::workload::WorkloadKind;

fn config_map(entries: &[(&str, &str)]) -> AccountsConfigMap {
    let entries = entries.iter();
    AccountsConfigMap {
        data: entries
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        labelled: true,
    }
}

fn known(accounts: &[&str]) -> AccountsUse {
    let user = |name: &str| User {
        kind: WorkloadKind::Deployment,
        namespace: "gitops".to_owned(),
        name: format!("uses-{name}"),
        references: Vec::new(),
    };
    AccountsUse {
        users: accounts
            .iter()
            .map(|name| ((*name).to_owned(), vec![(user(name), Capability::ApiKey)]))
            .collect(),
        ..AccountsUse::default()
    }
}

fn judge(
    change: Change<'_>,
    protected: &[String],
    known: &AccountsUse,
    on_error: OnError,
) -> Vec<Finding> {
    let circumstances = Circumstances {
        namespace: "argocd",
        protected,
        known: Some(known),
        glass: false,
        lenient: false,
        controller: None,
    };
    let mut findings = accounts::judge(change, &circumstances);
    findings.extend(unknown_use(change, protected, known, on_error));
    findings
}

fn judged(
    change: Change<'_>,
    known: &AccountsUse,
    on_error: OnError,
) -> Vec<(Rule, Severity, String)> {
    let findings = judge(change, &["admin".to_owned()], known, on_error);
    findings
        .into_iter()
        .map(|finding| (finding.rule, finding.severity, finding.what))
        .collect()
}

#[test]
fn an_account_in_use_keeps_its_api_key_as_if_it_were_listed() {
    let good = [
        ("accounts.admin", "apiKey"),
        ("accounts.bob", "apiKey, login"),
    ];
    let old = config_map(&good);
    let table: [(&[(&str, &str)], Option<Rule>); 7] = [
        (&good, None),
        // Who uses a token does not log in.
        (&[good[0], ("accounts.bob", "apiKey")], None),
        (
            &[good[0], ("accounts.bob", "login")],
            Some(Rule::ApiKeyRemoved),
        ),
        (&[good[0]], Some(Rule::ApiKeyRemoved)),
        (
            &[good[0], good[1], ("accounts.bob.enabled", "false")],
            Some(Rule::AccountDisabled),
        ),
        (
            &[good[0], good[1], ("accounts.eve.enabled", "yes")],
            Some(Rule::Unreadable),
        ),
        (&[good[0], good[1], ("accounts.eve", "")], None),
    ];
    for (new, rule) in table {
        let new = config_map(new);
        let change = Change::Update(&old, &new);
        let findings = judged(change, &known(&["bob"]), OnError::Deny);
        let rules: Vec<Rule> = findings.iter().map(|finding| finding.0).collect();
        assert_eq!(rules, Vec::from_iter(rule), "{new:?}");
        for (_, severity, what) in findings {
            assert_eq!(severity, Severity::Refusal);
            let users = "; in use by Deployment \"uses-bob\" in namespace \"gitops\"";
            assert!(what.ends_with(users), "{what}");
        }
        // Nobody uses it: it is nobody's business, but for what takes admin with it.
        let findings = judged(change, &known(&["other"]), OnError::Deny);
        let unreadable = rule == Some(Rule::Unreadable);
        assert_eq!(findings.len(), usize::from(unreadable), "{new:?}");
    }
}

#[test]
fn the_users_of_an_account_that_is_listed_are_named_too() {
    let old = config_map(&[("accounts.admin", "apiKey"), ("accounts.bob", "apiKey")]);
    let mut unlabelled = old.clone();
    unlabelled.labelled = false;
    let none = config_map(&[]);
    let changes = [
        (
            Change::Delete(&old),
            vec![Rule::ConfigMapDeleted],
            vec!["admin", "bob"],
        ),
        (
            Change::Update(&old, &unlabelled),
            vec![Rule::LabelMissing],
            vec!["admin", "bob"],
        ),
        (
            Change::Update(&old, &none),
            vec![Rule::ApiKeyRemoved, Rule::ApiKeyRemoved],
            vec!["admin", "bob"],
        ),
    ];
    for (change, rules, names) in changes {
        assert_eq!(losers(change), names);
        let findings = judged(change, &known(&["admin", "bob"]), OnError::Deny);
        let found: Vec<Rule> = findings.iter().map(|finding| finding.0).collect();
        assert_eq!(found, rules);
        let told: String = findings.iter().map(|finding| finding.2.as_str()).collect();
        for name in names {
            assert_eq!(
                told.matches(&format!("\"uses-{name}\"")).count(),
                1,
                "{told}"
            );
        }
    }
    assert!(losers(Change::Create(&old)).is_empty());
}

#[test]
fn what_cannot_be_told_is_said_and_over_the_bound_the_list_decides() {
    let old = config_map(&[("accounts.admin", "apiKey"), ("accounts.bob", "apiKey")]);
    let new = config_map(&[("accounts.admin", "apiKey")]);
    let change = Change::Update(&old, &new);
    let unlisted = |why| {
        let mut known = known(&[]);
        known.unlisted.push(Unlisted {
            kind: None,
            namespace: None,
            why,
        });
        known
    };
    let unread = |why| AccountsUse {
        unread: Some(why),
        ..known(&[])
    };
    use OnError::{Allow, Deny};
    use Severity::{Refusal, Warning};
    let table = [
        (unlisted(Unread::TooMany), Deny, Warning),
        (unlisted(Unread::TooLarge), Deny, Warning),
        (unlisted(Unread::Forbidden), Deny, Refusal),
        (unlisted(Unread::Forbidden), Allow, Warning),
        (unread(Unread::TooMany), Deny, Warning),
        (unread(Unread::Timeout), Deny, Refusal),
        (unread(Unread::Timeout), Allow, Warning),
    ];
    for (known, on_error, severity) in table {
        let findings = judged(change, &known, on_error);
        let found: Vec<_> = findings
            .iter()
            .map(|finding| (finding.0, finding.1))
            .collect();
        assert_eq!(found, [(Rule::InUseUnknown, severity)], "{known:?}");
        assert!(
            findings[0].2.contains("account \"bob\" would stop to work"),
            "{findings:?}"
        );
        // Of an account that is listed nothing need be known.
        let listed = ["admin".to_owned(), "bob".to_owned()];
        let findings = judge(change, &listed, &known, on_error);
        assert!(
            findings
                .iter()
                .all(|finding| finding.rule == Rule::ApiKeyRemoved)
        );
    }
    assert!(judged(change, &known(&[]), Deny).is_empty());
}
