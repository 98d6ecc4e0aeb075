//! Findings as objects of the cluster: one report a namespace, updated in place, deleted when nothing stands.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::clock;
use crate::report::Report;
use crate::report::policy_report::{
    Api, FINGERPRINT, NAME, PolicyReport, Timestamp, policy_reports,
};
use crate::scan::drift::Gaps;
use crate::sources::cluster::Cluster;
use crate::sources::patience::patiently;
use crate::telemetry::labels::WriteOutcome;
use crate::telemetry::scan_metrics::ScanMetrics;
use keyguard_core::policy::facts::Unread;

/// What says whose a report is, beside the label that every report of keyguard has.
const OWNER_LABEL: (&str, &str) = ("keyguard.dev/written-by", "scan");
/// The same for the API server, which keeps who wrote which field.
const MANAGER: &str = "keyguard-scan";
/// How long the API server may take to answer.
const CALL: Duration = Duration::from_secs(10);
/// Objects of one answer, of which the metadata is read.
const PAGE: usize = 500;
/// The most bytes of such an answer.
const PAGE_BYTES: usize = 16 << 20;

/// Writes reports.
pub struct Reports {
    cluster: Cluster,
    metrics: Arc<ScanMetrics>,
    /// The namespaces that are scanned; all when there are none.
    namespaces: Vec<String>,
    /// The namespaces in which this program wrote one.
    written: BTreeSet<String>,
    /// Since when what is reported stands, by fingerprint; before the first reports, nothing is known.
    since: Option<HashMap<String, i64>>,
    /// What was said last about the reports as a whole, to say it once.
    said: Option<String>,
}

impl Reports {
    /// Into these namespaces of a cluster, or into all when there are none.
    pub fn new(cluster: &Cluster, namespaces: Vec<String>, metrics: Arc<ScanMetrics>) -> Reports {
        Reports {
            cluster: cluster.reading_up_to(PAGE_BYTES),
            metrics,
            namespaces,
            written: BTreeSet::new(),
            since: None,
            said: None,
        }
    }

    /// Makes the reports in the cluster what `report` says. Where a scan did not see everything, what was written by an
    /// earlier program stays.
    pub async fn write(&mut self, report: &Report, gaps: &Gaps) {
        let api = match self.api().await {
            Ok(Some(api)) => api,
            Ok(None) => {
                return self.say(
                    "the cluster has no API for policy reports (openreports.io/v1alpha1 or wgpolicyk8s.io/v1alpha2): \
                     findings are metrics and lines of the log only",
                );
            }
            Err(unread) => return self.say(&format!("no policy report: {}", unread.what())),
        };
        let there = match self.there(api).await {
            Ok(there) => there,
            Err(unread) => return self.say(&why("list", api, &unread)),
        };
        let known = match self.since.take() {
            Some(known) => known,
            None => self.reported(api, &there).await,
        };
        let (mut since, now) = (HashMap::new(), clock::now());
        let mut problem = None;
        let mut stand = BTreeSet::new();
        for mut report in policy_reports(report, api) {
            let Some(namespace) = report.metadata.namespace.clone() else {
                continue;
            };
            for result in &mut report.results {
                let fingerprint = result
                    .properties
                    .get(FINGERPRINT)
                    .cloned()
                    .unwrap_or_default();
                let seconds = known.get(&fingerprint).copied().unwrap_or(now);
                result.timestamp = Some(Timestamp { seconds, nanos: 0 });
                since.insert(fingerprint, seconds);
            }
            let labels = report.metadata.labels.get_or_insert_default();
            labels.insert(OWNER_LABEL.0.to_owned(), OWNER_LABEL.1.to_owned());
            match self.apply(api, &namespace, &report).await {
                Ok(()) => drop(self.written.insert(namespace.clone())),
                Err(unread) => problem = Some(why("patch and create", api, &unread)),
            }
            stand.insert(namespace);
        }
        if !gaps.is_empty() {
            // What was not seen may still stand.
            for (fingerprint, at) in known {
                since.entry(fingerprint).or_insert(at);
            }
        }
        self.since = Some(since);
        for namespace in there.difference(&stand) {
            if !self.written.contains(namespace) && gaps.may_hide_in(namespace) {
                continue;
            }
            let path = path(api, namespace);
            let deleted = patiently(CALL, async || self.cluster.delete(&path).await).await;
            self.count(&deleted);
            match deleted {
                Ok(_) => drop(self.written.remove(namespace)),
                Err(unread) => problem = Some(why("delete", api, &unread)),
            }
        }
        match problem {
            None => self.said = None,
            Some(problem) => self.say(&problem),
        }
    }

    /// The API that the cluster has, the newer one first.
    async fn api(&self) -> Result<Option<Api>, Unread> {
        for api in [Api::OpenReports, Api::WgPolicy] {
            let path = format!("/apis/{}", api.version());
            let read = patiently(CALL, async || self.cluster.get(&path).await);
            let Some(json) = read.await? else {
                continue;
            };
            let has: Value = serde_json::from_slice(&json).map_err(|_| Unread::Garbled)?;
            let resources = has.get("resources").and_then(Value::as_array);
            let mut resources = resources.into_iter().flatten();
            if resources.any(|it| it.get("name").is_some_and(|name| name == api.resource())) {
                return Ok(Some(api));
            }
        }
        Ok(None)
    }

    /// The namespaces in which there is a report of keyguard's scan.
    async fn there(&self, api: Api) -> Result<BTreeSet<String>, Unread> {
        if self.namespaces.is_empty() {
            return self.there_in(api, "").await;
        }
        let mut there = BTreeSet::new();
        for namespace in &self.namespaces {
            let place = format!("/namespaces/{namespace}");
            there.extend(self.there_in(api, &place).await?);
        }
        Ok(there)
    }

    async fn there_in(&self, api: Api, place: &str) -> Result<BTreeSet<String>, Unread> {
        let (label, value) = OWNER_LABEL;
        let label = label.replace('/', "%2F");
        let mut there = BTreeSet::new();
        let mut next = String::new();
        loop {
            let path = format!(
                "/apis/{}{place}/{}?limit={PAGE}&labelSelector={label}%3D{value}{next}",
                api.version(),
                api.resource()
            );
            let read = patiently(CALL, async || self.cluster.get_metadata(&path).await);
            let Some(json) = read.await? else {
                return Ok(there);
            };
            let list: List = serde_json::from_slice(&json).map_err(|_| Unread::Garbled)?;
            let named = list.items.into_iter().flatten().map(|item| item.metadata);
            let named = named.filter(|metadata| metadata.name == NAME);
            there.extend(named.map(|metadata| metadata.namespace));
            match list.metadata.next.filter(|next| !next.is_empty()) {
                None => return Ok(there),
                Some(more) => next = format!("&continue={more}"),
            }
        }
    }

    /// Since when what an earlier program reported stands. What cannot be read begins anew.
    async fn reported(&self, api: Api, namespaces: &BTreeSet<String>) -> HashMap<String, i64> {
        let mut since = HashMap::new();
        for namespace in namespaces {
            let path = path(api, namespace);
            let read = patiently(CALL, async || self.cluster.get(&path).await);
            let report = match read.await {
                Ok(Some(json)) => serde_json::from_slice(&json).unwrap_or_default(),
                Ok(None) | Err(_) => Reported::default(),
            };
            let known = report.results.into_iter();
            since.extend(
                known.filter_map(|it| Some((it.properties.fingerprint, it.timestamp?.seconds))),
            );
        }
        since
    }

    async fn apply(&self, api: Api, namespace: &str, report: &PolicyReport) -> Result<(), Unread> {
        let json = serde_json::to_vec(report).map_err(|_| Unread::Garbled)?;
        let path = path(api, namespace);
        let apply = async || self.cluster.apply(&path, MANAGER, json.clone()).await;
        let applied = patiently(CALL, apply).await;
        self.count(&applied);
        match applied? {
            true => Ok(()),
            false => Err(Unread::Status(409)),
        }
    }

    fn count(&self, written: &Result<bool, Unread>) {
        self.metrics.report_writes.inc(match written {
            Ok(true) => WriteOutcome::Written,
            Ok(false) => WriteOutcome::Lost,
            Err(Unread::Forbidden) => WriteOutcome::Forbidden,
            Err(_) => WriteOutcome::Error,
        });
    }

    fn say(&mut self, what: &str) {
        if self.said.as_deref() != Some(what) {
            tracing::warn!(reason = what, "policy reports are not as they should be");
            self.said = Some(what.to_owned());
        }
    }
}

fn path(api: Api, namespace: &str) -> String {
    let (version, resource) = (api.version(), api.resource());
    format!("/apis/{version}/namespaces/{namespace}/{resource}/{NAME}")
}

fn why(verb: &str, api: Api, unread: &Unread) -> String {
    let resource = api.resource();
    match unread {
        Unread::Forbidden => {
            format!(
                "keyguard's account needs the right to {verb} {resource} ({})",
                api.version()
            )
        }
        unread => format!("cannot {verb} {resource}: {}", unread.what()),
    }
}

#[derive(Default, Deserialize)]
struct Reported {
    #[serde(default)]
    results: Vec<ReportedResult>,
}

#[derive(Deserialize)]
struct ReportedResult {
    #[serde(default)]
    properties: Properties,
    timestamp: Option<Timestamp>,
}

#[derive(Default, Deserialize)]
struct Properties {
    #[serde(default)]
    fingerprint: String,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    metadata: ListMetadata,
    /// Null when there are none.
    items: Option<Vec<Item>>,
}

#[derive(Default, Deserialize)]
struct ListMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
}
