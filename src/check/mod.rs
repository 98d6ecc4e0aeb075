//! `check`: the verdicts of admission on what people write, before it is in a cluster.
//!
//! ```text
//! files → documents → objects → world → verdicts → report
//! ```

pub mod files;
mod found;
mod judge;
mod kustomize;
mod object;
mod suppression;
mod world;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::admission::configuration::admission;
use crate::check::files::{File, Tree};
use crate::check::found::Found;
use crate::check::judge::{Judge, sentence};
use crate::check::kustomize::Kustomizations;
use crate::check::object::Object;
use crate::config::project::SecretByHand;
use crate::check::suppression::Comment;
use crate::check::world::World;
use crate::config::Config;
use crate::report::{Checked, Report, Severity, Suppressed};
use crate::sources::any_source::AnySource;
use crate::telemetry::log::Log;
use crate::telemetry::metrics::Metrics;
use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::document::{Node, Position};
use keyguard_core::policy::check_rules::CheckRule;
use keyguard_core::policy::rules::Rule;
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
        } = self;
        let Tree {
            root,
            files,
            broken,
            unseen,
        } = tree;
        let kustomizations = Kustomizations::of(&files);
        let looked_through = looked_through(&root, files.len(), by_hand.len(), cluster.as_ref());
        let selected: HashSet<Arc<str>> = files
            .iter()
            .filter(|file| file.selected)
            .map(|file| Arc::clone(&file.path))
            .collect();
        let mut comments: HashMap<Arc<str>, Vec<Comment>> = HashMap::new();
        let (mut objects, mut patches) = (Vec::new(), Vec::new());
        for file in files {
            let File {
                path,
                documents,
                comments: own,
                ..
            } = file;
            let namespace = kustomizations.namespace(&path);
            let of_file = match kustomizations.is_patch(&path) {
                true => &mut patches,
                false => &mut objects,
            };
            for document in documents {
                of_file.extend(Object::all(document, selected.contains(&path), namespace));
            }
            if !own.is_empty() {
                comments.insert(path, own);
            }
        }
        let metrics = Arc::new(Metrics::new());
        let log = Log::start(io::sink(), Arc::clone(&metrics))?;
        let world = World::new(&objects, by_hand, cluster);
        let judge = Judge {
            admission: admission(
                &config,
                Arc::new(world),
                &metrics,
                &log.writer(),
                &Arc::default(),
            ),
            looked_through,
        };
        let mut found = Vec::new();
        for object in objects.iter().chain(&patches) {
            if WorkloadKind::ALL
                .iter()
                .any(|kind| kind.names().2 == object.kind)
            {
                found.extend(judge.workload(object).await);
            }
            if (object.api_version.as_str(), object.kind.as_str()) == ("v1", "Secret") {
                found.extend(malformed(object));
            }
        }
        let is_accounts = |object: &&Arc<Object>| {
            (object.kind.as_str(), object.name.as_str()) == ("ConfigMap", CONFIG_MAP_NAME)
        };
        for object in objects.iter().filter(is_accounts) {
            found.extend(judge.accounts(object, None).await);
        }
        for patch in patches.iter().filter(is_accounts) {
            let base = objects
                .iter()
                .find(is_accounts)
                .map(|base| base.node.clone());
            let base = base.unwrap_or_else(|| with_accounts(&config, &patch.node.at));
            found.extend(judge.accounts(patch, Some(&base)).await);
        }
        found.retain(|found| selected.contains(&found.at.file));
        let checked = Checked {
            files: selected.len(),
            objects: objects.iter().filter(|object| object.selected).count(),
        };
        let mut report = Report {
            unseen,
            broken,
            checked,
            ..Report::default()
        };
        let comments: HashMap<_, _> = comments
            .into_iter()
            .filter(|(path, _)| selected.contains(path))
            .collect();
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

/// The argocd-cm that a patch is of, when it is not in the tree: one in which the protected accounts work.
fn with_accounts(config: &Config, at: &Position) -> Node {
    use keyguard_core::document::layers::set;
    use keyguard_core::document::{Content, Scalar, ScalarKind};
    let text = |text: &str| Node {
        at: at.clone(),
        content: Content::Scalar(Scalar {
            kind: ScalarKind::Text,
            text: text.to_owned().into(),
        }),
    };
    let label = [
        "metadata",
        "labels",
        keyguard_core::policy::accounts_change::PART_OF_LABEL,
    ];
    let base = set(Node::empty_map(at.clone()), &label, text("argocd"));
    config
        .policy()
        .protected_accounts
        .iter()
        .fold(base, |base, account| {
            let key = format!("accounts.{account}");
            set(base, &["data", &key], text("apiKey, login"))
        })
}

/// What the API server would refuse in a Secret.
fn malformed(secret: &Object) -> Vec<Found> {
    let written = written(&secret.node).into_iter();
    let wrong = written.filter_map(|(entry, written)| match written {
        Written::Wrong(why) => Some((entry, why)),
        _ => None,
    });
    wrong
        .map(|(entry, why)| Found {
            rule: CheckRule::ObjectMalformed.id(),
            severity: Severity::Error,
            at: entry.at.clone(),
            object: Some(secret.reference()),
            field: format!("data[{:?}]", entry.key),
            message: sentence(
                CheckRule::ObjectMalformed,
                &format!("key {:?} of Secret {:?} {why}", entry.key, secret.name),
                "Correct it, or use stringData.",
            ),
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
            message: sentence(
                CheckRule::IgnoreIncomplete,
                "the comment keyguard:ignore names no rule, or gives no reason",
                "Write # keyguard:ignore RULE REASON.",
            ),
        })
        .collect()
}
