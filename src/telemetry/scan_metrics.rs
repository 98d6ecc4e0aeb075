//! What `scan --every` tells in metrics: a bounded number of series, whatever the cluster.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::labelled_counter::LabelledCounter;
use super::labels::WriteOutcome;

/// The most series of findings that name their namespace, and of credentials. With those under [`OTHER`], one a rule, there
/// are fewer than 1,000 of findings.
const MOST_SERIES: usize = 900;
/// The namespace of findings that are beyond the bound.
const OTHER: &str = "other";

type Labels = [(&'static str, String); 2];

/// The metrics of `scan --every`.
#[derive(Debug)]
pub struct ScanMetrics {
    registry: Registry,
    findings: Family<Labels, Gauge>,
    expiries: Family<Labels, Gauge>,
    /// Held while series change, so that nobody reads half of them.
    changing: Mutex<()>,
    last: Gauge,
    duration: Gauge<f64, AtomicU64>,
    complete: Gauge,
    objects: Gauge,
    requests: Gauge,
    /// 1 while this replica scans, else 0.
    pub leading: Gauge,
    /// Writes of PolicyReports.
    pub report_writes: LabelledCounter<WriteOutcome>,
}

/// What a scan came to, as metrics tell it.
#[derive(Debug, Default)]
pub struct Told {
    /// How many findings there are of each rule in each namespace.
    pub findings: BTreeMap<(&'static str, String), usize>,
    /// When credentials expire, in Unix seconds, with namespace and Secret; the first to do so first.
    pub expiries: Vec<(i64, String, String)>,
    /// When it ended, in Unix seconds.
    pub ended: i64,
    /// How long it took.
    pub duration: Duration,
    /// Whether it saw everything.
    pub complete: bool,
    /// How many objects it looked at.
    pub objects: usize,
    /// How many requests it sent.
    pub requests: usize,
}

impl ScanMetrics {
    /// Registers everything.
    pub fn new() -> ScanMetrics {
        let mut registry = Registry::with_prefix("keyguard");
        let all = &mut registry;
        let findings = Family::default();
        all.register(
            "findings",
            "Errors and warnings that stand, by rule and namespace; beyond 900 series under the namespace `other`",
            Family::clone(&findings),
        );
        let expiries = Family::default();
        all.register_with_unit(
            "credential_expiry_timestamp",
            "When a credential expires, of those that do the first 900, in Unix seconds",
            Unit::Seconds,
            Family::clone(&expiries),
        );
        let seconds = |all: &mut Registry, name: &str, help: &str| {
            let gauge = Gauge::default();
            all.register_with_unit(name, help, Unit::Seconds, Gauge::clone(&gauge));
            gauge
        };
        let last = seconds(
            all,
            "scan_last_timestamp",
            "When the last scan ended, in Unix seconds; 0 before the first",
        );
        let duration = Gauge::default();
        all.register_with_unit(
            "scan_duration",
            "How long the last scan took",
            Unit::Seconds,
            Gauge::clone(&duration),
        );
        let number = |all: &mut Registry, name: &str, help: &str| {
            let gauge = Gauge::default();
            all.register(name, help, Gauge::clone(&gauge));
            gauge
        };
        let complete = number(
            all,
            "scan_complete",
            "1 when the last scan saw everything, else 0",
        );
        let objects = number(all, "scan_objects", "Objects that the last scan looked at");
        let requests = number(all, "scan_requests", "Requests that the last scan sent");
        let leading = number(all, "scan_leading", "1 on the replica that scans, else 0");
        let report_writes = LabelledCounter::register(
            all,
            "scan_report_writes",
            "Writes of PolicyReports, deletions among them: `written`, `lost`, `forbidden`, `error`",
            "outcome",
        );
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "1", Info::new(version));
        ScanMetrics {
            registry,
            findings,
            expiries,
            changing: Mutex::default(),
            last,
            duration,
            complete,
            objects,
            requests,
            leading,
            report_writes,
        }
    }

    /// Tells what a scan came to in the place of the one before.
    pub fn tell(&self, told: Told) {
        let _changing = self.change();
        self.findings.clear();
        for ((rule, namespace), number) in bounded(told.findings) {
            let labels = [("rule", rule.to_owned()), ("namespace", namespace)];
            set(&self.findings, &labels, number);
        }
        self.expiries.clear();
        for (at, namespace, secret) in told.expiries.into_iter().take(MOST_SERIES) {
            let labels = [("namespace", namespace), ("secret", secret)];
            self.expiries.get_or_create(&labels).set(at);
        }
        self.last.set(told.ended);
        self.duration.set(told.duration.as_secs_f64());
        self.complete.set(told.complete.into());
        self.objects.set(number(told.objects));
        self.requests.set(number(told.requests));
    }

    /// Tells of no finding any more: another replica does.
    pub fn stand_by(&self) {
        let _changing = self.change();
        self.findings.clear();
        self.expiries.clear();
        self.leading.set(0);
    }

    /// Everything in OpenMetrics text, of [`super::metrics::CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let _changing = self.change();
        let mut exposition = String::new();
        if text::encode(&mut exposition, &self.registry).is_err() {
            tracing::error!("the metrics could not be written");
        }
        exposition
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ScanMetrics {
    fn default() -> Self {
        Self::new()
    }
}

fn set(family: &Family<Labels, Gauge>, labels: &Labels, value: usize) {
    family.get_or_create(labels).set(number(value));
}

fn number(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The largest numbers under their namespaces, and the others together.
fn bounded(
    findings: BTreeMap<(&'static str, String), usize>,
) -> BTreeMap<(&'static str, String), usize> {
    if findings.len() <= MOST_SERIES {
        return findings;
    }
    let mut series: Vec<_> = findings.into_iter().collect();
    // Stable: of the same number, those that come first.
    series.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    let mut bounded = BTreeMap::new();
    for (index, ((rule, namespace), number)) in series.into_iter().enumerate() {
        let namespace = match index < MOST_SERIES {
            true => namespace,
            false => OTHER.to_owned(),
        };
        *bounded.entry((rule, namespace)).or_default() += number;
    }
    bounded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(exposition: &str, name: &str) -> usize {
        let begins = format!("{name}{{");
        let lines = exposition.lines();
        lines.filter(|line| line.starts_with(&begins)).count()
    }

    #[test]
    fn ten_thousand_namespaces_and_secrets_add_fewer_than_a_thousand_series_each() {
        let metrics = ScanMetrics::new();
        let mut told = Told::default();
        for index in 0..10_000 {
            for rule in ["credentials/secret-missing", "credentials/key-missing"] {
                told.findings.insert((rule, format!("n{index}")), 1);
            }
            told.expiries
                .push((index, format!("n{index}"), "s".to_owned()));
        }
        told.findings
            .insert(("credentials/secret-missing", "z".to_owned()), 7);
        metrics.tell(told);
        let exposition = metrics.encode();
        assert_eq!(series(&exposition, "keyguard_findings"), 902);
        let name = "keyguard_credential_expiry_timestamp_seconds";
        assert_eq!(series(&exposition, name), 900);
        for line in [
            r#"keyguard_findings{rule="credentials/secret-missing",namespace="z"} 7"#,
            r#"keyguard_credential_expiry_timestamp_seconds{namespace="n899",secret="s"} 899"#,
        ] {
            assert!(exposition.lines().any(|is| is == line), "{line}");
        }
        let numbers = exposition
            .lines()
            .filter(|line| line.starts_with("keyguard_findings{"))
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap());
        assert_eq!(numbers.sum::<usize>(), 20_007);
    }

    #[test]
    fn what_is_mended_has_no_series_any_more() {
        let metrics = ScanMetrics::new();
        let mut told = Told {
            ended: 5,
            complete: true,
            ..Told::default()
        };
        told.findings
            .insert(("accounts/unreadable", "n".to_owned()), 2);
        metrics.tell(told);
        assert_eq!(series(&metrics.encode(), "keyguard_findings"), 1);
        metrics.tell(Told::default());
        assert_eq!(series(&metrics.encode(), "keyguard_findings"), 0);
        assert!(metrics.encode().contains("keyguard_scan_complete 0"));
    }
}
