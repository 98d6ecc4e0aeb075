//! Exporters that are watched: the log says once that the other end takes nothing, and records that are lost are counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::logs::AnyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLogRecord};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use crate::telemetry::labels::OtlpOutcome;
use crate::telemetry::metrics::Metrics;

/// The most bytes of records that wait: some 7,000 records.
const MOST_BYTES: usize = 16 << 20;
/// What a record has beside its body.
const BESIDE_BODY: usize = 1024;
/// How long a batch of records is tried before it is lost.
const TRY_FOR: Duration = Duration::from_secs(300);
/// From one try to the next, at most.
const PAUSE: Duration = Duration::from_secs(5);

/// How much waits to be sent; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    bytes: Arc<AtomicUsize>,
    records: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

impl Waiting {
    /// The most records that can wait.
    pub(super) const MOST: usize = MOST_BYTES / BESIDE_BODY;

    pub(super) fn new(metrics: Arc<Metrics>) -> Waiting {
        Waiting {
            bytes: Arc::default(),
            records: Arc::default(),
            metrics,
        }
    }

    /// Whether there is room for a record with a body of so many bytes; it is lost and counted when there is none.
    pub(super) fn has_room(&self, body: usize) -> bool {
        let bytes = body + BESIDE_BODY;
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let has_room = before + bytes <= MOST_BYTES;
        if has_room {
            self.records.fetch_add(1, Ordering::Relaxed);
        } else {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.metrics.otlp_records.inc(OtlpOutcome::QueueFull);
        }
        has_room
    }

    /// How many records wait.
    pub(super) fn records(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    fn ended(&self, records: &[&SdkLogRecord], is_sent: bool) {
        let bytes = |record: &&SdkLogRecord| match record.body() {
            Some(AnyValue::String(body)) => body.as_str().len() + BESIDE_BODY,
            _ => BESIDE_BODY,
        };
        let bytes = records.iter().map(bytes).sum();
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.records.fetch_sub(records.len(), Ordering::Relaxed);
        let outcome = match is_sent {
            true => OtlpOutcome::Sent,
            false => OtlpOutcome::NotTaken,
        };
        let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
        self.metrics.otlp_records.inc_by(outcome, count);
    }
}

/// How long nothing new is said of one that comes and goes.
const SAID: Duration = Duration::from_secs(60);

/// An exporter that is watched.
#[derive(Debug)]
pub(super) struct Watched<E> {
    signal: &'static str,
    exporter: E,
    said: Mutex<Said>,
    waiting: Waiting,
}

/// What the log says of the other end, and when it said last that it is away.
#[derive(Debug, Default)]
struct Said {
    is_away: bool,
    last: Option<Instant>,
}

impl<E> Watched<E> {
    pub(super) fn new(signal: &'static str, exporter: E, waiting: &Waiting) -> Watched<E> {
        Watched {
            signal,
            exporter,
            said: Mutex::default(),
            waiting: waiting.clone(),
        }
    }

    /// Says what changed, of one that comes and goes once a minute.
    fn note(&self, result: &OTelSdkResult) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = said.last.is_some_and(|last| last.elapsed() < SAID);
        match result {
            Err(error) if !said.is_away && !lately => {
                tracing::warn!(
                    signal = self.signal,
                    reason = %error,
                    "what OpenTelemetry is to get cannot be sent; it is tried again"
                );
                *said = Said {
                    is_away: true,
                    last: Some(Instant::now()),
                };
            }
            Ok(()) if said.is_away => {
                tracing::info!(
                    signal = self.signal,
                    "what OpenTelemetry is to get is sent again"
                );
                said.is_away = false;
            }
            _ => {}
        }
    }
}

impl<E: LogExporter> LogExporter for Watched<E> {
    /// Tries again, whatever the other end said: of a connection that broke the exporter does not tell whether it helps.
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let records: Vec<_> = batch.iter().collect();
        let until = Instant::now() + TRY_FOR;
        let mut pause = Duration::from_millis(100);
        let result = loop {
            let result = self.exporter.export(LogBatch::new(&records)).await;
            self.note(&result);
            if result.is_ok() || Instant::now() + pause > until {
                break result;
            }
            // The thread is the processor's own.
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSE);
        };
        let records: Vec<_> = records.into_iter().map(|(record, _)| record).collect();
        self.waiting.ended(&records, result.is_ok());
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        self.note(&result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        self.note(&result);
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
