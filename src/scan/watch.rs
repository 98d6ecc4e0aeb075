//! Scans again and again, and tells what changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::clock::{self, rfc3339};
use crate::report::{Finding, Report, Severity};
use crate::scan::drift::{Change, Drift, Standing};
use crate::scan::election::Election;
use crate::scan::progress::Progress;
use crate::scan::reports::Reports;
use crate::scan::{Expiry, Scan, Scanned};
use crate::telemetry::scan_metrics::{ScanMetrics, Told};
use keyguard_core::policy::rules::Rule;

/// The most findings of one scan that are told in the log, new ones and those that are gone each.
const MOST_LINES: usize = 100;

/// What scans again and again.
pub struct Watch {
    /// One scan.
    pub scan: Scan,
    /// From the start of one scan to that of the next.
    pub every: Duration,
    /// Where findings are told.
    pub metrics: Arc<ScanMetrics>,
    /// Where else they are told.
    pub reports: Option<Reports>,
    /// Which replica scans; each does without it.
    pub election: Option<Election>,
    /// Why it is not ready yet.
    pub unready: Arc<ArcSwapOption<String>>,
}

impl Watch {
    /// Scans until `stopping` is cancelled.
    pub async fn run(mut self, stopping: CancellationToken) {
        let mut election = self.election.take();
        tokio::select! {
            () = stopping.cancelled() => {}
            () = self.scan_when_elected(election.as_mut()) => {}
        }
        if let Some(election) = &mut election {
            election.release().await;
        }
    }

    async fn scan_when_elected(&mut self, election: Option<&mut Election>) {
        let Some(election) = election else {
            self.metrics.leading.set(1);
            return self.scans().await;
        };
        loop {
            self.say_unready("this replica waits for the Lease, or for its first answer");
            let ready = Arc::clone(&self.unready);
            election.acquire(|| ready.store(None)).await;
            tracing::info!("this replica holds the Lease and scans");
            self.metrics.leading.set(1);
            tokio::select! {
                () = self.scans() => {}
                () = election.renew() => {}
            }
            self.metrics.stand_by();
            tracing::warn!("this replica does not hold the Lease any more");
        }
    }

    /// Scans for ever.
    async fn scans(&mut self) {
        self.say_unready("the first scan has not ended yet");
        let mut drift = Drift::default();
        let mut times = interval(self.every);
        // A scan that takes longer than that is followed by the next at once, and no other.
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut first = true;
        loop {
            times.tick().await;
            let begun = Instant::now();
            let scanned = self.scan.run(&mut Progress::silent()).await;
            let now = clock::now();
            let change = drift.next(&scanned.report.findings, &scanned.gaps, now);
            tell(&change, &scanned, first);
            let standing: Vec<&Standing> = drift.standing().collect();
            self.metrics
                .tell(told(&standing, &scanned, now, begun.elapsed()));
            if let Some(reports) = &mut self.reports {
                let report = report(&standing);
                reports.write(&report, &scanned.gaps).await;
            }
            self.unready.store(None);
            first = false;
        }
    }

    fn say_unready(&self, why: &str) {
        self.unready.store(Some(Arc::new(why.to_owned())));
    }
}

/// What stands, in the order of a report.
fn report(standing: &[&Standing]) -> Report {
    let mut findings: Vec<Finding> = standing.iter().map(|it| it.finding.clone()).collect();
    findings.sort_by(|one, other| (&one.object, one).cmp(&(&other.object, other)));
    Report {
        findings,
        ..Report::default()
    }
}

fn told(standing: &[&Standing], scanned: &Scanned, ended: i64, duration: Duration) -> Told {
    let mut findings = BTreeMap::new();
    // A note is no reason to wake anybody.
    let counted = standing
        .iter()
        .filter(|it| it.finding.severity != Severity::Note);
    for Standing { finding, .. } in counted {
        let object = finding.object.as_ref();
        let namespace = object.map(|object| object.namespace.clone());
        let key = (finding.rule, namespace.unwrap_or_default());
        *findings.entry(key).or_default() += 1;
    }
    let expiries = scanned.expiries.iter();
    let expiries = expiries.map(|it| (it.at, it.namespace.clone(), it.secret.clone()));
    Told {
        findings,
        expiries: expiries.collect(),
        ended,
        duration,
        complete: scanned.report.unseen.is_empty(),
        objects: scanned.report.checked.objects,
        requests: scanned.requests,
    }
}

/// Tells in the log what changed, and what could not be seen.
fn tell(change: &Change, scanned: &Scanned, first: bool) {
    let Change { new, gone } = change;
    for finding in new.iter().take(MOST_LINES) {
        let (rule, severity) = (finding.rule, finding.severity.name());
        let object = object(finding);
        let (field, message) = (&finding.field, &finding.message);
        let expires = expiry(finding, &scanned.expiries);
        let expires = expires.map(|it| rfc3339(it.at));
        tracing::warn!(
            rule,
            severity,
            object,
            field,
            reason = message,
            expires,
            "a finding is new"
        );
    }
    for Standing { finding, since } in gone.iter().take(MOST_LINES) {
        let (rule, object, since) = (finding.rule, object(finding), rfc3339(*since));
        tracing::info!(
            rule,
            object,
            field = finding.field,
            since,
            "a finding is gone"
        );
    }
    for unseen in scanned.report.unseen.iter().take(MOST_LINES) {
        tracing::error!(
            what = unseen.what,
            reason = unseen.why,
            "the scan did not see everything"
        );
    }
    if first || !new.is_empty() || !gone.is_empty() {
        tracing::info!(
            new = new.len(),
            gone = gone.len(),
            findings = scanned.report.findings.len(),
            unseen = scanned.report.unseen.len(),
            objects = scanned.report.checked.objects,
            requests = scanned.requests,
            "scanned"
        );
    }
}

fn object(finding: &Finding) -> String {
    let object = finding.object.as_ref();
    object.map(ToString::to_string).unwrap_or_default()
}

/// When the credential expires that a finding is about, if it is about that.
fn expiry<'a>(finding: &Finding, expiries: &'a [Expiry]) -> Option<&'a Expiry> {
    let object = finding.object.as_ref()?;
    if finding.rule != Rule::TokenExpires.id() {
        return None;
    }
    expiries.iter().find(|expiry| {
        expiry.namespace == object.namespace
            && finding.message.contains(&format!("{:?}", expiry.secret))
    })
}
