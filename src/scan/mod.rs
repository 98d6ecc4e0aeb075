//! `scan`: the verdicts of admission on what is in the cluster.
//!
//! ```text
//! lists → pages → reviews → verdicts → report → drift → metrics, reports, log
//! ```

pub mod drift;
pub mod election;
mod judge;
pub mod progress;
pub mod reports;
mod shared;
pub mod watch;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::Semaphore;

use crate::admission::configuration::admission;
use crate::admission::decided::Decided;
use crate::admission::password_checks::PasswordChecks;
use crate::config::Config;
use crate::report::findings::finish;
use crate::report::{Report, Unseen};
use crate::scan::drift::Gaps;
use crate::scan::judge::{Judge, Judgement};
use crate::scan::progress::Progress;
use crate::scan::shared::Shared;
use crate::sources::any_source::AnySource;
use crate::sources::listing::{Item, Listed};
use crate::sources::pages::Pages;
use crate::telemetry::log::Log;
use crate::telemetry::metrics::Metrics;
use keyguard_core::policy::facts::Unread;
use keyguard_core::runtime::workload::WorkloadKind;

pub use crate::scan::shared::Expiry;

/// Reads at once, when nothing else is asked for.
pub const READS: usize = 16;
/// The most reads at once. So many passwords of one namespace may wait to be compared.
pub const MOST_READS: usize = 32;
/// How long all reads for one workload may take together: nobody waits for the answer.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(30);

/// What is scanned, and with what.
pub struct Scan {
    source: Arc<AnySource>,
    config: Config,
    namespaces: Vec<String>,
    reads: usize,
    passwords: Arc<PasswordChecks>,
    metrics: Arc<Metrics>,
    /// Decisions of a scan are on no record.
    records: Log,
}

/// What a scan came to.
#[derive(Debug, Default)]
pub struct Scanned {
    /// What was found.
    pub report: Report,
    /// Where something may be that was not seen.
    pub gaps: Gaps,
    /// Credentials that expire, the first to do so first.
    pub expiries: Vec<Expiry>,
    /// Requests that were sent, retries among them.
    pub requests: usize,
}

impl Scan {
    /// Of `namespaces`, or of all when there are none, with `reads` at once.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(
        source: Arc<AnySource>,
        config: Config,
        namespaces: Vec<String>,
        reads: usize,
        metrics: Arc<Metrics>,
    ) -> io::Result<Scan> {
        Ok(Scan {
            source,
            config,
            namespaces,
            reads: reads.clamp(1, MOST_READS),
            passwords: Arc::default(),
            records: Log::start(io::sink(), Arc::clone(&metrics))?,
            metrics,
        })
    }

    /// Looks at everything once.
    pub async fn run(&self, progress: &mut Progress) -> Scanned {
        let secrets = self
            .source
            .reading_up_to(*self.config.limits.max_secret_bytes);
        let shared = Arc::new(Shared::new(secrets, self.reads));
        let (metrics, writer) = (&self.metrics, self.records.writer());
        let source = Arc::clone(&shared);
        let mut admission = admission(&self.config, source, metrics, &writer, &self.passwords);
        admission.lookup_timeout = LOOKUP_TIMEOUT;
        admission.reads = Semaphore::new(self.reads);
        admission.decided = Some(Decided::default());
        let mut round = Round {
            scan: self,
            judge: Judge::new(admission),
            scanned: Scanned::default(),
            progress,
            silent: false,
        };
        round.exempt().await;
        for kind in WorkloadKind::ALL {
            round.everywhere(Listed::Workloads(kind)).await;
        }
        round.everywhere(Listed::Accounts).await;
        round.verified_accounts().await;
        let mut scanned = round.scanned;
        progress.end();
        finish(&mut scanned.report);
        scanned.requests += shared.requests();
        scanned.expiries = shared.expiries();
        scanned
    }
}

/// One scan on its way.
struct Round<'a> {
    scan: &'a Scan,
    judge: Judge,
    scanned: Scanned,
    progress: &'a mut Progress,
    /// Whether the API server gave no answer when it was asked last.
    silent: bool,
}

/// What was found in a part of the cluster.
#[derive(Default)]
struct Part {
    objects: usize,
    judgement: Judgement,
    /// The namespaces of the ConfigMaps in it.
    namespaces: BTreeSet<String>,
}

impl Round<'_> {
    /// Notes the namespaces that a label exempts: the API server asks about them for the record only.
    async fn exempt(&mut self) {
        let labels = &self.scan.config.exempt_namespace_labels;
        if labels.is_empty() {
            return;
        }
        let mut pages = Pages::new(&self.scan.source, Listed::Namespaces, None);
        let read = async {
            while let Some(page) = pages.next().await? {
                for item in page.items()? {
                    self.judge.exempt(&item, labels);
                }
            }
            Ok(())
        };
        let read: Result<(), Unread> = read.await;
        self.scanned.requests += pages.requests;
        if let Err(unread) = read {
            self.not_listed(Listed::Namespaces, None, &unread);
        }
    }

    async fn everywhere(&mut self, listed: Listed) {
        let scan = self.scan;
        match scan.namespaces.is_empty() {
            true => self.list(listed, None).await,
            false => {
                for namespace in &scan.namespaces {
                    self.list(listed, Some(namespace)).await;
                }
            }
        }
    }

    /// Judges the objects of one kind. What took so long that the API server forgot the list is begun again, once.
    async fn list(&mut self, listed: Listed, namespace: Option<&str>) {
        let mut read = self.part(listed, namespace).await;
        if let (_, Err(Unread::Status(410))) = read {
            read = self.part(listed, namespace).await;
        }
        let (part, outcome) = read;
        self.scanned.report.checked.objects += part.objects;
        self.add(part.judgement);
        self.judge.accounts_seen.extend(part.namespaces);
        if let Err(unread) = outcome {
            self.not_listed(listed, namespace, &unread);
        }
    }

    async fn part(
        &mut self,
        listed: Listed,
        namespace: Option<&str>,
    ) -> (Part, Result<(), Unread>) {
        let mut part = Part::default();
        let mut pages = Pages::new(&self.scan.source, listed, namespace);
        pages.insists = !self.silent;
        let outcome = loop {
            let page = match pages.next().await {
                Ok(Some(page)) => page,
                Ok(None) => break Ok(()),
                Err(unread) => break Err(unread),
            };
            let items = match page.items() {
                Ok(items) => items,
                Err(unread) => break Err(unread),
            };
            part.objects += items.len();
            if listed == Listed::Accounts {
                let namespaces = items.iter().map(|item| item.namespace.to_string());
                part.namespaces.extend(namespaces);
            }
            self.page(listed, &items, &mut part.judgement).await;
            let objects = self.scanned.report.checked.objects + part.objects;
            self.progress.tell(listed, objects);
        };
        self.scanned.requests += pages.requests;
        self.silent = matches!(outcome, Err(Unread::Unreachable | Unread::Timeout));
        (part, outcome)
    }

    /// Judges the objects of a page, several at once: some wait for the same Secret.
    async fn page(&self, listed: Listed, items: &[Item<'_>], judgement: &mut Judgement) {
        let judged = stream::iter(items).map(|item| self.judge.object(listed, item));
        let mut judged = judged.buffer_unordered(self.scan.reads);
        while let Some(of_object) = judged.next().await {
            judgement.add(of_object);
        }
    }

    /// Judges the argocd-cm of the Argo CD that is asked, which may lack the label by which the others are found.
    async fn verified_accounts(&mut self) {
        let namespace = self.scan.config.verify.argocd_namespace.to_string();
        let wanted = &self.scan.namespaces;
        let is_wanted = wanted.is_empty() || wanted.contains(&namespace);
        if namespace.is_empty() || !is_wanted || self.judge.accounts_seen.contains(&namespace) {
            return;
        }
        let (found, judgement) = self.judge.accounts_of(&namespace).await;
        self.scanned.report.checked.objects += usize::from(found);
        self.add(judgement);
    }

    fn add(&mut self, judgement: Judgement) {
        let Scanned { report, gaps, .. } = &mut self.scanned;
        report.findings.extend(judgement.findings);
        report.unseen.extend(judgement.unseen);
        gaps.objects.extend(judgement.gaps);
    }

    fn not_listed(&mut self, listed: Listed, namespace: Option<&str>, unread: &Unread) {
        let resource = listed.resource();
        let place = match namespace {
            Some(namespace) => format!("in namespace {namespace:?}"),
            None => "in all namespaces".to_owned(),
        };
        let why = match unread {
            Unread::Forbidden => format!(
                "keyguard's account may not list {resource} {place}: give it the right to list {resource}"
            ),
            Unread::TooLarge => "one of them is larger than keyguard reads".to_owned(),
            unread => format!("{}. {}", unread.what(), unread.mend()),
        };
        self.scanned.report.unseen.push(Unseen {
            file: String::new(),
            line: 0,
            what: format!("{resource} {place}"),
            why,
        });
        let namespace = namespace.map(str::to_owned);
        self.scanned.gaps.kinds.push((listed.names().2, namespace));
    }
}
