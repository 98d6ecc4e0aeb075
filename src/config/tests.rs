use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use keyguard_core::policy::credentials::OnError;
use keyguard_core::policy::decide::DryRun;
use keyguard_core::policy::guard::Guard;
use keyguard_core::policy::rules::{Mode, Rule};

fn faults(text: &str) -> Vec<String> {
    match Config::parse("test", text) {
        Err(ConfigError::Faults { faults, .. }) => faults,
        other => panic!("{other:?}"),
    }
}

/// Each setting with its value.
fn plain(config: &Config) -> BTreeSet<String> {
    let config = serde_json::to_value(config).unwrap();
    let mut settings = BTreeSet::new();
    for (name, value) in config.as_object().unwrap() {
        match value.as_object().filter(|_| name != "rules") {
            Some(section) => {
                let inner = section.iter();
                settings.extend(inner.map(|(key, value)| format!("{name}.{key}={value}")));
            }
            None => drop(settings.insert(format!("{name}={value}"))),
        }
    }
    settings
}

#[test]
fn every_setting_can_be_set_in_yaml_and_in_json() {
    let yaml = "
protectedAccounts: [admin, bot]
onError: allow
dryRun: enforce
rules: {credentials/secret-missing: warn, accounts/api-key-removed: audit}
exemptUsers: [root]
exemptGroups: [platform]
breakGlassGroups: [on-call]
exemptNamespaces: [sandbox]
exemptNamespaceLabels: [team=sandbox]
limits: {maxBodyBytes: 2048, maxBodyBytesInFlight: 4096, maxConcurrentSecretReads: 5, maxJsonDepth: 20, maxConnections: 2, maxConcurrentRequests: 3, maxSecretReads: 4, maxSecretBytes: 5000, maxWorkloads: 6, maxWorkloadBytes: 7000}
guard: {secrets: true, accountsInUse: true, argocdSecret: true, runtimeNamespaces: [gitops]}
verify: {argocdNamespace: argocd}
timeouts: {tlsHandshake: 1s, idle: 4s, body: 2s, lookup: 250ms, drainGrace: 0s, drain: 6s}
certificates: {caLifetime: 60s, lifetime: 30s, overlap: 1s, checkInterval: 100ms}
";
    let config = Config::parse("test", yaml).unwrap();
    let (set, default) = (plain(&config), plain(&Config::default()));
    let untouched: Vec<_> = set.intersection(&default).collect();
    assert!(untouched.is_empty(), "{untouched:?}");
    let policy = config.policy();
    assert_eq!(policy.protected_accounts, ["admin", "bot"]);
    assert_eq!(policy.dry_run, DryRun::Enforce);
    assert_eq!(policy.on_error, OnError::Allow);
    assert_eq!(policy.modes.of(Rule::SecretMissing), Mode::Warn);
    assert_eq!(policy.modes.of(Rule::ApiKeyRemoved), Mode::Audit);
    assert_eq!(policy.exempt_groups, ["platform"]);
    let label = policy.exempt_namespace_labels[0].to_string();
    assert_eq!(label, "team=sandbox");
    assert_eq!(policy.break_glass_groups, ["on-call"]);
    assert_eq!(policy.argocd_namespace.as_deref(), Some("argocd"));
    assert_eq!(policy.max_secret_reads, 4);
    assert_eq!(*config.limits.max_body_bytes, 2048);
    assert_eq!(*config.limits.max_body_bytes_in_flight, 4096);
    assert_eq!(*config.limits.max_concurrent_secret_reads, 5);
    assert_eq!(*config.limits.max_workloads, 6);
    assert_eq!(*config.limits.max_workload_bytes, 7000);
    let guard = Guard {
        secrets: true,
        accounts_in_use: true,
        argocd_secret: true,
        runtime_namespaces: vec!["gitops".to_owned()],
    };
    assert_eq!(policy.guard, guard);
    assert_eq!(*config.timeouts.lookup, Duration::from_millis(250));
    assert_eq!(*config.timeouts.drain_grace, Duration::ZERO);
    assert_eq!(*config.certificates.ca_lifetime, Duration::from_secs(60));
    assert_eq!(*config.certificates.lifetime, Duration::from_secs(30));
    assert_eq!(*config.certificates.overlap, Duration::from_secs(1));
    let interval = *config.certificates.check_interval;
    assert_eq!(interval, Duration::from_millis(100));
    let json = Config::parse(
        "test",
        r#"{"onError": "allow", "limits": {"maxConnections": 2}}"#,
    )
    .unwrap();
    assert_eq!(
        (json.on_error, *json.limits.max_connections),
        (OnError::Allow, 2)
    );
}

#[test]
fn an_empty_file_is_the_default() {
    for text in ["", "# nothing\n", "{}", "limits:\n"] {
        assert_eq!(
            Config::parse("test", text).unwrap(),
            Config::default(),
            "{text:?}"
        );
    }
}

#[test]
fn all_faults_are_told_at_once_each_with_its_place() {
    let faults = faults(
        "{protectedAccounts: admin, onError: maybe, surprise: 1, exemptNamespaces: [A_b], exemptUsers: [''], exemptNamespaceLabels: [team],
          rules: {accounts/none: warn, credentials/value-malformed: loud},
          guard: {secrets: 1, accountsInUse: 'yes', runtimeNamespaces: [A_b], more: 1},
          limits: {maxBodyBytes: -1, maxConnections: many, more: 1}, timeouts: {body: 5, lookup: 1h},
          certificates: {checkInterval: 0s, lifetime: 2s, caLifetime: forever}}",
    );
    let places = [
        "protectedAccounts:",
        "onError:",
        "exemptUsers: a name cannot be empty",
        "exemptNamespaces:",
        "exemptNamespaceLabels:",
        "rules.accounts/none: there is no rule \"accounts/none\"",
        "rules.credentials/value-malformed: unknown variant `loud`, expected one of `enforce`, `warn`, `audit`",
        "guard.secrets: invalid type: integer `1`, expected a boolean",
        "guard.accountsInUse:",
        "guard.runtimeNamespaces: \"A_b\" cannot be a namespace",
        "guard.more: unknown field `more`, expected one of `secrets`",
        "limits.maxBodyBytes:",
        "limits.maxConnections:",
        "limits.more: unknown field",
        "timeouts.body:",
        "timeouts.lookup:",
        "certificates.checkInterval:",
        "certificates.lifetime:",
        "certificates.caLifetime:",
        "surprise: unknown field `surprise`, expected one of `protectedAccounts`",
    ];
    assert_eq!(faults.len(), places.len(), "{faults:#?}");
    for place in places {
        assert!(
            faults.iter().any(|fault| fault.starts_with(place)),
            "{place} {faults:#?}"
        );
    }
}

#[test]
fn what_is_no_map_of_settings_is_told_in_one_line() {
    assert_eq!(faults("[1]"), ["the file must be a map of settings"]);
    for text in ["a: [", "a: 1\na: 2\n"] {
        let error = Config::parse("test", text).unwrap_err();
        assert!(matches!(error, ConfigError::Syntax { .. }), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
    }
}

#[test]
fn only_names_that_an_account_can_have_are_protected_each_once() {
    let long = "a".repeat(236);
    let table = [
        ("[admin]", None),
        ("[admin, bot_1, Cap-2]", None),
        (&*format!("[{long}]"), None),
        (&*format!("[{long}a]"), Some("at most 236 characters")),
        ("[]", Some("must name at least one account; to refuse no")),
        ("['']", Some("a name cannot be empty")),
        ("[admin, admin]", Some("\"admin\" is there twice")),
        ("[accounts.admin]", Some("\"accounts.admin\" has a dot")),
        ("[' admin']", Some("\" admin\" cannot be an account")),
        ("['proj:a:b']", Some("\"proj:a:b\" cannot be an account")),
        ("['ädmin']", Some("letters, digits, - and _ only")),
        ("[\"a\\nb\"]", Some("\"a\\nb\" cannot be an account")),
    ];
    for (list, expected) in table {
        match (
            Config::parse("test", &format!("protectedAccounts: {list}")),
            expected,
        ) {
            (Ok(_), None) => {}
            (Err(ConfigError::Faults { faults, .. }), Some(expected)) => {
                assert_eq!(faults.len(), 1, "{list}: {faults:?}");
                assert!(faults[0].starts_with("protectedAccounts: "), "{faults:?}");
                assert!(faults[0].contains(expected), "{list}: {faults:?}");
            }
            (other, _) => panic!("{list}: {other:?}"),
        }
    }
}

#[test]
fn settings_must_fit_together() {
    for (text, expected) in [
        (
            "limits: {maxBodyBytes: 4096, maxBodyBytesInFlight: 4096}",
            None,
        ),
        (
            "limits: {maxBodyBytes: 4097, maxBodyBytesInFlight: 4096}",
            Some("at least maxBodyBytes"),
        ),
        ("limits: {maxBodyBytes: 67108864}", None),
        (
            "limits: {maxBodyBytes: 67108865}",
            Some("at least maxBodyBytes"),
        ),
        (
            "limits: {maxBodyBytesInFlight: 8388607}",
            Some("at least maxBodyBytes"),
        ),
        (
            "certificates: {overlap: 5s, checkInterval: 2s}",
            Some("at least three times checkInterval"),
        ),
        (
            "certificates: {overlap: 11s, caLifetime: 60s, lifetime: 60s}",
            Some("at most a sixth of caLifetime"),
        ),
    ] {
        let parsed = Config::parse("test", text);
        let told = parsed.err().map(|error| error.to_string());
        let fits = match (&told, expected) {
            (None, None) => true,
            (Some(told), Some(expected)) => told.contains(expected),
            _ => false,
        };
        assert!(fits, "{text}: {told:?}");
    }
}

#[test]
fn nothing_is_verified_unless_a_namespace_is_named() {
    for (text, expected) in [
        ("verify: {argocdNamespace: argocd}", Some("argocd")),
        ("verify: {argocdNamespace: ''}", None),
        ("verify: {argocdNamespace: }", None),
        ("verify: {}", None),
        ("verify:", None),
        ("{}", None),
    ] {
        let config = Config::parse("test", text).unwrap();
        assert_eq!(
            config.policy().argocd_namespace.as_deref(),
            expected,
            "{text}"
        );
    }
    let one = "verify.argocdNamespace: \"a.b\" cannot be a namespace";
    assert_eq!(faults("verify: {argocdNamespace: a.b}"), [one]);
    assert_eq!(faults("verify: {argocdNamespace: [a]}").len(), 1);
    assert_eq!(faults("verify: true").len(), 1);
}

#[test]
fn the_schema_takes_the_defaults_and_refuses_what_is_not_a_setting() {
    let schema = Config::schema();
    assert_eq!(schema["additionalProperties"], false);
    let limits = &schema["properties"]["limits"]["properties"];
    assert_eq!(limits["maxConnections"]["maximum"], 65_536);
    assert_eq!(limits["maxConnections"]["default"], 1024);
    let timeouts = &schema["properties"]["timeouts"]["properties"];
    assert_eq!(timeouts["body"]["default"], "3s");
    assert_eq!(schema["properties"]["onError"]["oneOf"][0]["const"], "deny");
}
