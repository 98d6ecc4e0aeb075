//! Log events as JSON, a line each, written field by field without building anything in between.
//!
//! What `tracing-subscriber` has for it collects every event into a map first, and looks after spans, of which there are
//! none here. That costs several times what deciding on a review does.

use std::cell::Cell;
use std::fmt::{self, Write};
use std::time::SystemTime;

use humantime::format_rfc3339_micros;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// The least of what is logged.
const LEVEL: LevelFilter = LevelFilter::INFO;

/// Where lines go.
pub(crate) trait Lines: Send + Sync + 'static {
    /// Takes a line, or drops it.
    fn queue(&self, line: &[u8]);
}

thread_local! {
    /// The room of the last line, for the next.
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Writes each event as one JSON object: timestamp, level, target, then its fields in their order.
pub(crate) struct JsonLines<L>(pub(crate) L);

impl<L: Lines> Subscriber for JsonLines<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= LEVEL
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LEVEL)
    }

    fn event(&self, event: &Event<'_>) {
        // Taken out meanwhile: what is logged while a line is being written, such as a panic, gets one of its own.
        let mut line = LINE.take();
        line.clear();
        write_event(&mut line, event);
        self.0.queue(&line);
        LINE.set(line);
    }

    /// No span is enabled, so what follows is not called.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn write_event(line: &mut Vec<u8>, event: &Event<'_>) {
    line.extend_from_slice(b"{\"timestamp\":\"");
    // A time before 1970 panics, and one after 9999 is left out.
    let now = SystemTime::now().max(SystemTime::UNIX_EPOCH);
    let _ = write!(Escaped(line), "{}", format_rfc3339_micros(now));
    let metadata = event.metadata();
    line.extend_from_slice(b"\",\"level\":\"");
    line.extend_from_slice(metadata.level().as_str().as_bytes());
    line.extend_from_slice(b"\",\"target\":\"");
    line.extend_from_slice(metadata.target().as_bytes());
    line.push(b'"');
    event.record(&mut Fields(line));
    line.extend_from_slice(b"}\n");
}

struct Fields<'a>(&'a mut Vec<u8>);

impl Fields<'_> {
    fn name(&mut self, field: &Field) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(field.name().as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn display(&mut self, field: &Field, value: impl fmt::Display) {
        self.name(field);
        let _ = write!(Escaped(self.0), "{value}");
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        self.0.push(b'"');
        escape(self.0, value);
        self.0.push(b'"');
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.name(field);
        let text = if value { "true" } else { "false" };
        self.0.extend_from_slice(text.as_bytes());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.display(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.display(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.display(field, value);
        } else {
            self.display(field, "null");
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        self.0.push(b'"');
        let _ = write!(Escaped(self.0), "{value:?}");
        self.0.push(b'"');
    }
}

/// Escapes what is written through it.
struct Escaped<'a>(&'a mut Vec<u8>);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

/// Appends `text`, with what JSON does not allow in a string escaped; runs that need nothing are copied whole.
fn escape(line: &mut Vec<u8>, text: &str) {
    let needs_escape = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    // Looked through without a branch for each byte: nearly always there is nothing to escape.
    let mut rest = text;
    if text
        .bytes()
        .fold(false, |found, byte| found | needs_escape(byte))
    {
        while let Some(at) = rest.bytes().position(needs_escape) {
            let (plain, odd) = rest.split_at(at);
            line.extend_from_slice(plain.as_bytes());
            let mut characters = odd.chars();
            match characters.next() {
                Some('"') => line.extend_from_slice(b"\\\""),
                Some('\\') => line.extend_from_slice(b"\\\\"),
                Some('\n') => line.extend_from_slice(b"\\n"),
                Some(control) => {
                    line.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes());
                }
                None => {}
            }
            rest = characters.as_str();
        }
    }
    line.extend_from_slice(rest.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use serde_json::Value;

    impl Lines for Arc<Mutex<Vec<u8>>> {
        fn queue(&self, line: &[u8]) {
            self.lock().unwrap().extend_from_slice(line);
        }
    }

    fn logged(log: impl FnOnce()) -> String {
        let lines = Arc::default();
        tracing::subscriber::with_default(JsonLines(Arc::clone(&lines)), log);
        String::from_utf8(lines.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn every_kind_of_field_is_json_and_a_line_is_one_line() {
        let odd = "quote \" backslash \\ newline \n tab \t bell \u{7} ä → end";
        let line = logged(|| {
            tracing::info!(target: "t", { a.b = odd, yes = true, less = -1_i64, more = 1_u64, part = 0.25, nan = f64::NAN, debug = ?odd }, "said");
        });
        assert_eq!(line.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["a.b"], odd);
        assert_eq!(value["debug"], format!("{odd:?}"));
        assert_eq!(
            (&value["yes"], &value["less"], &value["more"]),
            (&true.into(), &(-1).into(), &1.into())
        );
        assert_eq!(
            (&value["part"], &value["nan"]),
            (&0.25.into(), &Value::Null)
        );
        assert_eq!(
            (&value["level"], &value["target"], &value["message"]),
            (&"INFO".into(), &"t".into(), &"said".into())
        );
        assert!(value["timestamp"].as_str().unwrap().ends_with('Z'));
    }
}
