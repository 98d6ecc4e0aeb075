//! The record of decisions: one structured log line each, written off the request path.
//!
//! A request formats its line into a buffer and goes on; a thread writes the buffer out. When whoever
//! reads the log stands still and the buffer is full, lines are dropped and counted instead of requests
//! held up: the audit annotations of the API server still tell each decision.

use std::io::{self, Write};
use std::mem;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use crate::telemetry::json_line::{JsonLines, Lines};
use crate::telemetry::metrics::Metrics;
use keyguard_core::policy::cut::cut;
use keyguard_core::policy::verdict::Verdict;
use keyguard_core::review::reply::rule_ids;
use keyguard_core::review::request::Request;
use keyguard_core::runtime::name::Name;

/// The most bytes that wait to be written: some 6,000 decisions.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// What an emptied buffer keeps: what gathers under load, so that it does not grow into fresh memory again each time.
const KEPT_BYTES: usize = 1024 * 1024;
/// How long lines may gather, so that a busy server does not wake the writer for each.
const GATHER: Duration = Duration::from_millis(10);
/// How long the end of the program waits for the log to be written.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

/// Puts one decision on record: names only, never a value of a Secret.
pub fn decision(request: &Request, verdict: &Verdict, secrets: &[Name], duration: Duration) {
    let case = &request.case;
    tracing::info!(
        target: "keyguard::decision",
        {
            request.uid = &*cut(&request.uid, NAME_BYTES),
            request.dry_run = case.dry_run,
            user.name = &*cut(&case.user, NAME_BYTES),
            user.groups = &*cut(case.groups.joined(), GROUPS_BYTES),
            operation = case.operation.name(),
            object.kind = &*cut(&request.kind, NAME_BYTES),
            object.namespace = &*cut(&case.namespace, NAME_BYTES),
            object.name = &*cut(&request.name, NAME_BYTES),
            webhook = request.webhook.name(),
            decision = verdict.decision.name(),
            passage = verdict.passage.map_or("", |passage| passage.name()),
            reason = verdict.reason,
            rules = &*rule_ids(&verdict.rules()),
            fields = %fields(verdict),
            findings = %findings(verdict),
            secrets = %joined(",", secrets.iter().map(|name| name.shown().to_string())),
            duration_seconds = duration.as_secs_f64(),
        },
        "decision"
    );
}

fn fields(verdict: &Verdict) -> String {
    let judged = verdict.judged.iter();
    joined(",", judged.flat_map(|judged| &judged.finding.fields))
}

fn findings(verdict: &Verdict) -> String {
    let judged = verdict.judged.iter();
    joined("; ", judged.map(|judged| judged.finding.message()))
}

/// The most bytes of a name in the log; Kubernetes allows 253.
const NAME_BYTES: usize = 256;
/// The most bytes of the groups of a user.
const GROUPS_BYTES: usize = 2048;
/// The most bytes of a list.
const LIST_BYTES: usize = 16 * 1024;

/// Items with a separator between them, cut where one decision would drown the log.
fn joined(separator: &str, items: impl Iterator<Item: AsRef<str>>) -> String {
    const MOST: usize = 64;
    let mut joined = String::new();
    for (index, item) in items.enumerate() {
        let item = item.as_ref();
        if index == MOST || joined.len() + item.len() > LIST_BYTES {
            joined.push('…');
            break;
        }
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(item);
    }
    joined
}

/// The log of the program; what is in the buffer is written out when it is dropped.
pub struct Log {
    shared: Arc<Shared>,
    written: Receiver<()>,
}

impl Log {
    /// Sends the log to standard output in `format`, once per process, and counts dropped lines in `metrics`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn install(format: LogFormat, metrics: Arc<Metrics>) -> io::Result<Log> {
        let shared = Arc::new(Shared {
            lines: Mutex::default(),
            more: Condvar::new(),
            metrics,
        });
        let (done, written) = channel();
        let writer = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("keyguard-log".to_owned())
            .spawn(move || {
                writer.write_out(io::stdout());
                drop(done);
            })?;
        let lines = Buffered(Arc::clone(&shared));
        // A second installation in one process changes nothing.
        let _ = match format {
            LogFormat::Json => tracing::subscriber::set_global_default(JsonLines(lines)),
            LogFormat::Text => {
                let builder = tracing_subscriber::fmt()
                    .with_max_level(tracing::Level::INFO)
                    .with_ansi(false)
                    .with_writer(lines);
                tracing::subscriber::set_global_default(builder.finish())
            }
        };
        Ok(Log { shared, written })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shared.lines().closed = true;
        self.shared.more.notify_one();
        // The sender is dropped when everything is written, which is an answer too.
        let _ = self.written.recv_timeout(LAST_WRITE);
    }
}

struct Shared {
    lines: Mutex<Waiting>,
    more: Condvar,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    closed: bool,
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, Waiting> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a line; never waits for whoever reads the log.
    fn queue(&self, line: &[u8]) {
        let mut lines = self.lines();
        if lines.bytes.len() + line.len() > BUFFER_BYTES {
            self.metrics.records_dropped.inc();
            return;
        }
        lines.bytes.extend_from_slice(line);
        if lines.bytes.len() == line.len() {
            self.more.notify_one();
        }
    }

    /// Writes until the log is closed and empty.
    fn write_out(&self, mut output: impl Write) {
        let mut taken = Vec::new();
        loop {
            let waiting = self.lines();
            let waiting = self
                .more
                .wait_while(waiting, |lines| lines.bytes.is_empty() && !lines.closed);
            let lines = waiting.unwrap_or_else(PoisonError::into_inner);
            let closed = lines.closed;
            if closed && lines.bytes.is_empty() {
                return;
            }
            drop(lines);
            if !closed {
                std::thread::sleep(GATHER);
            }
            mem::swap(&mut self.lines().bytes, &mut taken);
            // Nowhere but in the metrics is left to say that the log cannot be written.
            if output
                .write_all(&taken)
                .and_then(|()| output.flush())
                .is_err()
            {
                let lines = taken.iter().filter(|byte| **byte == b'\n').count();
                self.metrics.records_dropped.inc_by(lines as u64);
            }
            taken.clear();
            taken.shrink_to(KEPT_BYTES);
        }
    }
}

/// What subscribers write lines to.
struct Buffered(Arc<Shared>);

impl Lines for Buffered {
    fn queue(&self, line: &[u8]) {
        self.0.queue(line);
    }
}

impl<'a> MakeWriter<'a> for Buffered {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

/// One line; the subscriber writes each in one piece.
struct Line<'a>(&'a Shared);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.queue(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared() -> Shared {
        Shared {
            lines: Mutex::default(),
            more: Condvar::new(),
            metrics: Arc::new(Metrics::new()),
        }
    }

    #[test]
    fn everything_queued_is_written_in_order_before_the_end() {
        let shared = shared();
        let mut output = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| shared.write_out(&mut output));
            for number in 0..1000 {
                shared.queue(format!("{number}\n").as_bytes());
            }
            shared.lines().closed = true;
            shared.more.notify_one();
        });
        let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(output).unwrap(), expected);
    }

    #[test]
    fn a_full_buffer_drops_lines_and_counts_them() {
        let shared = shared();
        let line = vec![b'x'; BUFFER_BYTES / 2];
        for _ in 0..4 {
            shared.queue(&line);
        }
        assert_eq!(shared.lines().bytes.len(), BUFFER_BYTES);
        assert!(
            shared
                .metrics
                .encode()
                .contains("keyguard_records_dropped_total 2")
        );
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
        let shared = shared();
        for _ in 0..3 {
            shared.queue(b"a line\n");
        }
        shared.lines().closed = true;
        shared.write_out(Gone);
        let metrics = shared.metrics.encode();
        assert!(
            metrics.contains("keyguard_records_dropped_total 3"),
            "{metrics}"
        );
    }

    #[test]
    fn a_list_is_joined_and_cut() {
        let numbers = |count: usize| joined(",", (0..count).map(|number| number.to_string()));
        assert_eq!(numbers(0), "");
        assert_eq!(numbers(3), "0,1,2");
        assert!(numbers(1000).ends_with(",63…"));
        let long = joined(",", ["x".repeat(10_000), "y".repeat(10_000)].iter());
        assert_eq!(long, "x".repeat(10_000) + "…");
    }
}
