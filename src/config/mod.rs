//! What the operator decided: defaults, the configuration file, all of its faults at once.

mod accounts;
mod certificates;
mod guard;
mod limits;
mod section;
mod timeouts;
mod verify;

use std::io::{self, ErrorKind};
use std::path::Path;

use serde_json::Value;
use thiserror::Error;

use keyguard_core::policy::credentials::OnError;
use keyguard_core::policy::decide::{DryRun, Policy};
use keyguard_core::policy::namespace_label::NamespaceLabel;

pub use self::certificates::Certificates;
pub use self::limits::Limits;
use self::section::Section;
pub use self::timeouts::Timeouts;

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// What is decided, and how.
    pub policy: Policy,
    /// How much is accepted.
    pub limits: Limits,
    /// How long anything may take.
    pub timeouts: Timeouts,
    /// How the certificate is kept up to date.
    pub certificates: Certificates,
}

/// Why a configuration file cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("--config {path} cannot be read")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is neither YAML nor JSON.
    #[error("--config {path} is neither YAML nor JSON: {problem}")]
    Syntax {
        /// The file.
        path: String,
        /// What is wrong, in one line.
        problem: String,
    },
    /// It says things that make no sense; all of them.
    #[error("--config {path} has {} fault(s): {}", .faults.len(), .faults.join("; "))]
    Faults {
        /// The file.
        path: String,
        /// Each fault: where, what, what to write instead.
        faults: Vec<String>,
    },
}

impl Config {
    /// Reads a configuration file; without one, the defaults.
    ///
    /// # Errors
    /// When the file cannot be used, with everything that is wrong with it.
    pub fn load(path: Option<&Path>) -> Result<Config, ConfigError> {
        match path {
            None => Ok(Config::default()),
            Some(path) => Config::of_file(path, std::fs::read(path)),
        }
    }

    /// Makes a configuration of what reading the file at `path` came to.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn of_file(path: &Path, read: io::Result<Vec<u8>>) -> Result<Config, ConfigError> {
        let path = path.display().to_string();
        let text = read.and_then(|bytes| {
            String::from_utf8(bytes)
                .map_err(|_| io::Error::new(ErrorKind::InvalidData, "not UTF-8"))
        });
        match text {
            Ok(text) => Config::parse(&path, &text),
            Err(source) => Err(ConfigError::Unreadable { path, source }),
        }
    }

    /// Parses the text of a configuration file that is called `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &str, text: &str) -> Result<Config, ConfigError> {
        let value: Option<Value> =
            serde_saphyr::from_str(text).map_err(|error| ConfigError::Syntax {
                path: path.to_owned(),
                problem: error
                    .to_string()
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            })?;
        let mut config = Config::default();
        let mut faults = Vec::new();
        if let Some(value) = value {
            read(&value, &mut config, &mut faults);
        }
        if faults.is_empty() {
            return Ok(config);
        }
        Err(ConfigError::Faults {
            path: path.to_owned(),
            faults,
        })
    }
}

fn read(value: &Value, config: &mut Config, faults: &mut Vec<String>) {
    let Some(mut root) = Section::of("", value, faults) else {
        return;
    };
    let policy = &mut config.policy;
    accounts::read(&mut root, &mut policy.protected_accounts);
    root.choice(
        "dryRun",
        &mut policy.dry_run,
        &[("warn", DryRun::Warn), ("enforce", DryRun::Enforce)],
    );
    root.choice(
        "onError",
        &mut policy.on_error,
        &[("deny", OnError::Deny), ("allow", OnError::Allow)],
    );
    root.strings("exemptUsers", &mut policy.exempt_users);
    root.strings("exemptGroups", &mut policy.exempt_groups);
    let mut labels = Vec::new();
    root.strings("exemptNamespaceLabels", &mut labels);
    for label in &labels {
        match NamespaceLabel::parse(label) {
            Some(label) => policy.exempt_namespace_labels.push(label),
            None => root.fault(
                "exemptNamespaceLabels",
                &format!("{label:?} cannot be a label; write KEY=VALUE"),
            ),
        }
    }
    root.strings("breakGlassGroups", &mut policy.break_glass_groups);
    root.rules("rules", &mut policy.modes);
    let lists = [
        ("exemptUsers", &policy.exempt_users),
        ("exemptGroups", &policy.exempt_groups),
        ("breakGlassGroups", &policy.break_glass_groups),
    ];
    for (key, names) in lists {
        if names.iter().any(String::is_empty) {
            root.fault(key, "a name cannot be empty");
        }
    }
    root.namespaces("exemptNamespaces", &mut policy.exempt_namespaces);
    if let Some(mut section) = root.section("guard") {
        guard::read(&mut section, &mut policy.guard);
        section.end();
    }
    if let Some(mut limits) = root.section("limits") {
        config
            .limits
            .read(&mut limits, &mut policy.max_secret_reads);
        limits.end();
    }
    verify::read(&mut root, &mut policy.argocd_namespace);
    if let Some(mut timeouts) = root.section("timeouts") {
        config.timeouts.read(&mut timeouts);
        timeouts.end();
    }
    if let Some(mut certificates) = root.section("certificates") {
        config.certificates.read(&mut certificates);
        certificates.end();
    }
    root.end();
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::certificates::plan::Terms;
    use keyguard_core::policy::guard::Guard;
    use keyguard_core::policy::rules::{Mode, Rule};

    fn faults(text: &str) -> Vec<String> {
        match Config::parse("test", text) {
            Err(ConfigError::Faults { faults, .. }) => faults,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_setting_can_be_set_in_yaml_and_in_json() {
        let yaml = "
protectedAccounts: [admin, bot]
onError: allow
rules: {credentials/secret-missing: warn, accounts/api-key-removed: audit}
exemptUsers: [root]
exemptGroups: [platform]
breakGlassGroups: [on-call]
exemptNamespaces: [sandbox]
exemptNamespaceLabels: [team=sandbox]
limits: {maxBodyBytes: 2048, maxBodyBytesInFlight: 4096, maxConcurrentSecretReads: 5, maxJsonDepth: 20, maxConnections: 2, maxConcurrentRequests: 3, maxSecretReads: 4, maxSecretBytes: 5000, maxWorkloads: 6, maxWorkloadBytes: 7000}
guard: {secrets: true, accountsInUse: true, argocdSecret: true, runtimeNamespaces: [gitops]}
verify: {argocdNamespace: argocd}
timeouts: {tlsHandshake: 1s, idle: 4s, body: 3s, lookup: 250ms, drainGrace: 0s, drain: 6s}
certificates: {caLifetime: 60s, lifetime: 30s, overlap: 1s, checkInterval: 100ms}
";
        let config = Config::parse("test", yaml).unwrap();
        assert_eq!(config.policy.protected_accounts, ["admin", "bot"]);
        assert_eq!(config.policy.on_error, OnError::Allow);
        assert_eq!(config.policy.modes.of(Rule::SecretMissing), Mode::Warn);
        assert_eq!(config.policy.modes.of(Rule::ApiKeyRemoved), Mode::Audit);
        assert_eq!(config.policy.exempt_groups, ["platform"]);
        let label = config.policy.exempt_namespace_labels[0].to_string();
        assert_eq!(label, "team=sandbox");
        assert_eq!(config.policy.break_glass_groups, ["on-call"]);
        assert_eq!(config.policy.argocd_namespace.as_deref(), Some("argocd"));
        assert_eq!(config.policy.max_secret_reads, 4);
        assert_eq!(config.limits.max_body_bytes, 2048);
        assert_eq!(config.limits.max_body_bytes_in_flight, 4096);
        assert_eq!(config.limits.max_concurrent_secret_reads, 5);
        assert_eq!(config.limits.max_workloads, 6);
        assert_eq!(config.limits.max_workload_bytes, 7000);
        let guard = Guard {
            secrets: true,
            accounts_in_use: true,
            argocd_secret: true,
            runtime_namespaces: vec!["gitops".to_owned()],
        };
        assert_eq!(config.policy.guard, guard);
        assert_eq!(config.timeouts.lookup, Duration::from_millis(250));
        assert_eq!(config.timeouts.drain_grace, Duration::ZERO);
        let certificates = Certificates {
            terms: Terms {
                authority: Duration::from_secs(60),
                leaf: Duration::from_secs(30),
                overlap: Duration::from_secs(1),
            },
            check_interval: Duration::from_millis(100),
        };
        assert_eq!(config.certificates, certificates);
        let json = Config::parse(
            "test",
            r#"{"onError": "allow", "limits": {"maxConnections": 2}}"#,
        )
        .unwrap();
        assert_eq!(
            (json.policy.on_error, json.limits.max_connections),
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
            "rules: there is no rule \"accounts/none\"",
            "rules: the mode of \"credentials/value-malformed\"",
            "guard.secrets: must be true or false",
            "guard.accountsInUse: must be true or false",
            "guard.runtimeNamespaces: \"A_b\" cannot be a namespace",
            "guard.more: no such setting",
            "limits.maxBodyBytes:",
            "limits.maxConnections:",
            "limits.more: no such setting",
            "timeouts.body:",
            "timeouts.lookup:",
            "certificates.checkInterval:",
            "certificates.lifetime:",
            "certificates.caLifetime:",
            "surprise: no such setting",
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
}
