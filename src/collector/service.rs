//! What the collector answers over HTTPS: `/records` to senders and readers, and the log under `/log/`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex as Lock, PoisonError};

use arc_swap::ArcSwapOption;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use keyguard_audit::entry::{Mark, rfc3339};
use keyguard_audit::note::{Checkpoint, VerifyingKey};
use keyguard_audit::query::{Filter, Page};
use keyguard_audit::store::{Store, StoreError};
use keyguard_audit::tiles::{CHECKPOINT, KEY_FILE, paths};
use keyguard_audit::writer::{MOST_RECORDS, Writer};
use serde::Serialize;
use tokio::sync::{Mutex, Semaphore, watch};

use super::callers::{Callers, Wanted};
use super::refusal::Refusal;
use super::{ARRIVAL, MOST_BYTES, MOST_OF_A_PAGE, RECORDS_PATH};
use crate::http::body;
use crate::http::limits::RequestLimits;
use crate::telemetry::audit_store::{Retaining, now, why};
use crate::telemetry::collector_metrics::CollectorMetrics;
use crate::telemetry::labels::BatchOutcome;
use keyguard_core::record::Record;

/// What a batch may take, and all of them.
const LIMITS: RequestLimits = RequestLimits {
    max_body_bytes: MOST_BYTES,
    max_body_bytes_in_flight: 16 * MOST_BYTES,
    body_timeout: ARRIVAL,
    max_requests: usize::MAX,
};
/// How many there are unless it is said.
const USUAL_LIMIT: u32 = 50;
/// The parameter that says it.
const LIMIT: &str = "limit";

/// What answers.
pub struct Collector {
    /// Where records are found.
    store: Store,
    /// What stores them.
    writer: Mutex<(Writer, Retaining)>,
    /// Who may call.
    callers: Arc<Callers>,
    /// Tells that there are new records.
    pub added: watch::Sender<()>,
    /// Why `/readyz` says that it is not ready.
    pub unready: Arc<ArcSwapOption<String>>,
    /// Where it is counted.
    metrics: Arc<CollectorMetrics>,
    /// The key of the log.
    key: VerifyingKey,
    /// The pods of which a batch is being stored.
    storing: Lock<HashSet<String>>,
    /// A permit for each byte of all batches.
    body_bytes: Semaphore,
}

/// The path and query of a page of records.
pub fn page_path(filter: &Filter, limit: u32) -> String {
    let filter = serde_urlencoded::to_string(filter).unwrap_or_default();
    format!("{RECORDS_PATH}?limit={limit}&{filter}")
}

/// Reads the query of [`page_path`].
fn asked(query: &str) -> Result<(Filter, u32), Refusal> {
    let wrong = |error: serde_urlencoded::de::Error| Refusal::Query(error.to_string());
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).map_err(wrong)?;
    let (limits, filter): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(name, _)| name == LIMIT);
    let filter = serde_urlencoded::to_string(filter).unwrap_or_default();
    let filter = serde_urlencoded::from_str(&filter).map_err(wrong)?;
    let limit = limits
        .last()
        .map_or(Ok(USUAL_LIMIT), |(_, limit)| limit.parse());
    let limit = limit
        .ok()
        .filter(|limit| (1..=MOST_OF_A_PAGE).contains(limit));
    Ok((filter, limit.ok_or(Refusal::Limit)?))
}

/// What a sender gets for a batch: all of it is on disk.
#[derive(Serialize)]
struct Receipt {
    /// How many of its records are new.
    new: usize,
    /// The last checkpoint, as the API server's audit log gets it.
    checkpoint: Option<String>,
}

/// Serves records and the log.
pub fn router(collector: Arc<Collector>) -> Router {
    Router::new()
        .route(RECORDS_PATH, get(page).post(receive))
        .route("/log/", get(weeks))
        .route("/log/{week}/", get(files))
        .route("/log/{week}/{*path}", get(log_file))
        .fallback(async || Refusal::Nothing)
        .with_state(collector)
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn receive(
    State(collector): State<Arc<Collector>>,
    headers: HeaderMap,
    mut body: Body,
) -> Result<Json<Receipt>, Refusal> {
    let received = collector.receive(token(&headers), &mut body).await;
    if received.is_err() {
        // To close a socket with bytes that nobody read would reset it, and the sender would not see why.
        body::discard(&mut body).await;
    }
    let outcome = received
        .as_ref()
        .err()
        .map_or(BatchOutcome::Stored, Refusal::outcome);
    collector.metrics.batches.inc(outcome);
    received.map(Json)
}

async fn page(
    State(collector): State<Arc<Collector>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<Page>, Refusal> {
    collector
        .callers
        .admit(token(&headers), Wanted::Get)
        .await?;
    let (filter, limit) = asked(uri.query().unwrap_or_default())?;
    Ok(Json(collector.store.query(&filter, limit).await?))
}

async fn weeks(
    State(collector): State<Arc<Collector>>,
    headers: HeaderMap,
) -> Result<Json<Vec<String>>, Refusal> {
    collector
        .callers
        .admit(token(&headers), Wanted::Get)
        .await?;
    let logs = collector.store.logs().await?;
    Ok(Json(
        logs.iter().map(|(week, _)| week.to_string()).collect(),
    ))
}

/// What is there for a week.
async fn files(
    State(collector): State<Arc<Collector>>,
    headers: HeaderMap,
    Path(week): Path<String>,
) -> Result<Json<Vec<String>>, Refusal> {
    let admitted = collector.callers.admit(token(&headers), Wanted::Get);
    admitted.await?;
    let checkpoint = collector.store.log_file(&week, CHECKPOINT).await?;
    let checkpoint = checkpoint.ok_or(Refusal::Nothing)?;
    let read = Checkpoint::parse(&String::from_utf8_lossy(&checkpoint));
    let size = read.map_err(StoreError::from)?.size;
    let mut files = paths(size);
    files.extend([KEY_FILE, CHECKPOINT].map(str::to_owned));
    Ok(Json(files))
}

async fn log_file(
    State(collector): State<Arc<Collector>>,
    headers: HeaderMap,
    Path((week, path)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    collector
        .callers
        .admit(token(&headers), Wanted::Get)
        .await?;
    let is_key = path == KEY_FILE;
    let wanted = if is_key { CHECKPOINT } else { &path };
    let file = collector.store.log_file(&week, wanted).await?;
    let file = file.ok_or(Refusal::Nothing)?;
    let file = match is_key {
        true => collector.key_of(&file)?.into_bytes(),
        false => file,
    };
    let media_type = match wanted {
        CHECKPOINT => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    };
    Ok(([(CONTENT_TYPE, media_type)], file).into_response())
}

/// The turn of a pod, until it is dropped.
struct Turn {
    collector: Arc<Collector>,
    pod: String,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let storing = &self.collector.storing;
        let mut storing = storing.lock().unwrap_or_else(PoisonError::into_inner);
        storing.remove(&self.pod);
    }
}

impl Collector {
    /// One that stores by `writer`, and answers those whom `callers` let in.
    pub fn new(
        store: Store,
        writer: Writer,
        retaining: Retaining,
        callers: Arc<Callers>,
        metrics: Arc<CollectorMetrics>,
    ) -> Collector {
        Collector {
            store,
            key: writer.verifying_key(),
            writer: Mutex::new((writer, retaining)),
            callers,
            added: watch::Sender::new(()),
            unready: Arc::default(),
            metrics,
            storing: Lock::default(),
            body_bytes: Semaphore::new(LIMITS.max_body_bytes_in_flight),
        }
    }

    /// Stores what is sent. When it is refused unread, `body` still has it.
    async fn receive(
        self: &Arc<Self>,
        token: Option<&str>,
        body: &mut Body,
    ) -> Result<Receipt, Refusal> {
        let caller = self.callers.admit(token, Wanted::Post).await?;
        let pod = caller.pod.ok_or(Refusal::NoPod)?;
        let turn = self.turn(&pod)?;
        if body.size_hint().lower() > MOST_BYTES as u64 {
            return Err(Refusal::TooLarge);
        }
        let body = std::mem::take(body);
        let (body, _held) = body::read(body, &LIMITS, &self.body_bytes).await?;
        let records = records(&body, &pod)?;
        // What has begun ends, also when the sender does not wait for it.
        let storing = tokio::spawn(async move { turn.collector.store(&records).await });
        storing.await.unwrap_or(Err(Refusal::Incomplete))
    }

    async fn store(&self, records: &[Record]) -> Result<Receipt, Refusal> {
        let mut locked = self.writer.lock().await;
        let (writer, retaining) = &mut *locked;
        let new = match writer.append(records, now()).await {
            Ok(new) => new,
            Err(error) => {
                self.metrics.writes.set(0);
                let said = Arc::new(why(&error));
                if self.unready.swap(Some(Arc::clone(&said))).as_ref() != Some(&said) {
                    tracing::error!(reason = %said, "the audit store cannot be written; replicas keep their records");
                }
                return Err(error.into());
            }
        };
        if self.unready.swap(None).is_some() {
            tracing::info!("the audit store is written again");
        }
        self.metrics.writes.set(1);
        self.metrics.records.inc_by(u64::try_from(new).unwrap_or(0));
        self.added.send_replace(());
        retaining.apply(writer).await;
        let head = writer.head();
        if let Some(head) = &head {
            let size = i64::try_from(head.size).unwrap_or(i64::MAX);
            self.metrics.log_size.set(size);
        }
        Ok(Receipt {
            new,
            checkpoint: head.map(|head| head.to_string()),
        })
    }

    /// Puts it into the log that `user` looked at something of the page, and what was asked for.
    pub async fn looked(self: &Arc<Self>, user: &str, at: &str) {
        let time = now();
        let mark = Mark::Looked {
            user: user.to_owned(),
            at: at.to_owned(),
            time: rfc3339(time),
        };
        tracing::info!(user, at, "somebody looks at the audit trail");
        let collector = Arc::clone(self);
        let writing = async move {
            let mut locked = collector.writer.lock().await;
            if let Err(error) = locked.0.mark(&mark, time).await {
                tracing::error!(reason = %why(&error), "the audit store cannot be written; a look is in the log alone");
            }
        };
        // What has begun ends, also when the browser does not wait for it.
        let _ = tokio::spawn(writing).await;
    }

    /// The public key as others read it, for the log with this checkpoint.
    fn key_of(&self, checkpoint: &[u8]) -> Result<String, Refusal> {
        let checkpoint = Checkpoint::parse(&String::from_utf8_lossy(checkpoint));
        let checkpoint = checkpoint.map_err(StoreError::from)?;
        Ok(self.key.to_text(&checkpoint.origin))
    }

    /// One batch of a pod at a time, so that one that floods waits for itself.
    fn turn(self: &Arc<Self>, pod: &str) -> Result<Turn, Refusal> {
        let mut storing = self.storing.lock().unwrap_or_else(PoisonError::into_inner);
        match storing.insert(pod.to_owned()) {
            true => Ok(Turn {
                collector: Arc::clone(self),
                pod: pod.to_owned(),
            }),
            false => Err(Refusal::Busy),
        }
    }
}

/// The records in JSON lines, all of which must be of this pod.
fn records(body: &Bytes, pod: &str) -> Result<Vec<Record>, Refusal> {
    let mut records = Vec::new();
    let lines = body.split(|byte| *byte == b'\n');
    for (number, line) in (1..).zip(lines).filter(|(_, line)| !line.is_empty()) {
        let record: Record = serde_json::from_slice(line).map_err(|_| Refusal::NoRecord(number))?;
        if record.replica != pod {
            return Err(Refusal::OtherReplica {
                line: number,
                replica: record.replica,
                pod: pod.to_owned(),
            });
        }
        if records.len() == MOST_RECORDS {
            return Err(Refusal::TooLarge);
        }
        records.push(record);
    }
    Ok(records)
}
