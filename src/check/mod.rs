//! `check`: the verdicts of admission on what people write, before it is in a cluster.
//!
//! ```text
//! files → documents → objects → world → verdicts → report
//! ```

mod argocd_cm;
pub mod files;
pub(crate) mod found;
mod judge;
mod kustomize;
mod nearness;
mod object;
mod suppression;
mod users;
mod values;
mod wanted;
mod world;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::check::files::Tree;
use crate::check::found::{Found, Told};
use crate::check::judge::Judge;
use crate::check::kustomize::Document;
use crate::check::object::Object;
use crate::check::suppression::Comment;
use crate::check::values::remotes;
use crate::check::world::World;
use crate::config::Config;
use crate::config::project::SecretByHand;
use crate::report::{Checked, Report, Severity, Suppressed, Unseen};
use crate::sources::any_source::AnySource;
use crate::sources::values::{Context, Files};
use crate::telemetry::log::Log;
use crate::telemetry::metrics::Metrics;
use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::document::layers::set;
use keyguard_core::document::{Node, Position};
use keyguard_core::policy::accounts_change::{PART_OF_LABEL, PART_OF_VALUE};
use keyguard_core::policy::check_rules::CheckRule;
use keyguard_core::policy::rules::Rule;
use keyguard_core::runtime::name::Name;
use keyguard_core::runtime::secret_maker::{Written, written};
use keyguard_core::runtime::workload::WorkloadKind;

/// What is checked, and with what.
pub struct Check {
    /// The files.
    pub tree: Tree,
    /// Secrets that a person makes.
    pub by_hand: Vec<SecretByHand>,
    /// What is known beside the files.
    pub cluster: Option<AnySource>,
    /// The configuration with which keyguard serves.
    pub config: Config,
    /// The version of the Runtime's chart, where nothing names one.
    pub chart_version: Option<String>,
}

impl Check {
    /// Judges everything.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub async fn run(self) -> io::Result<Report> {
        let Check {
            tree,
            by_hand,
            cluster,
            config,
            chart_version,
        } = self;
        let Tree {
            root,
            files,
            broken,
            mut unseen,
            values: value_files,
            rendered,
        } = tree;
        let mut built = kustomize::build(&files);
        let looked_through = looked_through(&root, files.len(), by_hand.len(), cluster.as_ref());
        let selected: HashSet<Arc<str>> = files
            .iter()
            .filter(|file| file.selected)
            .map(|file| Arc::clone(&file.path))
            .collect();
        let mut comments: HashMap<Arc<str>, Vec<Comment>> = HashMap::new();
        let (mut objects, mut patched, mut count) = (Vec::new(), Vec::new(), 0);
        let mut documents = Files::new();
        let context = Context {
            repositories: remotes(&root),
            value_files,
        };
        for file in files {
            let path = file.path;
            let own = match built.taken.contains(&path) {
                true => Vec::new(),
                false => file.documents,
            };
            // Only those are counted that are checked.
            let mut known = 0;
            for document in &own {
                let counted = match file.selected {
                    true => &mut count,
                    false => &mut known,
                };
                objects.extend(Object::all(document, &path, file.selected, counted));
            }
            let mut all = built.charts.remove(&path).unwrap_or(own);
            for document in built.documents.remove(&path).unwrap_or_default() {
                let Document {
                    node,
                    unpatched,
                    selected,
                } = document;
                let counted = match selected {
                    true => &mut count,
                    false => &mut known,
                };
                let found = Object::all(&node, &path, selected, counted);
                patched.extend(found.iter().cloned().zip(unpatched));
                objects.extend(found);
                all.push(node);
            }
            documents.insert(path.to_string(), all);
            if file.selected && !file.comments.is_empty() {
                comments.insert(path, file.comments);
            }
        }
        let metrics = Arc::new(Metrics::new());
        let log = Log::start(io::sink(), Arc::clone(&metrics))?;
        let judge = Judge {
            world: Arc::new(World::new(&objects, rendered, by_hand, cluster)),
            config,
            metrics,
            log: log.writer(),
            looked_through,
            renamed: built.renamed,
        };
        let mut told = Told::default();
        for object in &objects {
            let is_workload = |kind: &WorkloadKind| kind.names().2 == object.kind;
            if WorkloadKind::ALL.iter().any(is_workload) {
                judge.workload(object, &mut told).await;
            }
            if (object.api_version.as_str(), object.kind.as_str()) == ("v1", "Secret") {
                told.found.extend(malformed(object));
                judge.users_of(object, &mut told).await;
            }
        }
        let is_accounts = |object: &&Arc<Object>| {
            (object.kind.as_str(), object.name.as_str()) == ("ConfigMap", CONFIG_MAP_NAME)
        };
        for object in objects.iter().filter(is_accounts) {
            let mut patched = patched.iter();
            match patched.find(|(patched, _)| Arc::ptr_eq(patched, object)) {
                Some((_, unpatched)) => judge.patched_accounts(object, unpatched, &mut told).await,
                None => judge.accounts(object, None, &mut told).await,
            }
        }
        for change in &built.changes {
            let accounts = with_accounts(&judge.config, &change.at);
            judge.changed_accounts(change, accounts, &mut told).await;
        }
        let version = chart_version.as_deref();
        judge.values(&documents, &context, version, &mut told).await;
        let Told {
            mut found,
            unseen: not_seen,
        } = told;
        found.retain(|found| selected.contains(&found.at.file));
        let of_selected = |unseen: &Unseen| selected.contains(unseen.file.as_str());
        let not_seen = not_seen.into_iter().chain(built.unseen);
        unseen.extend(not_seen.filter(of_selected));
        let checked = Checked {
            files: selected.len(),
            objects: count,
        };
        let mut report = Report {
            unseen,
            broken,
            checked,
            ..Report::default()
        };
        found.extend(
            comments
                .iter()
                .flat_map(|(path, comments)| incomplete(path, comments)),
        );
        tell(found, &comments, &mut report);
        Ok(report)
    }
}

/// Puts into `report` what was found, apart from what comments ask to ignore.
fn tell(found: Vec<Found>, comments: &HashMap<Arc<str>, Vec<Comment>>, report: &mut Report) {
    for found in found {
        let of_file = comments.get(&found.at.file).map_or(&[][..], Vec::as_slice);
        let finding = found.finding();
        match of_file.iter().find(|comment| comment.ignores(&finding)) {
            None => report.findings.push(finding),
            Some(comment) => report.suppressed.push(Suppressed {
                finding,
                reason: comment.reason.clone(),
            }),
        }
    }
}

/// What a message says was looked through.
fn looked_through(
    root: &Path,
    files: usize,
    by_hand: usize,
    cluster: Option<&AnySource>,
) -> String {
    let folder = root
        .file_name()
        .map_or_else(|| "/".into(), |name| name.to_string_lossy());
    let mut parts = vec![match files {
        1 => "1 file".to_owned(),
        files => format!("{files} files below {folder:?}"),
    }];
    if by_hand > 0 {
        parts.push("the Secrets made by hand".to_owned());
    }
    parts.extend(cluster.map(|cluster| match cluster {
        AnySource::Cluster(_) => "the cluster".to_owned(),
        AnySource::Manifests(_) => "the folder of --state".to_owned(),
    }));
    parts.join(", ")
}

/// An argocd-cm in which the protected accounts work: what a patch is of, and what a chart may take.
fn with_accounts(config: &Config, at: &Position) -> Node {
    let label = ["metadata", "labels", PART_OF_LABEL];
    let base = set(
        Node::empty_map(at.clone()),
        &label,
        Node::of_text(PART_OF_VALUE, at),
    );
    let policy = config.policy();
    policy
        .protected_accounts
        .iter()
        .fold(base, |base, account| {
            let key = format!("accounts.{account}");
            set(base, &["data", &key], Node::of_text("apiKey, login", at))
        })
}

/// The place of what nobody wrote.
fn nowhere() -> Position {
    Position {
        file: Arc::from(""),
        line: 1,
        column: 1,
        end_line: 1,
        end_column: 1,
    }
}

/// What the API server would refuse in a Secret.
fn malformed(secret: &Object) -> Vec<Found> {
    let written = written(&secret.node).into_iter();
    let wrong = written.filter_map(|(entry, written)| match written {
        Written::Wrong(why) => Some((entry, why)),
        _ => None,
    });
    let string_data = secret.node.get("stringData");
    let string_data = string_data.map_or(&[][..], Node::entries);
    wrong
        .map(|(entry, why)| {
            let in_string_data = string_data.iter().any(|other| std::ptr::eq(other, entry));
            let field = match in_string_data {
                true => "stringData",
                false => "data",
            };
            let key = Name::from(entry.key.as_str());
            let what = format!("{field}[{key}] of Secret {:?} {why}", secret.name);
            Found {
                rule: CheckRule::ObjectMalformed.id(),
                severity: Severity::Error,
                at: entry.at.clone(),
                object: Some(secret.reference()),
                field: format!("{field}[{key}]"),
                message: CheckRule::ObjectMalformed.sentence(&what, "Correct what stands there."),
            }
        })
        .collect()
}

/// Comments that ignore nothing, as they name no rule or give no reason.
fn incomplete(path: &Arc<str>, comments: &[Comment]) -> Vec<Found> {
    let is_rule =
        |id: &str| Rule::from_id(id).is_some() || CheckRule::ALL.iter().any(|rule| rule.id() == id);
    let incomplete = comments
        .iter()
        .filter(|comment| comment.reason.is_empty() || !is_rule(&comment.rule));
    incomplete
        .map(|comment| Found {
            rule: CheckRule::IgnoreIncomplete.id(),
            severity: Severity::Warning,
            at: Position {
                file: Arc::clone(path),
                line: comment.line,
                column: 1,
                end_line: comment.line,
                end_column: 2,
            },
            object: None,
            field: String::new(),
            message: CheckRule::IgnoreIncomplete.sentence(
                "the comment keyguard:ignore names no rule, or gives no reason",
                "Write # keyguard:ignore RULE REASON.",
            ),
        })
        .collect()
}
