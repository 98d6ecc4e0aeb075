//! The record of decisions: one structured log line each, written off the request path.
//!
//! A request hands its record to a bounded queue and goes on; a thread formats and writes. When
//! whoever reads the log stands still, records are dropped and counted instead of requests held up:
//! the audit annotations of the API server still tell each decision.

use std::io::{self, BufWriter, Stdout, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::json_line::JsonLine;
use super::metrics::Metrics;

/// The most records that wait to be written: some 4 MB when each is large.
const QUEUE: usize = 8192;
/// How long the writing thread lets records gather, so that a busy server does not wake it for each.
const GATHER: Duration = Duration::from_millis(10);
/// The target of decision lines, by which they can be told from the rest of the log.
pub const TARGET: &str = "keyguard::decision";

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

/// One decision, as it stands on record. Names only, never a value of a Secret.
#[derive(Debug, Default)]
pub struct Record {
    /// The request's uid.
    pub uid: String,
    /// Whether nothing was to be stored.
    pub dry_run: bool,
    /// Who asked.
    pub user: String,
    /// The groups of who asked, joined by commas.
    pub groups: String,
    /// The operation.
    pub operation: &'static str,
    /// The object's kind.
    pub kind: String,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// Which webhook guards it.
    pub webhook: &'static str,
    /// The decision.
    pub decision: &'static str,
    /// Why nothing was judged, if nothing was.
    pub passage: &'static str,
    /// The rules that found something, joined by commas.
    pub rules: String,
    /// Where, joined by commas.
    pub fields: String,
    /// What was found, each a sentence.
    pub findings: String,
    /// The Secrets that were read, by name, joined by commas.
    pub secrets: String,
    /// From the body's arrival to the answer.
    pub duration: Duration,
}

/// Hands records to the thread that writes them.
pub struct Recorder {
    queue: Option<SyncSender<Record>>,
    writer: Option<JoinHandle<()>>,
    metrics: Arc<Metrics>,
}

impl Recorder {
    /// Starts the writing thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(metrics: Arc<Metrics>) -> io::Result<Recorder> {
        let (queue, records) = sync_channel(QUEUE);
        let writer = std::thread::Builder::new()
            .name("keyguard-record".to_owned())
            .spawn(move || write(&records))?;
        Ok(Recorder {
            queue: Some(queue),
            writer: Some(writer),
            metrics,
        })
    }

    /// Queues a record; never waits.
    pub fn record(&self, record: Record) {
        let Some(queue) = &self.queue else { return };
        match queue.try_send(record) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.metrics.record_dropped();
            }
        }
    }
}

impl Drop for Recorder {
    /// Writes what is queued before the program ends.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn write(records: &Receiver<Record>) {
    while let Ok(record) = records.recv() {
        emit(&record);
        std::thread::sleep(GATHER);
        while let Ok(record) = records.try_recv() {
            emit(&record);
        }
        flush();
    }
}

fn emit(record: &Record) {
    tracing::info!(
        target: TARGET,
        {
            request.uid = record.uid,
            request.dry_run = record.dry_run,
            user.name = record.user,
            user.groups = record.groups,
            operation = record.operation,
            object.kind = record.kind,
            object.namespace = record.namespace,
            object.name = record.name,
            webhook = record.webhook,
            decision = record.decision,
            passage = record.passage,
            rules = record.rules,
            fields = record.fields,
            secrets = record.secrets,
            findings = record.findings,
            duration_seconds = record.duration.as_secs_f64(),
        },
        "decision"
    );
}

static OUTPUT: Mutex<Option<BufWriter<Stdout>>> = Mutex::new(None);

fn output() -> MutexGuard<'static, Option<BufWriter<Stdout>>> {
    OUTPUT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn flush() {
    if let Some(output) = output().as_mut() {
        // Nowhere is left to say that the log cannot be written.
        let _ = output.flush();
    }
}

/// Sends the log to standard output in `format`. Once per process; a later call changes nothing.
pub fn install(format: LogFormat) {
    *output() = Some(BufWriter::with_capacity(64 * 1024, io::stdout()));
    let builder = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(Output);
    let _ = match format {
        LogFormat::Json => {
            tracing::subscriber::set_global_default(builder.event_format(JsonLine).finish())
        }
        LogFormat::Text => {
            tracing::subscriber::set_global_default(builder.with_ansi(false).finish())
        }
    };
}

/// Decisions are flushed by the recorder once the queue is empty, every other line at once.
struct Output;

struct Line {
    flush: bool,
}

impl<'a> MakeWriter<'a> for Output {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { flush: true }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line {
        Line {
            flush: metadata.target() != TARGET,
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut output = output();
        let Some(output) = output.as_mut() else {
            return Ok(bytes.len());
        };
        output.write_all(bytes)?;
        if self.flush {
            output.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
