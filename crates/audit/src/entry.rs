//! What an entry of the log can be, and what of a record is searched by.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use keyguard_core::record::Record;

/// The most bytes of an entry: its length stands in two bytes.
///
/// Source: C2SP `tlog-tiles`.
pub const MOST_BYTES: usize = 65_535;

/// An entry that is no record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Mark {
    /// The last checkpoint of the log of the week before: the first entry of each log but the first.
    Continues {
        /// The week before, such as `2026-W47`.
        week: String,
        /// Its last checkpoint, signed.
        checkpoint: String,
    },
    /// Logs that were deleted as they were too old, or the store too large.
    Deleted {
        /// The weeks, such as `2026-W12`.
        weeks: Vec<String>,
        /// When, as RFC 3339 writes it.
        time: String,
    },
    /// Somebody looked at records.
    Looked {
        /// Who.
        user: String,
        /// At what: a path of the page, and what was asked for.
        at: String,
        /// When, as RFC 3339 writes it.
        time: String,
    },
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A decision.
    Record(Box<Record>),
    /// Something about the log itself.
    Mark(Mark),
}

/// Why bytes are no entry.
#[derive(Debug, Error)]
#[error("neither a record nor a mark of this version")]
pub struct Unknown;

impl Entry {
    /// Reads an entry.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(bytes: &[u8]) -> Result<Entry, Unknown> {
        if let Ok(record) = serde_json::from_slice(bytes) {
            return Ok(Entry::Record(record));
        }
        serde_json::from_slice(bytes)
            .map(Entry::Mark)
            .map_err(|_| Unknown)
    }
}

/// What of a record is searched by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// Its id.
    pub id: String,
    /// When it was answered, in milliseconds since 1970.
    pub time: i64,
    /// What was decided.
    pub decision: String,
    /// Who asked.
    pub user: String,
    /// By what the change came.
    pub tool: String,
    /// Where the object is.
    pub namespace: String,
    /// What it is called.
    pub object: String,
    /// The fingerprint of the attempt.
    pub fingerprint: String,
    /// Whether nothing was to be stored.
    pub dry_run: bool,
    /// The replica that decided.
    pub replica: String,
    /// The running number that the replica gave it.
    pub number: i64,
    /// The rules that found something.
    pub rules: Vec<String>,
}

impl Columns {
    /// Those of a record.
    pub fn of(record: &Record) -> Columns {
        Columns {
            id: searchable(&record.id),
            time: milliseconds(&record.time).unwrap_or(0),
            decision: record.decision.name().to_owned(),
            user: searchable(&record.user.name),
            tool: searchable(record.tool.name()),
            namespace: searchable(&record.object.namespace),
            object: searchable(&record.object.name),
            fingerprint: searchable(&record.fingerprint),
            dry_run: record.dry_run,
            replica: searchable(&record.replica),
            number: i64::try_from(record.number).unwrap_or(i64::MAX),
            rules: record
                .rules
                .iter()
                .map(|rule| rule.id().to_owned())
                .collect(),
        }
    }
}

/// A text as the store can search by it: PostgreSQL has no text with the character NUL, which a name that somebody sends can
/// have. The body has it as it was.
pub(crate) fn searchable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A time of RFC 3339 in milliseconds since 1970.
pub fn milliseconds(time: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(time, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// Milliseconds since 1970 as RFC 3339 writes them.
pub fn rfc3339(milliseconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(milliseconds.div_euclid(1000));
    let text = time.ok().and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_default()
}
