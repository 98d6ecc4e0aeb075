use super::*;

fn config_map(data: &[(&str, &str)]) -> AccountsConfigMap {
    AccountsConfigMap {
        data: data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        labelled: true,
    }
}

/// Judged where nobody asked who uses what.
fn judged(change: Change<'_>, protected: &[&str]) -> Vec<Finding> {
    let protected: Vec<String> = protected.iter().map(|name| (*name).to_owned()).collect();
    let circumstances = Circumstances {
        namespace: "argocd",
        protected: &protected,
        known: None,
        glass: false,
        lenient: false,
        controller: None,
    };
    judge(change, &circumstances)
}

fn found(findings: &[Finding]) -> Vec<(Rule, Severity, &str)> {
    findings
        .iter()
        .map(|finding| (finding.rule, finding.severity, finding.fields[0].as_str()))
        .collect()
}

const GOOD: &[(&str, &str)] = &[("accounts.admin", "apiKey, login")];

#[test]
fn an_update_is_refused_exactly_when_a_protected_account_loses_something() {
    use Rule::*;
    use Severity::{Refusal, Warning};
    type Row<'a> = (
        &'a str,
        &'a [(&'a str, &'a str)],
        &'a [(&'a str, &'a str)],
        &'a [(Rule, Severity, &'a str)],
    );
    let table: &[Row<'_>] = &[
        ("nothing changes", GOOD, GOOD, &[]),
        (
            "spelled otherwise",
            GOOD,
            &[("accounts.admin", "login,apiKey ,")],
            &[],
        ),
        (
            "without login, which admin always has",
            GOOD,
            &[("accounts.admin", "apiKey")],
            &[],
        ),
        (
            "apiKey dropped",
            GOOD,
            &[("accounts.admin", "login")],
            &[(ApiKeyRemoved, Refusal, r#"data["accounts.admin"]"#)],
        ),
        (
            "key dropped",
            GOOD,
            &[],
            &[(ApiKeyRemoved, Refusal, r#"data["accounts.admin"]"#)],
        ),
        (
            "the key with a dot counts too",
            &[("accounts.admin.", "apiKey")],
            &[],
            &[(ApiKeyRemoved, Refusal, r#"data["accounts.admin."]"#)],
        ),
        (
            "moved to the usual key",
            &[("accounts.admin.", "apiKey")],
            GOOD,
            &[],
        ),
        (
            "gone with the dotted key while the usual one changes as well",
            &[("accounts.admin", "login"), ("accounts.admin.", "apiKey")],
            &[("accounts.admin", "login, other")],
            &[(ApiKeyRemoved, Refusal, r#"data["accounts.admin."]"#)],
        ),
        (
            "gone with the usual key while the dotted one changes as well",
            &[("accounts.admin", "apiKey"), ("accounts.admin.", "login")],
            &[("accounts.admin", "login"), ("accounts.admin.", "")],
            &[(ApiKeyRemoved, Refusal, r#"data["accounts.admin"]"#)],
        ),
        (
            "no longer switched on over admin.enabled",
            &[
                ("accounts.admin", "apiKey"),
                ("accounts.admin.enabled", "true"),
                ("admin.enabled", "false"),
            ],
            &[("accounts.admin", "apiKey"), ("admin.enabled", "false")],
            &[(
                AccountDisabled,
                Refusal,
                r#"data["accounts.admin.enabled"]"#,
            )],
        ),
        (
            "case",
            GOOD,
            &[("accounts.admin", "apikey, login")],
            &[(ApiKeyRemoved, Refusal, r#"data["accounts.admin"]"#)],
        ),
        (
            "switched off by admin.enabled",
            GOOD,
            &[("accounts.admin", "apiKey"), ("admin.enabled", "false")],
            &[(AccountDisabled, Refusal, r#"data["admin.enabled"]"#)],
        ),
        (
            "switched off by accounts.admin.enabled",
            GOOD,
            &[
                ("accounts.admin", "apiKey"),
                ("accounts.admin.enabled", "f"),
                ("admin.enabled", "true"),
            ],
            &[(
                AccountDisabled,
                Refusal,
                r#"data["accounts.admin.enabled"]"#,
            )],
        ),
        (
            "both at once are both reported",
            GOOD,
            &[("accounts.admin", "login"), ("admin.enabled", "false")],
            &[
                (AccountDisabled, Refusal, r#"data["admin.enabled"]"#),
                (ApiKeyRemoved, Refusal, r#"data["accounts.admin"]"#),
            ],
        ),
        (
            "a value Argo CD ignores",
            GOOD,
            &[("accounts.admin", "apiKey"), ("admin.enabled", "no")],
            &[],
        ),
        (
            "another account's value that no account survives",
            GOOD,
            &[
                ("accounts.admin", "apiKey"),
                ("accounts.bob.enabled", "maybe"),
            ],
            &[(Unreadable, Refusal, r#"data["accounts.bob.enabled"]"#)],
        ),
        (
            "an unprotected account may lose its key",
            &[("accounts.admin", "apiKey"), ("accounts.bob", "apiKey")],
            &[("accounts.admin", "apiKey")],
            &[],
        ),
        (
            "bad stays as it was",
            &[("accounts.admin", "login")],
            &[("accounts.admin", ""), ("accounts.x", "login")],
            &[],
        ),
        (
            "bad gets worse without a loss",
            &[("accounts.admin", "login")],
            &[("accounts.admin", "login"), ("accounts.x.enabled", "?")],
            &[(ApiKeyMissing, Warning, r#"data["accounts.x.enabled"]"#)],
        ),
        (
            "mended in part",
            &[("accounts.admin.enabled", "?")],
            &[
                ("accounts.admin.enabled", "false"),
                ("accounts.admin", "apiKey"),
            ],
            &[(ApiKeyMissing, Warning, r#"data["accounts.admin.enabled"]"#)],
        ),
        ("mended", &[("accounts.admin", "login")], GOOD, &[]),
    ];
    for (name, old, new, expected) in table {
        let findings = judged(
            Change::Update(&config_map(old), &config_map(new)),
            &["admin"],
        );
        assert_eq!(found(&findings), *expected, "{name}");
    }
}

#[test]
fn a_protected_account_other_than_admin_keeps_its_login_too() {
    let old = config_map(&[("accounts.bot", "apiKey, login")]);
    let table: &[(&[(&str, &str)], &[Rule])] = &[
        (&[("accounts.bot", "apiKey")], &[Rule::LoginRemoved]),
        (&[("accounts.bot", "login")], &[Rule::ApiKeyRemoved]),
        (&[], &[Rule::ApiKeyRemoved, Rule::LoginRemoved]),
        (
            &[
                ("accounts.bot", "apiKey, login"),
                ("accounts.bot.enabled", "0"),
            ],
            &[Rule::AccountDisabled],
        ),
        (
            &[
                ("accounts.bot", "apiKey, login"),
                ("admin.enabled", "false"),
            ],
            &[],
        ),
    ];
    for (new, expected) in table {
        let findings = judged(Change::Update(&old, &config_map(new)), &["bot"]);
        let rules: Vec<Rule> = findings.iter().map(|finding| finding.rule).collect();
        assert_eq!(rules, *expected, "{new:?}");
        assert!(
            findings
                .iter()
                .all(|finding| finding.severity == Severity::Refusal)
        );
    }
}

#[test]
fn an_account_with_login_only_loses_it_by_an_unreadable_config_map_too() {
    let old = config_map(&[("accounts.bot", "login")]);
    let new = config_map(&[("accounts.bot", "login"), ("accounts.bot.enabled", "on")]);
    let findings = judged(Change::Update(&old, &new), &["bot"]);
    assert_eq!(
        found(&findings),
        [(
            Rule::Unreadable,
            Severity::Refusal,
            r#"data["accounts.bot.enabled"]"#
        )]
    );
}

#[test]
fn the_label_by_which_argo_cd_finds_the_config_map_may_not_go() {
    let old = config_map(GOOD);
    let new = AccountsConfigMap {
        labelled: false,
        ..old.clone()
    };
    let findings = judged(Change::Update(&old, &new), &["admin"]);
    assert_eq!(found(&findings)[0].0, Rule::LabelMissing);
    assert_eq!(findings[0].severity, Severity::Refusal);
    let never = judged(Change::Update(&new, &new), &["admin"]);
    assert!(never.is_empty(), "a label that was never there is not lost");
}

#[test]
fn a_delete_is_refused_exactly_when_a_protected_account_had_its_key() {
    let table: &[(&[(&str, &str)], bool)] = &[
        (GOOD, true),
        (&[("accounts.admin", "login")], false),
        (
            &[("accounts.admin", "apiKey"), ("admin.enabled", "false")],
            false,
        ),
        (
            &[("accounts.admin", "apiKey"), ("accounts.x.enabled", "?")],
            false,
        ),
        (&[("accounts.bob", "apiKey")], false),
        (&[], false),
    ];
    for (data, refused) in table {
        let findings = judged(Change::Delete(&config_map(data)), &["admin"]);
        let rules: Vec<Rule> = findings.iter().map(|finding| finding.rule).collect();
        let expected: &[Rule] = if *refused {
            &[Rule::ConfigMapDeleted]
        } else {
            &[]
        };
        assert_eq!(rules, expected, "{data:?}");
    }
}

#[test]
fn a_create_only_ever_warns() {
    let table: &[(&[(&str, &str)], usize)] = &[
        (GOOD, 0),
        (&[], 1),
        (&[("accounts.admin", "login")], 1),
        (
            &[("accounts.admin", "apiKey"), ("admin.enabled", "false")],
            1,
        ),
        (
            &[("accounts.x.enabled", "?"), ("accounts.y.enabled", "?")],
            2,
        ),
    ];
    for (data, warnings) in table {
        let findings = judged(Change::Create(&config_map(data)), &["admin"]);
        assert_eq!(findings.len(), *warnings, "{data:?}");
        assert!(
            findings
                .iter()
                .all(|finding| finding.severity == Severity::Warning)
        );
    }
}

#[test]
fn the_refusal_reads_as_one_sentence_to_act_on() {
    let findings = judged(
        Change::Update(
            &config_map(GOOD),
            &config_map(&[("accounts.admin", "login")]),
        ),
        &["admin"],
    );
    assert_eq!(
        findings[0].message(),
        r#"account "admin" in namespace "argocd" loses apiKey (data["accounts.admin"]: "apiKey, login" → "login"): the GitOps Runtime authenticates with an API key of this account and would stop at once. Keep apiKey in data["accounts.admin"]. When no GitOps Runtime uses this Argo CD, or its Runtime is removed, list "argocd" in exemptNamespaces of keyguard's configuration. [accounts/api-key-removed]"#
    );
}

#[test]
fn what_a_user_wrote_is_escaped_and_cut() {
    let new = config_map(&[("accounts.admin", &format!("login\n{}", "x".repeat(500)))]);
    let findings = judged(Change::Update(&config_map(GOOD), &new), &["admin"]);
    assert!(!findings[0].what.contains('\n'));
    assert!(findings[0].what.len() < 300, "{}", findings[0].what);
}

#[test]
fn what_argo_cd_does_not_see_is_not_lost_and_its_author_is_told() {
    let unlabelled = |data| AccountsConfigMap {
        labelled: false,
        ..config_map(data)
    };
    let told: &[(Rule, Severity, &str)] = &[(
        Rule::LabelMissing,
        Severity::Warning,
        r#"metadata.labels["app.kubernetes.io/part-of"]"#,
    )];
    let (good, bad) = (unlabelled(GOOD), unlabelled(&[("accounts.admin", "login")]));
    let labelled = config_map(GOOD);
    let without_accounts = unlabelled(&[]);
    let table = [
        (Change::Delete(&good), &[][..]),
        (Change::Update(&good, &bad), told),
        (Change::Update(&good, &good), &[]),
        (Change::Update(&good, &labelled), &[]),
        (Change::Create(&good), told),
        (Change::Create(&without_accounts), &[]),
    ];
    for (change, expected) in table {
        assert_eq!(found(&judged(change, &["admin"])), expected, "{change:?}");
    }
    // No API key is lost, but nobody should think that Argo CD sees it.
    let old = config_map(&[]);
    let findings = judged(Change::Update(&old, &good), &["admin"]);
    assert_eq!(found(&findings), told);
}

#[test]
fn the_way_out_is_one_that_is_there() {
    let protected = ["admin".to_owned()];
    let (old, new) = (config_map(GOOD), config_map(&[]));
    let mend = |glass, controller: Option<&Controller>| {
        let circumstances = Circumstances {
            namespace: "argocd",
            protected: &protected,
            known: None,
            glass,
            lenient: false,
            controller,
        };
        judge(Change::Update(&old, &new), &circumstances)
            .remove(0)
            .mend
    };
    assert!(!mend(false, None).contains("keyguard.dev/allow"));
    assert!(mend(true, None).contains("keyguard.dev/allow"));
    let operator = Controller {
        group: "argoproj.io".to_owned(),
        kind: "ArgoCD".into(),
        name: "main".into(),
    };
    assert!(mend(false, Some(&operator)).contains("spec.extraConfig"));
}
