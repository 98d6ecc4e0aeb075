//! The log: records of decisions and diagnostics, one line each, written by one thread.
//!
//! A request hands its line over and goes on. When the reader of the log stands still and the queue is full, lines are
//! dropped and counted instead of requests held up: the audit annotations of the API server still tell each decision.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use clap::ValueEnum;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::metrics::Metrics;
use keyguard_core::record::Record;

/// The most bytes that wait to be written: some 6,000 decisions.
const QUEUE_BYTES: usize = 4 * 1024 * 1024;
/// How long lines may gather before they are written: to wake the thread for each costs more than the review.
const GATHER: Duration = Duration::from_millis(10);
/// How long the end of the program waits for the log to be written.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// How diagnostics look; records are JSON always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line
    Json,
    /// Text for people
    Text,
}

/// The log of the program; what waits is written out when it is dropped.
pub struct Log {
    writer: LogWriter,
    written: Receiver<()>,
}

/// Who else takes records.
pub trait TakesRecords: Send + Sync {
    /// Takes a record, which this is as JSON. Must not wait.
    fn take(&self, record: &Record, json: &str);
}

/// Where records and spans go besides.
#[derive(Default)]
pub struct Elsewhere {
    /// Who takes records.
    pub records: Option<Arc<dyn TakesRecords>>,
    /// Who takes spans.
    pub spans: Option<Box<dyn Layer<Registry> + Send + Sync>>,
}

/// Hands lines to the thread that writes them; clones share it.
#[derive(Clone)]
pub struct LogWriter {
    elsewhere: Option<Arc<dyn TakesRecords>>,
    lines: Sender<Message>,
    queued_bytes: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

enum Message {
    Line(Vec<u8>),
    End,
}

impl Log {
    /// Starts a thread that writes to `output`, and counts lines that are lost in `metrics`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(output: impl Write + Send + 'static, metrics: Arc<Metrics>) -> io::Result<Log> {
        let (lines, queue) = channel();
        let writer = LogWriter {
            elsewhere: None,
            lines,
            queued_bytes: Arc::default(),
            metrics,
        };
        let (done, written) = channel();
        let thread = std::thread::Builder::new().name("keyguard-log".to_owned());
        let shared = writer.clone();
        thread.spawn(move || {
            shared.write_out(&queue, output);
            drop(done);
        })?;
        Ok(Log { writer, written })
    }

    /// What hands lines over.
    pub fn writer(&self) -> LogWriter {
        self.writer.clone()
    }

    /// Sends the diagnostics of the whole program there too, from the level on that the variable `RUST_LOG` says, which
    /// is `info` without it, and what there is `elsewhere`. Once per process.
    pub fn install(&mut self, format: LogFormat, elsewhere: Elsewhere) {
        self.writer.elsewhere = elsewhere.records;
        let filter = EnvFilter::builder()
            .with_default_directive(LevelFilter::INFO.into())
            .from_env_lossy();
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(self.writer());
        let lines = match format {
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
            LogFormat::Text => lines.boxed(),
        };
        let subscriber = Registry::default()
            .with(elsewhere.spans)
            .with(lines.with_filter(filter));
        // A second installation in one process changes nothing.
        let _ = tracing::subscriber::set_global_default(subscriber);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.writer.lines.send(Message::End).is_ok() {
            // The sender is dropped when everything is written, which is an answer too.
            let _ = self.written.recv_timeout(LAST_WRITE);
        }
    }
}

impl LogWriter {
    /// Queues a decision, hands it to who else takes records, and returns how many bytes it has as JSON; never waits for the reader of the log.
    pub fn record(&self, record: &Record) -> usize {
        match serde_json::to_string(record) {
            Ok(line) => {
                if let Some(elsewhere) = &self.elsewhere {
                    elsewhere.take(record, &line);
                }
                let bytes = line.len();
                self.queue(line.into_bytes());
                bytes
            }
            // Texts and numbers only: it cannot fail.
            Err(error) => {
                tracing::error!(%error, "a record cannot be written as JSON");
                0
            }
        }
    }

    fn queue(&self, mut line: Vec<u8>) {
        line.push(b'\n');
        let length = line.len();
        let queued = self.queued_bytes.fetch_add(length, Ordering::Relaxed);
        if queued + length > QUEUE_BYTES || self.lines.send(Message::Line(line)).is_err() {
            self.queued_bytes.fetch_sub(length, Ordering::Relaxed);
            self.metrics.records_dropped.inc();
        }
    }

    /// Writes until the end, and what waits at once.
    fn write_out(&self, queue: &Receiver<Message>, output: impl Write) {
        let mut output = BufWriter::with_capacity(64 * 1024, output);
        while let Ok(first) = queue.recv() {
            if matches!(first, Message::Line(_)) {
                std::thread::sleep(GATHER);
            }
            let (mut lines, mut ended, mut written) = (0, false, Ok(()));
            for message in std::iter::once(first).chain(queue.try_iter()) {
                let Message::Line(line) = message else {
                    ended = true;
                    break;
                };
                lines += 1;
                self.queued_bytes.fetch_sub(line.len(), Ordering::Relaxed);
                written = written.and_then(|()| output.write_all(&line));
            }
            // Nowhere but in the metrics is left to say that the log cannot be written.
            if written.and_then(|()| output.flush()).is_err() {
                self.metrics.records_dropped.inc_by(lines);
            }
            if ended {
                return;
            }
        }
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = LogWriter;

    fn make_writer(&self) -> LogWriter {
        self.clone()
    }
}

/// The subscriber writes each line in one piece.
impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.queue(bytes.strip_suffix(b"\n").unwrap_or(bytes).to_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    /// Collects what is written, once it may.
    #[derive(Clone)]
    struct Gated(Arc<Mutex<Vec<u8>>>, Arc<Mutex<mpsc::Receiver<()>>>);

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.1.lock().unwrap().recv();
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (Gated, Sender<()>) {
        let (open, gate) = channel();
        (Gated(Arc::default(), Arc::new(Mutex::new(gate))), open)
    }

    fn dropped(metrics: &Metrics) -> u64 {
        metrics.records_dropped.get()
    }

    #[test]
    fn everything_queued_is_written_in_order_before_the_end() {
        let (output, open) = gated();
        drop(open);
        let metrics = Arc::new(Metrics::new());
        let log = Log::start(output.clone(), Arc::clone(&metrics)).unwrap();
        for number in 0..1000 {
            log.writer().queue(number.to_string().into_bytes());
        }
        drop(log);
        let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
        let written = output.0.lock().unwrap().clone();
        assert_eq!(String::from_utf8(written).unwrap(), expected);
        assert_eq!(dropped(&metrics), 0);
    }

    #[test]
    fn a_full_queue_drops_lines_and_counts_them_and_nobody_waits() {
        let (output, open) = gated();
        let metrics = Arc::new(Metrics::new());
        let log = Log::start(output, Arc::clone(&metrics)).unwrap();
        let line = vec![b'x'; QUEUE_BYTES / 2 + 1];
        // The first may be in the writer's hands already, and then leaves room for another.
        for _ in 0..5 {
            log.writer().queue(line.clone());
        }
        assert!(
            (3..=4).contains(&dropped(&metrics)),
            "{}",
            dropped(&metrics)
        );
        drop(open);
    }

    #[test]
    fn lines_for_which_standard_output_is_gone_are_counted() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let metrics = Arc::new(Metrics::new());
        let log = Log::start(Gone, Arc::clone(&metrics)).unwrap();
        for _ in 0..3 {
            log.writer().queue(b"a line".to_vec());
        }
        drop(log);
        assert_eq!(dropped(&metrics), 3);
    }
}
