//! Everything that answering a review needs, and the single reads that it is made of.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::admission::decided::Decided;
use crate::admission::password_checks::PasswordChecks;
use crate::admission::searches::Searches;
use crate::sources::source::{ConfigMapRead, Read, SecretRead, Source};
use crate::telemetry::labels::ReadOutcome;
use crate::telemetry::log::LogWriter;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::trail::Trail;
use keyguard_core::policy::decide::Policy;
use keyguard_core::policy::facts::{ModeFact, Unread};
use keyguard_core::policy::plan::is_object_name;
use keyguard_core::policy::verdict::Verdict;
use keyguard_core::review::request::Request;
use keyguard_core::runtime::mode::{self, Mode};
use keyguard_core::runtime::name::Name;

/// What is kept free of the API server's own timeout for the answer to arrive.
const MARGIN: Duration = Duration::from_millis(500);

/// Everything that answering a review needs.
pub struct Admission<S> {
    /// What the operator decided.
    pub policy: Policy,
    /// Where facts come from.
    pub source: Arc<S>,
    /// How deeply a body may be nested.
    pub max_json_depth: usize,
    /// How long all lookups of one request may take together.
    pub lookup_timeout: Duration,
    /// Secrets read at once, for all requests together: each may be large, and is in memory meanwhile.
    pub reads: Semaphore,
    /// What looks through workloads, for all requests together.
    pub searches: Arc<Searches<S>>,
    /// What compares passwords, for all requests together and whatever the configuration.
    pub passwords: Arc<PasswordChecks>,
    /// What was decided of Secrets before; nothing where each review reads afresh, as it must at admission.
    pub decided: Option<Decided>,
    /// Where decisions are counted.
    pub metrics: Arc<Metrics>,
    /// Where decisions are put on record.
    pub log: LogWriter,
    /// Where records are kept, if they are.
    pub trail: Option<Arc<Trail>>,
}

/// A request with what was known and decided.
pub struct Outcome {
    /// The request.
    pub request: Request,
    /// The Secrets that were read, by name.
    pub secrets: Vec<Name>,
    /// The verdict.
    pub verdict: Verdict,
}

impl<S: Source> Admission<S> {
    pub(crate) fn limit(&self, answer_by: Option<Instant>) -> Duration {
        let Some(answer_by) = answer_by else {
            return self.lookup_timeout;
        };
        let left = answer_by.saturating_duration_since(Instant::now());
        self.lookup_timeout
            .min(left.saturating_sub(MARGIN).max(left / 2))
    }

    pub(crate) async fn read_secret(
        &self,
        namespace: &str,
        name: &str,
        keys: &[&str],
        limit: Duration,
    ) -> SecretRead {
        let read = async {
            let _turn = self.reads.acquire().await;
            self.source.secret(namespace, name, keys).await
        };
        let read = within(limit, namespace, read).await;
        self.count_secret(&read);
        read
    }

    pub(crate) fn count_secret(&self, read: &SecretRead) {
        self.metrics.secret_reads.inc(outcome_of(read));
    }

    pub(crate) fn count_config_map(&self, read: &ConfigMapRead) {
        self.metrics.config_map_reads.inc(outcome_of(read));
    }

    pub(crate) async fn mode(&self, namespace: &str, needed: bool, limit: Duration) -> ModeFact {
        if !needed || !is_object_name(namespace) {
            return ModeFact::NotNeeded;
        }
        let read = self.config_map(namespace, mode::CONFIG_MAP_NAME, limit);
        match read.await {
            Read::Missing => ModeFact::Missing,
            Read::Unread(unread) => ModeFact::Unread(unread),
            Read::Found(found) => {
                let text = |key| found.data.get(key).map(String::as_str);
                let (external, user) = (text(mode::IS_EXTERNAL_KEY), text(mode::USERNAME_KEY));
                ModeFact::Known(Mode::read(external, user))
            }
        }
    }

    pub(crate) async fn config_map(
        &self,
        namespace: &str,
        name: &str,
        limit: Duration,
    ) -> ConfigMapRead {
        let read = within(limit, namespace, self.source.config_map(namespace, name)).await;
        self.count_config_map(&read);
        read
    }
}

/// A read in a namespace, which it is not begun in when no namespace can have such a name.
pub(crate) async fn within<T>(
    limit: Duration,
    namespace: &str,
    read: impl Future<Output = Read<T>>,
) -> Read<T> {
    if !is_object_name(namespace) {
        return Read::Unread(Unread::Garbled);
    }
    let read = timeout(limit, read).await;
    read.unwrap_or(Read::Unread(Unread::Timeout))
}

fn outcome_of<T>(read: &Read<T>) -> ReadOutcome {
    match read {
        Read::Found(_) => ReadOutcome::Found,
        Read::Missing => ReadOutcome::Missing,
        Read::Unread(unread) => outcome(unread),
    }
}

pub(crate) fn outcome(unread: &Unread) -> ReadOutcome {
    match unread {
        Unread::Forbidden => ReadOutcome::Forbidden,
        Unread::Timeout => ReadOutcome::Timeout,
        Unread::TooLarge => ReadOutcome::TooLarge,
        Unread::Status(_)
        | Unread::Unreachable
        | Unread::TooMany
        | Unread::Garbled
        | Unread::Manifests => ReadOutcome::Error,
    }
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> f64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
