use super::*;
use crate::policy::facts::Verification;
use crate::runtime::credential::{PASSWORD, TOKEN, TOKEN_SECRET_KEY, TOKEN_SECRET_NAME};
use crate::runtime::mode::Mode;
use crate::runtime::value::{Role, ValueDefect};
use std::collections::BTreeMap;

const TOKEN_SECRET: (&str, &str) = ("my-secret", "token");
const APP_PROXY: (&str, &str) = ("argocd-token", "token");
const INITIAL: (&str, &str) = ("argocd-initial-admin-secret", "password");

/// One reference with one fact, valid until something is changed.
struct Example {
    reference: Reference,
    fact: CredentialFact,
    mode: ModeFact,
    unchanged: bool,
    on_error: OnError,
}

impl Example {
    fn of((secret, key): (&str, &str), fact: CredentialFact) -> Example {
        let role = if key == "password" {
            Role::Password
        } else {
            Role::Token
        };
        Example {
            reference: Reference {
                role,
                variable: if role == Role::Token { TOKEN } else { PASSWORD },
                secret: secret.into(),
                key: key.into(),
                optional: false,
                made_by_a_person: false,
                user_name: None,
                field: "spec.template.spec.containers[0].env[3]".to_owned(),
            },
            fact,
            mode: ModeFact::Missing,
            unchanged: false,
            on_error: OnError::Deny,
        }
    }

    fn value(secret: (&str, &str), defect: ValueDefect) -> Example {
        Example::of(secret, CredentialFact::Value(vec![defect]))
    }

    fn mode(mut self, mode: Mode) -> Example {
        self.mode = ModeFact::Known(mode);
        self
    }

    fn optional(mut self) -> Example {
        self.reference.optional = true;
        self
    }

    fn unchanged(mut self) -> Example {
        self.unchanged = true;
        self
    }

    fn on_error(mut self, on_error: OnError) -> Example {
        self.on_error = on_error;
        self
    }

    fn findings(self) -> Vec<Finding> {
        let key = (
            self.reference.secret.clone(),
            self.reference.key.clone(),
            self.reference.role,
        );
        let facts = Facts {
            credentials: BTreeMap::from([(key, self.fact)]),
            mode: self.mode,
            verification: Verification::NotAsked,
            initial_password_spent: false,
        };
        let references = References {
            secrets_store: false,
            found: vec![self.reference],
            unresolved: Vec::new(),
        };
        judge(
            &references,
            Some(&facts),
            &Circumstances {
                namespace: "gitops",
                unchanged: self.unchanged,
                on_error: self.on_error,
                lenient: false,
            },
        )
    }

    fn judged(self) -> Option<(Rule, Severity)> {
        let findings = self.findings();
        assert!(findings.len() <= 1, "{findings:?}");
        findings
            .first()
            .map(|finding| (finding.rule, finding.severity))
    }
}

#[test]
fn every_finding_has_its_rule_and_severity() {
    use CredentialFact::*;
    use Severity::{Refusal, Warning};
    let table = [
        ("good", Example::of(TOKEN_SECRET, Value(vec![])), None),
        (
            "missing",
            Example::of(TOKEN_SECRET, SecretMissing),
            Some((Rule::SecretMissing, Refusal)),
        ),
        (
            "no such name",
            Example::of(("a/b", "token"), NameInvalid),
            Some((Rule::SecretMissing, Refusal)),
        ),
        (
            "no key",
            Example::of(TOKEN_SECRET, KeyMissing),
            Some((Rule::KeyMissing, Refusal)),
        ),
        (
            "empty",
            Example::value(TOKEN_SECRET, ValueDefect::Empty),
            Some((Rule::ValueMalformed, Refusal)),
        ),
        (
            "not text",
            Example::value(TOKEN_SECRET, ValueDefect::NotUtf8),
            Some((Rule::ValueMalformed, Refusal)),
        ),
        (
            "newline",
            Example::value(TOKEN_SECRET, ValueDefect::TrailingNewline),
            Some((Rule::ValueMalformed, Refusal)),
        ),
        (
            "quoted token",
            Example::value(TOKEN_SECRET, ValueDefect::Quoted),
            Some((Rule::ValueMalformed, Refusal)),
        ),
        (
            "quoted password is a hint",
            Example::value(("p", "password"), ValueDefect::Quoted),
            Some((Rule::ValueMalformed, Warning)),
        ),
        (
            "empty password",
            Example::value(("p", "password"), ValueDefect::Empty),
            Some((Rule::ValueMalformed, Refusal)),
        ),
        (
            "unread",
            Example::of(TOKEN_SECRET, Unread(super::Unread::Timeout)),
            Some((Rule::SecretUnreadable, Refusal)),
        ),
        (
            "unread, allowed",
            Example::of(TOKEN_SECRET, Unread(super::Unread::Forbidden)).on_error(OnError::Allow),
            Some((Rule::SecretUnreadable, Warning)),
        ),
        (
            "optional, missing",
            Example::of(TOKEN_SECRET, SecretMissing).optional(),
            None,
        ),
        (
            "optional, no key",
            Example::of(TOKEN_SECRET, KeyMissing).optional(),
            None,
        ),
        (
            "optional, defective",
            Example::value(TOKEN_SECRET, ValueDefect::Empty).optional(),
            Some((Rule::ValueMalformed, Warning)),
        ),
        (
            "optional, unread",
            Example::of(TOKEN_SECRET, Unread(super::Unread::Timeout)).optional(),
            Some((Rule::SecretUnreadable, Warning)),
        ),
        (
            "unchanged, missing",
            Example::of(TOKEN_SECRET, SecretMissing).unchanged(),
            Some((Rule::SecretMissing, Warning)),
        ),
        (
            "unchanged, unread",
            Example::of(TOKEN_SECRET, Unread(super::Unread::Timeout)).unchanged(),
            Some((Rule::SecretUnreadable, Warning)),
        ),
    ];
    for (name, example, expected) in table {
        assert_eq!(example.judged(), expected, "{name}");
    }
}

#[test]
fn a_secret_that_makes_itself_is_never_the_reason_of_a_refusal() {
    use CredentialFact::{KeyMissing, SecretMissing};
    use Severity::{Refusal, Warning};
    let missing = |secret, mode| Example::of(secret, SecretMissing).mode(mode).judged();
    let not_yet = Some((Rule::SecretNotYetMade, Warning));
    let refused = Some((Rule::SecretMissing, Refusal));
    let table = [
        // mode                  argocd-token  initial admin password
        (Mode::BuiltIn, not_yet, not_yet),
        (Mode::ExternalPassword, not_yet, refused),
        (Mode::ExternalToken, refused, refused),
        (Mode::Password, not_yet, not_yet),
        (Mode::Unknown, not_yet, not_yet),
    ];
    for (mode, app_proxy, initial) in table {
        assert_eq!(missing(APP_PROXY, mode), app_proxy, "{mode:?}");
        assert_eq!(missing(INITIAL, mode), initial, "{mode:?}");
        assert_eq!(missing(TOKEN_SECRET, mode), refused, "{mode:?}");
    }
    let unknown = Example::of(APP_PROXY, SecretMissing);
    assert_eq!(
        unknown.judged(),
        not_yet,
        "without cap-app-proxy-cm it cannot be told"
    );
    for mode in [Mode::BuiltIn, Mode::ExternalPassword, Mode::Unknown] {
        let half = Example::of(APP_PROXY, KeyMissing).mode(mode);
        assert_eq!(half.judged(), not_yet, "{mode:?}");
    }
    for mode in [Mode::BuiltIn, Mode::Password, Mode::Unknown] {
        let half = Example::of(INITIAL, KeyMissing).mode(mode);
        assert_eq!(half.judged(), not_yet, "{mode:?}");
    }
    let key = Some((Rule::KeyMissing, Refusal));
    for secret in [APP_PROXY, INITIAL] {
        let half = Example::of(secret, KeyMissing).mode(Mode::ExternalToken);
        assert_eq!(half.judged(), key);
    }
}

#[test]
fn a_secret_read_as_token_and_as_password_is_a_persons_in_every_mode() {
    for mode in [Mode::BuiltIn, Mode::ExternalPassword, Mode::ExternalToken] {
        let mut both = Example::of(APP_PROXY, CredentialFact::SecretMissing).mode(mode);
        both.reference.made_by_a_person = true;
        let refused = Some((Rule::SecretMissing, Severity::Refusal));
        assert_eq!(both.judged(), refused, "{mode:?}");
    }
}

#[test]
fn what_app_proxy_makes_again_is_only_warned_of_when_it_is_damaged() {
    let damaged = |mode| {
        Example::value(APP_PROXY, ValueDefect::Empty)
            .mode(mode)
            .judged()
    };
    let warned = Some((Rule::ValueMalformed, Severity::Warning));
    let refused = Some((Rule::ValueMalformed, Severity::Refusal));
    assert_eq!(damaged(Mode::BuiltIn), warned);
    assert_eq!(damaged(Mode::ExternalPassword), warned);
    assert_eq!(damaged(Mode::ExternalToken), refused);
    assert_eq!(damaged(Mode::Unknown), refused);
    let initial = Example::value(INITIAL, ValueDefect::Empty).mode(Mode::BuiltIn);
    assert_eq!(
        initial.judged(),
        refused,
        "argocd-server makes it once and never again"
    );
}

#[test]
fn a_malformed_workload_is_refused_unless_it_stays_as_it_was() {
    for (unchanged, severity) in [(false, Severity::Refusal), (true, Severity::Warning)] {
        let finding = malformed("Rollout", "spec.template", unchanged);
        assert_eq!(
            (finding.rule, finding.severity),
            (Rule::WorkloadMalformed, severity)
        );
        assert_eq!(finding.fields, ["spec.template"]);
    }
}

#[test]
fn every_defect_of_a_value_is_reported() {
    let defects = vec![ValueDefect::TrailingNewline, ValueDefect::Quoted];
    let findings = Example::of(TOKEN_SECRET, CredentialFact::Value(defects)).findings();
    let rules: Vec<Rule> = findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, [Rule::ValueMalformed, Rule::ValueMalformed]);
}

#[test]
fn the_same_defect_at_several_places_is_one_finding_with_every_place() {
    let reference = |index: usize| Reference {
        role: Role::Token,
        variable: TOKEN_SECRET_NAME,
        secret: "s".into(),
        key: "k".into(),
        optional: false,
        made_by_a_person: false,
        user_name: None,
        field: format!("spec.template.spec.containers[{index}].env[0]"),
    };
    let references = References {
        secrets_store: false,
        found: vec![reference(0), reference(1), reference(2)],
        unresolved: vec![Unresolved {
            variable: TOKEN_SECRET_KEY,
            cause: UnresolvedCause::Expansion,
            field: "spec.template.spec.containers[3].env[1]".to_owned(),
        }],
    };
    let facts = Facts {
        credentials: BTreeMap::from([(
            ("s".into(), "k".into(), Role::Token),
            CredentialFact::SecretMissing,
        )]),
        mode: ModeFact::NotNeeded,
        verification: Verification::NotAsked,
        initial_password_spent: false,
    };
    let circumstances = Circumstances {
        namespace: "gitops",
        unchanged: false,
        on_error: OnError::Deny,
        lenient: false,
    };
    let findings = judge(&references, Some(&facts), &circumstances);
    assert_eq!(findings.len(), 2);
    assert_eq!(findings[0].fields.len(), 3);
    assert!(
        findings[0]
            .what
            .contains("containers[0].env[0]: ARGO_CD_TOKEN_SECRET_NAME and 2 more"),
        "{}",
        findings[0].what
    );
    assert_eq!(
        (findings[1].rule, findings[1].severity),
        (Rule::Unresolvable, Severity::Warning)
    );
    let nothing_known = judge(&references, None, &circumstances);
    assert_eq!(
        nothing_known[0].rule,
        Rule::SecretUnreadable,
        "nothing is assumed good"
    );
}

#[test]
fn the_refusal_says_what_where_why_and_how_also_in_a_gitops_sync() {
    let finding = Example::of(TOKEN_SECRET, CredentialFact::SecretMissing)
        .findings()
        .remove(0);
    assert_eq!(
        finding.message(),
        r#"Secret "my-secret" does not exist in namespace "gitops" (spec.template.spec.containers[0].env[3]: ARGO_CD_TOKEN): the GitOps Runtime reads its Argo CD credential from it and cannot work without. Create it first: kubectl create secret generic my-secret -n gitops --from-literal=token='<API key>'. When an ExternalSecret, a SealedSecret or the like makes it, put that into an earlier sync wave (annotation argocd.argoproj.io/sync-wave: "-1"); Argo CD applies a Secret itself before the workload. [credentials/secret-missing]"#
    );
}

#[test]
fn nothing_that_a_shell_would_run_gets_into_a_command_to_copy() {
    let odd = ("my-secret", "token'; rm -rf ~ #");
    let finding = Example::of(odd, CredentialFact::SecretMissing)
        .findings()
        .remove(0);
    assert!(
        finding.mend.contains("--from-literal=<key>='<API key>'"),
        "{}",
        finding.mend
    );
    assert!(!finding.mend.contains("rm -rf"), "{}", finding.mend);
}
