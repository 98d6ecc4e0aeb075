//! What is typed behind `keyguard scan`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::ReadFrom;
use crate::report::Format;
use crate::report::exit::FailOn;
use crate::telemetry::log::LogFormat;

const EXAMPLES: &str = "Examples:
  keyguard scan --kubeconfig ~/.kube/config
  keyguard scan --namespace codefresh --format json
  keyguard scan --every 10m --listen 0.0.0.0:8080

Exit code: 0 nothing was found; 1 findings as bad as --fail-on says; 2 wrong usage; 3 nothing was found, and
something that decides could not be seen.";

/// The least time from one scan to the next.
const LEAST_EVERY: Duration = Duration::from_secs(1);

/// Arguments of `keyguard scan`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Scan {
    /// A namespace that is looked at, instead of all; may be repeated, in the variable with commas
    #[arg(
        long,
        value_name = "NAME",
        env = "KEYGUARD_SCAN_NAMESPACE",
        value_delimiter = ','
    )]
    pub namespace: Vec<String>,
    /// Secrets and ConfigMaps read at once
    #[arg(
        long,
        value_name = "NUMBER",
        env = "KEYGUARD_SCAN_READS",
        default_value = "16",
        value_parser = clap::value_parser!(u8).range(1..=32)
    )]
    pub reads: u8,
    /// From which severity on findings fail
    #[arg(
        long,
        value_name = "SEVERITY",
        env = "KEYGUARD_SCAN_FAIL_ON",
        default_value = "error",
        conflicts_with = "every"
    )]
    pub fail_on: FailOn,
    /// The form of the output
    #[arg(
        long,
        value_name = "FORMAT",
        env = "KEYGUARD_SCAN_FORMAT",
        default_value = "table",
        conflicts_with = "every"
    )]
    pub format: Format,
    /// The file to write to, instead of standard output
    #[arg(
        long,
        value_name = "FILE",
        env = "KEYGUARD_SCAN_OUTPUT",
        conflicts_with = "every"
    )]
    pub output: Option<PathBuf>,
    /// Scan again and again, from the start of one scan to that of the next, with its unit; findings are
    /// metrics, PolicyReports and lines of the log
    #[arg(
        long,
        value_name = "TIME",
        env = "KEYGUARD_SCAN_EVERY",
        value_parser = interval
    )]
    pub every: Option<Duration>,
    /// Where /healthz, /readyz and /metrics are with --every, in plain HTTP
    #[arg(
        long,
        value_name = "ADDR",
        env = "KEYGUARD_SCAN_LISTEN",
        default_value = "0.0.0.0:8080"
    )]
    pub listen: SocketAddr,
    /// The Lease by which one of several replicas scans; without it each does
    #[arg(
        long,
        value_name = "NAMESPACE/NAME",
        env = "KEYGUARD_SCAN_LEASE",
        requires = "every",
        conflicts_with = "state"
    )]
    pub lease: Option<String>,
    /// Whether findings are written into the cluster with --every
    #[arg(
        long,
        value_name = "CHOICE",
        env = "KEYGUARD_SCAN_POLICY_REPORTS",
        default_value = "auto"
    )]
    pub policy_reports: PolicyReports,
    /// The configuration with which keyguard serves; without it, the defaults
    #[arg(long, value_name = "FILE", env = "KEYGUARD_CONFIG")]
    pub config: Option<PathBuf>,
    /// What is scanned.
    #[command(flatten)]
    pub read: ReadFrom,
    /// How log lines look with --every
    #[arg(
        long,
        value_name = "FORMAT",
        env = "KEYGUARD_LOG_FORMAT",
        default_value = "json"
    )]
    pub log_format: LogFormat,
}

/// Whether findings are written into the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PolicyReports {
    /// One report a namespace, where the cluster has an API for them
    Auto,
    /// Nothing is written
    None,
}

fn interval(text: &str) -> Result<Duration, String> {
    let every = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match every >= LEAST_EVERY {
        true => Ok(every),
        false => Err("must be at least 1s".to_owned()),
    }
}
