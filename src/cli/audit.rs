//! What is typed behind `keyguard audit`.

use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand, ValueEnum};

/// What `keyguard audit` can do.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Find records, newest first
    Query(Query),
    /// Prove that no record was changed, removed, inserted or moved
    ///
    /// Reads all of the store and names what does not fit. Ends with 0 when it is intact, with 1 when it was tampered
    /// with, and with 2 when that cannot be told.
    Verify(Verify),
    /// Write the log of a week as files that other tools verify
    ///
    /// The files are those of C2SP tlog-tiles, with the public key in key.pub.
    Export(Export),
}

const QUERY_EXAMPLE: &str = "Example:
  keyguard audit query --store sqlite:audit.db --decision deny --since 2026-11-01T00:00:00Z";

/// Arguments of `keyguard audit query`.
#[derive(Debug, Args)]
#[command(after_help = QUERY_EXAMPLE)]
pub struct Query {
    /// The store
    #[arg(long, value_name = "URL", env = "KEYGUARD_AUDIT_STORE")]
    pub store: String,
    /// What was decided, such as deny or break-glass
    #[arg(long, value_name = "DECISION")]
    pub decision: Option<String>,
    /// A rule that found something
    #[arg(long, value_name = "RULE")]
    pub rule: Option<String>,
    /// Who asked
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// By what the change came: an application, a release or a field manager
    #[arg(long, value_name = "NAME")]
    pub tool: Option<String>,
    /// The namespace of the object
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// The name of the object
    #[arg(long, value_name = "NAME")]
    pub object: Option<String>,
    /// The fingerprint of an attempt
    #[arg(long, value_name = "FINGERPRINT")]
    pub fingerprint: Option<String>,
    /// Whether nothing was to be stored
    #[arg(long, value_name = "YES OR NO")]
    pub dry_run: Option<YesNo>,
    /// From this time on, as 2026-11-27T12:00:00Z, or as long ago as 7d or 2h
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// The most records
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// What the page before gave as next
    #[arg(long, value_name = "CURSOR", allow_hyphen_values = true)]
    pub after: Option<String>,
    /// The form of the output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: RecordFormat,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum YesNo {
    /// Yes
    Yes,
    /// No
    No,
}

/// How records are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RecordFormat {
    /// For people
    Table,
    /// One object with records and next
    Json,
    /// One line a record
    Csv,
}

/// The public key of the log.
#[derive(Debug, Args)]
pub struct Key {
    /// The key of the log, its public half (key.pub of an export) or all of it; without it the file beside an SQLite store
    #[arg(long, value_name = "FILE", env = "KEYGUARD_AUDIT_KEY")]
    pub key: Option<PathBuf>,
}

/// Arguments of `keyguard audit verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The store
    #[arg(long, value_name = "URL", env = "KEYGUARD_AUDIT_STORE")]
    pub store: String,
    /// The key.
    #[command(flatten)]
    pub key: Key,
    /// A checkpoint of before, as it was kept elsewhere; may be repeated
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    pub checkpoint: Vec<PathBuf>,
    /// An audit log of the API server, JSON lines of audit.k8s.io/v1; may be repeated
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    pub audit_log: Vec<PathBuf>,
}

/// Arguments of `keyguard audit export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The store
    #[arg(long, value_name = "URL", env = "KEYGUARD_AUDIT_STORE")]
    pub store: String,
    /// The key.
    #[command(flatten)]
    pub key: Key,
    /// The folder that the files go to
    #[arg(long, value_name = "DIR")]
    pub tiles: PathBuf,
    /// The week, such as 2026-W48; without it the last one
    #[arg(long, value_name = "WEEK")]
    pub week: Option<String>,
}
