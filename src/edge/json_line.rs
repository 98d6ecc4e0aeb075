//! Log events as JSON, a line each, written field by field without building anything in between.
//!
//! The formatter of `tracing-subscriber` collects every event into a map first, which costs several
//! times what deciding on a review does.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats an event as one JSON object: timestamp, level, target, then its fields in their order.
pub(super) struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // One buffer that pieces are copied into: the writer is called through a table for each of them.
        let mut line = String::with_capacity(LINE_BYTES);
        line.push_str("{\"timestamp\":\"");
        SystemTime.format_time(&mut Writer::new(&mut line))?;
        let metadata = event.metadata();
        line.push_str("\",\"level\":\"");
        line.push_str(metadata.level().as_str());
        line.push_str("\",\"target\":\"");
        line.push_str(metadata.target());
        line.push('"');
        event.record(&mut Fields(&mut line));
        line.push_str("}\n");
        writer.write_str(&line)
    }
}

/// What a line is expected to need, so that one allocation is enough.
const LINE_BYTES: usize = 1024;

struct Fields<'a>(&'a mut String);

impl Fields<'_> {
    fn name(&mut self, field: &Field) {
        self.0.push_str(",\"");
        self.0.push_str(field.name());
        self.0.push_str("\":");
    }

    /// Writing to a string does not fail.
    fn display(&mut self, field: &Field, value: impl fmt::Display) {
        self.name(field);
        let _ = write!(self.0, "{value}");
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        self.0.push('"');
        escape(self.0, value);
        self.0.push('"');
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.name(field);
        self.0.push_str(if value { "true" } else { "false" });
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
        self.0.push('"');
        let _ = write!(Escaped(self.0), "{value:?}");
        self.0.push('"');
    }
}

/// Escapes what is written through it.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

/// Appends `text`, with what JSON does not allow in a string escaped; runs that need nothing are copied whole.
fn escape(line: &mut String, text: &str) {
    let needs_escape = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    // Looked through without a branch for each byte: nearly always there is nothing to escape.
    let mut rest = text;
    if text
        .bytes()
        .fold(false, |found, byte| found | needs_escape(byte))
    {
        while let Some(at) = rest.bytes().position(needs_escape) {
            let (plain, odd) = rest.split_at(at);
            line.push_str(plain);
            let mut characters = odd.chars();
            match characters.next() {
                Some('"') => line.push_str("\\\""),
                Some('\\') => line.push_str("\\\\"),
                Some('\n') => line.push_str("\\n"),
                Some(control) => {
                    let _ = write!(line, "\\u{:04x}", u32::from(control));
                }
                None => {}
            }
            rest = characters.as_str();
        }
    }
    line.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::super::test_log::TestLog;
    use super::*;
    use serde_json::Value;

    fn logged(log: impl FnOnce()) -> String {
        let lines = TestLog::default();
        let subscriber = tracing_subscriber::fmt()
            .event_format(JsonLine)
            .with_writer(lines.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        lines.text()
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
