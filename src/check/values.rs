//! Values of the charts: what they make of the credential, and whether anybody makes the Secrets that they name.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::admission::lookups::unix_now;
use crate::check::found::{Found, Told};
use crate::check::judge::Judge;
use crate::check::object::Object;
use crate::check::wanted::{Left, Referrer, Wanted};
use crate::check::world::UNKNOWN_NAMESPACE;
use crate::check::{nowhere, with_accounts};
use crate::config::{AccountName, Config};
use crate::report::{ObjectReference, Severity};
use crate::sources::source::{SecretRead, Source};
use crate::sources::values::{
    Context, Files, Release, folder, is_kustomization, releases, resolve,
};
use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::document::layers::set;
use keyguard_core::document::{Content, Entry, Node};
use keyguard_core::policy::accounts_change::{PART_OF_LABEL, PART_OF_VALUE};
use keyguard_core::policy::check_finding::{CheckFinding, CheckSeverity};
use keyguard_core::policy::credential_defects::rule_of_value;
use keyguard_core::policy::rules::Rule;
use keyguard_core::runtime::chart::account::{AccountInUse, account};
use keyguard_core::runtime::chart::argocd_cm::{ArgocdChart, ArgocdCm, argocd_cm};
use keyguard_core::runtime::chart::references::{ChartReference, SecretMaker};
use keyguard_core::runtime::chart::rendering::answering;
use keyguard_core::runtime::chart::version::ChartVersion;
use keyguard_core::runtime::secret_bytes::SecretBytes;
use keyguard_core::runtime::value::{Role, examine};

impl Judge {
    /// Everything that is wrong with the values in `files`. `version` counts where nothing names one.
    pub(crate) async fn values(
        &self,
        files: &Files,
        context: &Context,
        version: Option<&str>,
        told: &mut Told,
    ) {
        for mut release in releases(files, context) {
            if let (ChartVersion::Unknown, Some(version)) = (&release.version, version) {
                release.version = ChartVersion::parse(version);
            }
            told.found
                .extend(release.judge().into_iter().map(Found::from));
            told.unseen.append(&mut release.unseen);
            if release.chart == ArgocdChart::GitopsRuntime {
                let by = referrer(&release);
                for reference in release.references() {
                    let found = self.reference(&release, &by, &reference, told).await;
                    told.found.extend(found);
                }
            }
            self.argocd_cm(&release, told).await;
        }
    }

    /// What is wrong with the Secret that a component will refer to, when a person makes it.
    async fn reference(
        &self,
        release: &Release,
        by: &Referrer,
        reference: &ChartReference,
        told: &mut Told,
    ) -> Vec<Found> {
        if reference.maker != SecretMaker::Person || reference.optional {
            return Vec::new();
        }
        let namespace = release.namespace.as_deref().unwrap_or(UNKNOWN_NAMESPACE);
        let wanted = Wanted {
            by,
            namespace,
            secret: &reference.secret,
            key: &reference.key,
            optional: reference.optional,
            at: reference.at.clone(),
            field: &reference.path,
            place: reference.path.clone(),
        };
        let chart = chart_folder(release);
        let comes_with = |maker: &Object| {
            let templates = chart.map(|chart| resolve(chart, "templates").unwrap_or_default());
            templates.is_some_and(|templates| maker.folder() == templates)
        };
        if let Left::Nothing = wanted.settle(&self.world, comes_with, told) {
            return Vec::new();
        }
        let (name, key) = (reference.secret.as_str(), reference.key.as_str());
        let view = self.view(&by.from);
        let shown = (reference.secret.shown(), reference.key.shown());
        let (rule, what) = match view.secret(namespace, name, &[key]).await {
            SecretRead::Missing => (
                Rule::SecretMissing,
                format!("nothing makes Secret \"{}\"", shown.0),
            ),
            SecretRead::Unread(unread) => {
                told.unseen(
                    &reference.at,
                    format!("Secret \"{}\"", shown.0),
                    unread.what(),
                );
                return Vec::new();
            }
            SecretRead::Found(found) => match found.get(key) {
                None => (
                    Rule::KeyMissing,
                    format!("Secret \"{}\" has no key \"{}\"", shown.0, shown.1),
                ),
                Some(value) => return self.value(release, reference, value),
            },
        };
        let place = match &release.namespace {
            Some(namespace) => format!("namespace {namespace:?}"),
            None => "the namespace of the release".to_owned(),
        };
        if let (Rule::SecretMissing, Some(hint)) = (rule, self.renamed.hint(namespace, name)) {
            // The pod that reads the password refers to its Secret, and Kustomize changes that.
            if reference.role == Role::Password && is_kustomization(&release.at.file) {
                return Vec::new();
            }
            let why = rule.why();
            let message = format!("{what} ({}): {why}. {hint} [{}]", reference.path, rule.id());
            return vec![found(release, reference, rule, message)];
        }
        let message = format!(
            "{what} ({}): {}. Create it with the key \"{}\" in {place}. Nothing makes it in what was looked through: {}. \
             When a person makes it, name it under secrets in .keyguard.yaml. [{}]",
            reference.path,
            rule.why(),
            shown.1,
            self.looked_through,
            rule.id()
        );
        vec![found(release, reference, rule, message)]
    }

    /// What is wrong with a value that stands in the tree.
    fn value(
        &self,
        release: &Release,
        reference: &ChartReference,
        value: &SecretBytes,
    ) -> Vec<Found> {
        let defects = examine(reference.role, value, unix_now());
        let certain = defects.iter().filter(|it| it.is_certain(reference.role));
        certain
            .map(|defect| {
                let rule = rule_of_value(defect);
                let role = match reference.role {
                    Role::Token => "token",
                    Role::Password => "password",
                };
                let message = format!(
                    "the {role} in Secret \"{}\", key \"{}\", cannot work ({}): {}. {} [{}]",
                    reference.secret.shown(),
                    reference.key.shown(),
                    reference.path,
                    rule.why(),
                    defect.mend(),
                    rule.id()
                );
                found(release, reference, rule, message)
            })
            .collect()
    }

    /// What the `argocd-cm` that the chart makes takes from the accounts in use.
    async fn argocd_cm(&self, release: &Release, told: &mut Told) {
        let Some(made) = argocd_cm(&release.values, release.chart) else {
            return;
        };
        let config = in_use(release, &self.config);
        let accounts = with_accounts(&config, &nowhere());
        // Of another Argo CD it is not known whether a Runtime uses it: what is written about its accounts tells.
        let concerned = match release.chart {
            ArgocdChart::GitopsRuntime => made.is_written,
            ArgocdChart::ArgoCd => made.places.keys().any(|key| {
                let accounts = accounts.get("data").map_or(&[][..], Node::entries);
                accounts.iter().any(|account| account.key == *key)
            }),
        };
        if !concerned {
            return;
        }
        let object = Object {
            api_version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            namespace: release.namespace.clone(),
            name: CONFIG_MAP_NAME.to_owned(),
            node: config_map(&made),
            file: Arc::clone(&made.at.file),
            selected: true,
        };
        let before = told.found.len();
        let judge = self.protecting(config);
        judge.accounts(&object, Some(&accounts), told).await;
        for found in told.found.iter_mut().skip(before) {
            found.object = None;
            found.field = format!("{}{}", made.path, found.field.trim_start_matches("data"));
        }
    }
}

/// The configuration with the account that the values name, when nobody has named others than the default.
fn in_use(release: &Release, config: &Config) -> Config {
    let mut config = config.clone();
    let is_default = config.protected_accounts == Config::default().protected_accounts;
    if release.chart == ArgocdChart::GitopsRuntime && is_default {
        let generations = answering(&release.values, &release.version).into_iter();
        let accounts = generations.map(|generation| account(&release.values, generation));
        let mut names: Vec<AccountName> = accounts
            .filter_map(|account| match account {
                AccountInUse::Named(name, _) => {
                    AccountName::try_from(name.as_str().to_owned()).ok()
                }
                AccountInUse::OfToken | AccountInUse::Untold => None,
            })
            .collect();
        names.dedup();
        if !names.is_empty() {
            config.protected_accounts = names;
        }
    }
    config
}

fn referrer(release: &Release) -> Referrer {
    Referrer {
        object: release_reference(release),
        shown: "the release".to_owned(),
        from: folder(&release.at.file).to_owned(),
        wave: 0,
        secrets_store: None,
    }
}

/// The folder of the chart in the tree that is installed.
fn chart_folder(release: &Release) -> Option<&str> {
    let mut files = release.files.iter();
    let chart = files.find(|file| *file == "Chart.yaml" || file.ends_with("/Chart.yaml"))?;
    Some(folder(chart))
}

fn release_reference(release: &Release) -> Option<ObjectReference> {
    release.name.as_ref().map(|name| ObjectReference {
        api_version: String::new(),
        kind: "Release".to_owned(),
        namespace: release.namespace.clone().unwrap_or_default(),
        name: name.clone(),
    })
}

fn found(release: &Release, reference: &ChartReference, rule: Rule, message: String) -> Found {
    Found {
        rule: rule.id(),
        severity: Severity::Error,
        at: reference.at.clone(),
        object: release_reference(release),
        field: reference.path.clone(),
        message,
    }
}

impl From<CheckFinding> for Found {
    fn from(finding: CheckFinding) -> Found {
        Found {
            rule: finding.rule.id(),
            severity: match finding.severity {
                CheckSeverity::Error => Severity::Error,
                CheckSeverity::Warning => Severity::Warning,
                CheckSeverity::Note => Severity::Note,
            },
            message: finding.message(),
            at: finding.at,
            object: None,
            field: finding.path,
        }
    }
}

fn config_map(made: &ArgocdCm) -> Node {
    let place = |key: &str| made.places.get(key).unwrap_or(&made.at);
    let data = made.data.iter().map(|(key, value)| Entry {
        key: key.clone(),
        at: place(key).clone(),
        value: Node::of_text(value, place(key)),
    });
    let data = Node {
        at: made.at.clone(),
        content: Content::Map(data.collect()),
    };
    let labels = ["metadata", "labels", PART_OF_LABEL];
    let labelled = set(
        Node::empty_map(made.at.clone()),
        &labels,
        Node::of_text(PART_OF_VALUE, &made.at),
    );
    set(labelled, &["data"], data)
}

/// The addresses of the repository in which `root` is, as git knows them; none without git.
pub(crate) fn remotes(root: &Path) -> Vec<String> {
    let listed = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["config", "--get-regexp", r"^remote\..*\.url$"])
        .output();
    let listed = listed.map(|output| output.stdout).unwrap_or_default();
    let listed = String::from_utf8_lossy(&listed);
    let lines = listed.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(_, address)| address.to_owned()).collect()
}
