//! What is typed behind `keyguard audit`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, ArgGroup, Args, Subcommand, ValueEnum};

use hyper::Uri;

use super::webhook::{Webhook, decision, rule};
use crate::report::records::Lines;
use crate::telemetry::log::LogFormat;
use keyguard_core::policy::rules::Rule;
use keyguard_core::policy::verdict::Decision;

/// What `keyguard audit` can do.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Store the records that replicas send, and answer who asks for them
    ///
    /// Serves /records and /log/ over TLS, and /healthz, /readyz and /metrics in plain HTTP. Callers show a
    /// ServiceAccount token for the audience "keyguard-audit", and RBAC says by the nonResourceURL
    /// /keyguard/audit what they may: post adds records, get reads.
    Serve(Box<Collect>),
    /// Find records, newest first
    Query(Box<Query>),
    /// Prove that no record was changed, removed, inserted or moved
    ///
    /// Reads all of the store and names what does not fit. Ends with 0 when it is intact, with 1 when it was tampered
    /// with, and with 2 when that cannot be told.
    Verify(Verify),
    /// Write records for other systems, or the log of a week as files that other tools verify
    ///
    /// The files are those of C2SP tlog-tiles, with the public key in key.pub.
    Export(Box<Export>),
}

const COLLECT_EXAMPLE: &str = "Example:
  keyguard audit serve --store sqlite:/var/lib/keyguard/audit.db \\
    --tls-cert tls.crt --tls-key tls.key --key-secret keyguard/keyguard-audit";

/// Arguments of `keyguard audit serve`.
#[derive(Debug, Args)]
#[command(after_help = COLLECT_EXAMPLE, group = ArgGroup::new("keys").required(true))]
pub struct Collect {
    /// The store: sqlite:FILE, or postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(
        long,
        value_name = "URL",
        env = "KEYGUARD_AUDIT_STORE",
        hide_env_values = true
    )]
    pub store: String,
    /// Where records are taken and asked for, over TLS
    #[arg(
        long,
        value_name = "ADDR",
        env = "KEYGUARD_LISTEN",
        default_value = "0.0.0.0:8443"
    )]
    pub listen: SocketAddr,
    /// Where /healthz, /readyz and /metrics are, in plain HTTP
    #[arg(
        long,
        value_name = "ADDR",
        env = "KEYGUARD_HEALTH_LISTEN",
        default_value = "0.0.0.0:8080"
    )]
    pub health_listen: SocketAddr,
    /// Where the page is: in plain HTTP on loopback, and over TLS anywhere else
    #[arg(
        long,
        value_name = "ADDR",
        env = "KEYGUARD_AUDIT_PAGE_LISTEN",
        default_value = "127.0.0.1:8081"
    )]
    pub page_listen: SocketAddr,
    /// The CA certificates of a proxy in front of the page, PEM. It alone is let in then, and says who looks by
    /// X-Forwarded-User and X-Forwarded-Groups
    #[arg(long, value_name = "FILE", env = "KEYGUARD_CLIENT_CA")]
    pub client_ca: Option<PathBuf>,
    /// A name that the certificate of the proxy must have; may be repeated
    #[arg(
        long,
        value_name = "NAME",
        env = "KEYGUARD_CLIENT_NAME",
        value_delimiter = ',',
        requires = "client_ca"
    )]
    pub client_name: Vec<String>,
    /// Makes an Event about each object of which a change was refused, but for dry runs
    #[arg(long, env = "KEYGUARD_AUDIT_EVENTS")]
    pub events: bool,
    /// Where records go besides.
    #[command(flatten)]
    pub webhook: Webhook,
    /// The certificate chain, PEM, leaf first; read again when it changes
    #[arg(long, value_name = "FILE", env = "KEYGUARD_TLS_CERT")]
    pub tls_cert: PathBuf,
    /// The private key of the certificate, PEM; read again when it changes
    #[arg(long, value_name = "FILE", env = "KEYGUARD_TLS_KEY")]
    pub tls_key: PathBuf,
    /// The Secret with the key that signs the log; made when it is not there and the store has no log
    #[arg(
        long,
        value_name = "NAMESPACE/NAME",
        env = "KEYGUARD_AUDIT_KEY_SECRET",
        group = "keys"
    )]
    pub key_secret: Option<String>,
    /// The key that signs the log, PEM (PKCS #8, Ed25519), instead of a Secret
    #[arg(long, value_name = "FILE", env = "KEYGUARD_AUDIT_KEY", group = "keys")]
    pub key: Option<PathBuf>,
    /// What the log calls this cluster
    #[arg(
        long,
        value_name = "NAME",
        env = "KEYGUARD_AUDIT_CLUSTER",
        default_value = "cluster"
    )]
    pub cluster: String,
    /// What is kept.
    #[command(flatten)]
    pub retention: Retention,
    /// The audience that tokens of callers must be for
    #[arg(
        long,
        value_name = "NAME",
        env = "KEYGUARD_AUDIT_AUDIENCE",
        default_value = "keyguard-audit"
    )]
    pub audience: String,
    /// The cluster that knows callers, instead of the one keyguard runs in
    #[arg(long, value_name = "FILE", env = "KEYGUARD_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// How log lines look
    #[arg(
        long,
        value_name = "FORMAT",
        env = "KEYGUARD_LOG_FORMAT",
        default_value = "json"
    )]
    pub log_format: LogFormat,
}

fn object(name: &str) -> Result<String, String> {
    match name.rsplit_once('/') {
        None => Ok(name.to_owned()),
        Some((_, name)) => Err(format!("write the name alone, without its kind: {name}")),
    }
}

/// How much is kept; what is older or more goes in whole weeks.
#[derive(Debug, Default, Args)]
pub struct Retention {
    /// How long records are kept, with its unit, such as 90d; without it for ever
    #[arg(
        long = "audit-keep",
        value_name = "TIME",
        env = "KEYGUARD_AUDIT_KEEP",
        value_parser = humantime::parse_duration
    )]
    pub keep: Option<Duration>,
    /// The most MiB of records, of which the store itself has some twice as many; the oldest weeks go first
    #[arg(
        long = "audit-max-mib",
        value_name = "NUMBER",
        env = "KEYGUARD_AUDIT_MAX_MIB",
        value_parser = clap::value_parser!(u64).range(1..=1 << 30)
    )]
    pub max_mib: Option<u64>,
}

const QUERY_EXAMPLES: &str = "Examples:
  keyguard audit query --store sqlite:audit.db --decision deny --since 2026-11-01T00:00:00Z
  keyguard audit query --server https://localhost:8443 --ca ca.crt --token-file token --decision deny";

/// One of the places where records are.
fn of() -> ArgGroup {
    ArgGroup::new("of").required(true).args(["store", "server"])
}

/// Where records are asked for.
#[derive(Debug, Args)]
#[group(skip)]
pub struct AskedOf {
    /// The store
    #[arg(
        long,
        value_name = "URL",
        env = "KEYGUARD_AUDIT_STORE",
        hide_env_values = true,
        conflicts_with = "server"
    )]
    pub store: Option<String>,
    /// The collector, instead of a store
    #[arg(
        long,
        value_name = "URL",
        env = "KEYGUARD_AUDIT_SERVER",
        requires = "ca",
        requires = "token_file"
    )]
    pub server: Option<Uri>,
    /// The CA certificates that verify the collector, PEM
    #[arg(long, value_name = "FILE", env = "KEYGUARD_AUDIT_CA")]
    pub ca: Option<PathBuf>,
    /// A file with a ServiceAccount token for the collector, as kubectl create token --audience
    /// keyguard-audit prints
    #[arg(long, value_name = "FILE", env = "KEYGUARD_AUDIT_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
}

/// Arguments of `keyguard audit query`.
#[derive(Debug, Args)]
#[command(after_help = QUERY_EXAMPLES, group = of())]
pub struct Query {
    /// Where they are.
    #[command(flatten)]
    pub of: AskedOf,
    /// Which of them.
    #[command(flatten)]
    pub wanted: Wanted,
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

/// Which records are wanted; what is not said does not matter.
#[derive(Debug, Args)]
pub struct Wanted {
    /// What was decided, such as deny or break-glass
    #[arg(long, value_name = "DECISION", value_parser = decision)]
    pub decision: Option<Decision>,
    /// A rule that found something, such as accounts/api-key-removed
    #[arg(long, value_name = "RULE", value_parser = rule)]
    pub rule: Option<Rule>,
    /// Who asked, by their whole name, such as system:serviceaccount:argocd:argocd-server
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// By what the change came: the application of Argo CD, else the release, else what Flux has, else the field manager
    #[arg(long, value_name = "NAME")]
    pub tool: Option<String>,
    /// The namespace of the object
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// The name of the object, without its kind
    #[arg(long, value_name = "NAME", value_parser = object)]
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
    /// The key of the log: a file with its public half (key.pub of an export) or all of it, or what is in key.pub; without it
    /// the file beside an SQLite store
    #[arg(long, value_name = "FILE", env = "KEYGUARD_AUDIT_KEY")]
    pub key: Option<PathBuf>,
}

/// Arguments of `keyguard audit verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The store
    #[arg(
        long,
        value_name = "URL",
        env = "KEYGUARD_AUDIT_STORE",
        hide_env_values = true
    )]
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
#[command(group = ArgGroup::new("what").required(true), group = of())]
pub struct Export {
    /// Where they are.
    #[command(flatten)]
    pub of: AskedOf,
    /// Which records are written; the log is written whole.
    #[command(flatten)]
    pub wanted: Wanted,
    /// Writes records to standard output, newest first, in this form
    #[arg(long, value_name = "FORMAT", group = "what")]
    pub format: Option<Lines>,
    /// Writes the log of a week as files into this folder
    #[arg(long, value_name = "DIR", group = "what", conflicts_with = "Wanted")]
    pub tiles: Option<PathBuf>,
    /// The key.
    #[command(flatten)]
    pub key: Key,
    /// The week, such as 2026-W48; without it the newest
    #[arg(long, value_name = "WEEK", requires = "tiles")]
    pub week: Option<String>,
}
