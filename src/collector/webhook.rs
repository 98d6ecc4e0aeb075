//! Records for chats, pagers and whatever else takes an HTTPS POST, signed.
//!
//! Source: Standard Webhooks (the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode};
use keyguard_audit::entry::milliseconds;
use keyguard_audit::follower::Follower;
use keyguard_audit::store::{Store, StoreError};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::client::innermost;
use super::following::{Failure, follow, readable};
use super::webhook_address::Address;
pub use super::webhook_address::WebhookError;
use crate::cli::webhook::WebhookFormat;
use crate::clock;
use crate::report::ocsf;
use crate::report::records::sentence;
use crate::telemetry::collector_metrics::CollectorMetrics;
use crate::telemetry::labels::WebhookOutcome;
use keyguard_core::policy::rules::Rule;
use keyguard_core::policy::verdict::Decision;
use keyguard_core::record::Record;

/// The name by which the store knows how far it has got.
pub const FOLLOWER: &str = "webhook";
/// How many records are read at once, and sent at most.
const READ: u32 = 100;
/// How many of them are told in words; a chat shows no more.
const TOLD: usize = 10;
/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// The first and the longest pause after a failure.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often a batch is sent that the other end says it does not want.
const MOST_REFUSALS: u32 = 10;

/// Where records go, and which.
#[derive(Clone, Debug)]
pub struct Target {
    /// The folder with the files `url`, and where they are wanted `key` and `ca.crt`: who has the URL of a chat may write to
    /// it, so it is no argument.
    pub folder: PathBuf,
    /// The decisions that are sent; all when there is none.
    pub decisions: Vec<Decision>,
    /// Rules of which a record must have one; any when there is none.
    pub rules: Vec<Rule>,
    /// What the body is.
    pub format: WebhookFormat,
}

/// Sends records, one batch after the other.
pub struct Webhook {
    address: Address,
    target: Target,
    metrics: Arc<CollectorMetrics>,
}

/// What became of records that were sent.
enum Ended {
    /// The other end has them, or they are left out.
    Done,
    /// The other end does not want them: too many perhaps, or one among them.
    NotTogether,
}

impl Webhook {
    /// Reads the files.
    ///
    /// # Errors
    /// When one of them holds not what it should.
    pub async fn open(
        target: Target,
        metrics: Arc<CollectorMetrics>,
    ) -> Result<Webhook, WebhookError> {
        Ok(Webhook {
            address: Address::read(&target.folder).await?,
            target,
            metrics,
        })
    }

    /// Sends what is new in the store, for ever; `added` tells that there is something. What the other end has not got waits
    /// in the store.
    pub async fn run(mut self, store: Store, added: watch::Receiver<()>) {
        let (mut pause, mut said) = (PAUSES.0, String::new());
        follow(FOLLOWER, added, async || {
            self.send_all(&store, &mut pause, &mut said).await
        })
        .await;
    }

    async fn send_all(
        &mut self,
        store: &Store,
        pause: &mut Duration,
        said: &mut String,
    ) -> Result<(), StoreError> {
        let mut follower = Follower::open(store.clone(), FOLLOWER).await?;
        loop {
            let found = follower.next(READ).await?;
            let (Some(first), Some(last)) = (found.first(), found.last()) else {
                self.metrics.webhook_behind.set(0);
                return Ok(());
            };
            let all = found.len();
            let records: Vec<Record> = readable(FOLLOWER, &found).collect();
            let unreadable = u64::try_from(all - records.len()).unwrap_or(0);
            self.metrics
                .webhook
                .inc_by(WebhookOutcome::Unreadable, unreadable);
            let wanted: Vec<Record> = records.into_iter().filter(|it| self.wants(it)).collect();
            let (mut left, mut size) = (wanted.as_slice(), wanted.len());
            while let Some((some, after)) = left.split_at_checked(size.min(left.len()))
                && !some.is_empty()
            {
                match self.send(some, first.time(), pause, said).await {
                    Ended::Done => left = after,
                    Ended::NotTogether => size = some.len() / 2,
                }
            }
            follower.has(last).await?;
        }
    }

    fn wants(&self, record: &Record) -> bool {
        let Target {
            decisions, rules, ..
        } = &self.target;
        (decisions.is_empty() || decisions.contains(&record.decision))
            && (rules.is_empty() || rules.iter().any(|rule| record.rules.contains(rule)))
    }

    /// Sends a batch again and again, until the other end has it or says that it does not want it: one record is sent some
    /// times then before it is left out, and several are not sent together any more.
    async fn send(
        &mut self,
        records: &[Record],
        since: i64,
        pause: &mut Duration,
        said: &mut String,
    ) -> Ended {
        let mut refusals = 0;
        let count = u64::try_from(records.len()).unwrap_or(0);
        loop {
            let behind = clock::now().saturating_sub(since / 1000).max(0);
            self.metrics.webhook_behind.set(behind);
            let failure = match self.post(records).await {
                Ok(()) => {
                    if !std::mem::take(said).is_empty() {
                        tracing::info!(host = self.address.host, "the webhook takes records again");
                    }
                    *pause = PAUSES.0;
                    self.metrics.webhook.inc_by(WebhookOutcome::Sent, count);
                    return Ended::Done;
                }
                Err(failure) if failure.is_final && count > 1 => return Ended::NotTogether,
                Err(failure) => failure,
            };
            if *said != failure.what {
                tracing::error!(
                    host = self.address.host,
                    reason = failure.what,
                    "the webhook does not take records; they wait in the store"
                );
                said.clone_from(&failure.what);
            }
            refusals += u32::from(failure.is_final);
            if refusals == MOST_REFUSALS {
                let first = records.first().map(|record| record.id.as_str());
                tracing::error!(
                    host = self.address.host,
                    record = first,
                    "the webhook does not want this record; it is left out"
                );
                self.metrics.webhook.inc_by(WebhookOutcome::Refused, count);
                *pause = PAUSES.0;
                return Ended::Done;
            }
            sleep(*pause).await;
            *pause = PAUSES.1.min(*pause * 2);
        }
    }

    async fn post(&mut self, records: &[Record]) -> Result<(), Failure> {
        // A Secret that is exchanged is there without a restart.
        let refreshed = self.address.refresh().await;
        refreshed.map_err(|error| Failure::passing(error.to_string()))?;
        let body = body(records, self.target.format);
        // The same for the same records alone, so that who gets them twice knows it.
        let id = |record: Option<&Record>| record.map_or("", |it| it.id.as_str()).to_owned();
        let id = format!("{}_{}", id(records.first()), id(records.last()));
        let time = clock::now();
        let mut request = Request::post(self.address.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", time);
        if let Some(signature) = self.address.signature(&id, time, &body) {
            request = request.header("webhook-signature", signature);
        }
        let request = request.body(Full::new(Bytes::from(body)));
        let request = request.map_err(|error| Failure::passing(error.to_string()))?;
        let answer = timeout(DEADLINE, self.address.http.request(request)).await;
        let answer = answer
            .map_err(|_| Failure::passing(format!("no answer within {} s", DEADLINE.as_secs())))?;
        let answer = answer.map_err(|error| {
            let what = match error.is_connect() {
                true => "it cannot be reached",
                false => "it broke off",
            };
            Failure::passing(format!("{what}: {}", innermost(&error)))
        })?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(Failure {
                what: format!("it answers {status}"),
                // Of the others, that which is to be mended there can pass.
                is_final: matches!(
                    status,
                    StatusCode::BAD_REQUEST
                        | StatusCode::PAYLOAD_TOO_LARGE
                        | StatusCode::UNPROCESSABLE_ENTITY
                ),
            }),
        }
    }
}

fn body(records: &[Record], format: WebhookFormat) -> String {
    let time = |record: &Record| milliseconds(&record.time).unwrap_or_default();
    match format {
        WebhookFormat::Ocsf => {
            let events = records.iter();
            let events = events.map(|record| ocsf::activity(record, time(record)));
            Value::Array(events.collect()).to_string()
        }
        WebhookFormat::Json => {
            // A chat would take what a user calls themselves for a link, or for everybody's name.
            let text = |record| sentence(record).replace('<', "‹").replace('>', "›");
            let mut told: Vec<String> = records.iter().take(TOLD).map(text).collect();
            if let Some(more) = records.len().checked_sub(TOLD).filter(|more| *more > 0) {
                told.push(format!("and {more} more"));
            }
            json!({"text": told.join("\n"), "records": records}).to_string()
        }
    }
}
