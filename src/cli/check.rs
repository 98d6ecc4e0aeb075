//! What is typed behind `keyguard check`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::ReadFrom;
use crate::config::project::SecretByHand;
use crate::report::Format;
use crate::report::exit::FailOn;

const EXAMPLES: &str = "Examples:
  keyguard check
  keyguard check clusters/production --root .
  keyguard check charts/runtime -f values/base.yaml -f values/production.yaml
  helm template runtime oci://quay.io/codefresh/gitops-runtime -f values.yaml | keyguard check -
  keyguard check --format sarif --output keyguard.sarif

Exit code: 0 nothing was found; 1 findings as bad as --fail-on says; 2 wrong usage, or a file that is no YAML;
3 nothing was found, and something that decides could not be seen.";

/// Arguments of `keyguard check`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Check {
    /// Files and folders of manifests and of values of the Runtime's chart; - is standard input
    #[arg(value_name = "PATH", default_value = ".")]
    pub paths: Vec<PathBuf>,
    /// The folder that is known as a whole, and that paths in the output are relative to; without it the
    /// git repository of the first PATH, else PATH itself
    #[arg(long, value_name = "DIR", env = "KEYGUARD_CHECK_ROOT")]
    pub root: Option<PathBuf>,
    /// A file of values, laid over those of a chart in the tree or else over the one before it, as by helm -f; may be
    /// repeated, in the variable with commas
    #[arg(
        short = 'f',
        long,
        value_name = "FILE",
        env = "KEYGUARD_CHECK_VALUES",
        value_delimiter = ','
    )]
    pub values: Vec<PathBuf>,
    /// A Secret that a person makes in the cluster; may be repeated, in the variable with commas
    #[arg(
        long,
        value_name = "NAMESPACE/NAME[:KEY]",
        env = "KEYGUARD_CHECK_SECRET",
        value_delimiter = ','
    )]
    pub secret: Vec<SecretByHand>,
    /// Files that are left out, as in .gitignore; may be repeated, in the variable with commas
    #[arg(
        long,
        value_name = "PATTERN",
        env = "KEYGUARD_CHECK_EXCLUDE",
        value_delimiter = ','
    )]
    pub exclude: Vec<String>,
    /// The version of the Runtime's chart where nothing names one
    #[arg(long, value_name = "VERSION", env = "KEYGUARD_CHECK_CHART_VERSION")]
    pub chart_version: Option<String>,
    /// From which severity on findings fail [default: error]
    #[arg(long, value_name = "SEVERITY", env = "KEYGUARD_CHECK_FAIL_ON")]
    pub fail_on: Option<FailOn>,
    /// The form of the output
    #[arg(
        long,
        value_name = "FORMAT",
        env = "KEYGUARD_CHECK_FORMAT",
        default_value = "table"
    )]
    pub format: Format,
    /// The file to write to, instead of standard output
    #[arg(long, value_name = "FILE", env = "KEYGUARD_CHECK_OUTPUT")]
    pub output: Option<PathBuf>,
    /// The configuration with which keyguard serves; without it, the defaults
    #[arg(long, value_name = "FILE", env = "KEYGUARD_CONFIG")]
    pub config: Option<PathBuf>,
    /// What is in the cluster beside the files, when it is named.
    #[command(flatten)]
    pub read: ReadFrom,
}
