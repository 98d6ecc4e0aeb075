//! What was typed. Nothing is opened or checked here.

#[cfg(feature = "audit")]
pub mod audit;
pub mod check;
pub mod scan;
mod serve;
pub mod token;
#[cfg(feature = "audit")]
pub mod webhook;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use strum::IntoStaticStr;

#[cfg(feature = "audit")]
pub use serve::AuditTrail;
#[cfg(feature = "audit")]
pub use serve::OpenTelemetry;
pub use serve::Serve;

/// Keeps alive the credential on which a Codefresh GitOps Runtime talks to Argo CD.
///
/// keyguard is a validating admission webhook. It makes the API server refuse changes of argocd-cm
/// that take the API key from a protected account, and GitOps Runtime workloads whose token or
/// password Secret is missing or malformed. Every decision is one line of its log.
#[derive(Debug, Parser)]
#[command(
    name = "keyguard",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What keyguard can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer the API server's reviews
    ///
    /// Serves POST /validate over TLS, and /healthz, /readyz and /metrics in plain HTTP.
    ///
    /// The cluster that is read is the one keyguard runs in, unless --kubeconfig or --state says
    /// otherwise. On SIGTERM keyguard says that it is not ready, goes on answering for
    /// timeouts.drainGrace, lets requests in flight finish and ends with 0.
    Serve(Box<Serve>),
    /// Judge manifests and values of the Runtime's chart before they are committed
    ///
    /// Finds what keyguard would refuse or warn of at admission, and in values what the chart does not
    /// read. Nothing is sent anywhere, and no value of a Secret is printed.
    Check(Box<check::Check>),
    /// Judge what is in the cluster
    ///
    /// Finds what admission would refuse or warn of if it came just now: workloads whose credential was
    /// revoked, deleted or went out of date since, and accounts of argocd-cm. Once, or again and again
    /// with --every. No value of a Secret is printed.
    Scan(Box<scan::Scan>),
    /// Ask the audit trail, and prove that nobody edited it
    #[cfg(feature = "audit")]
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Print the ValidatingWebhookConfiguration to apply
    ///
    /// By it the API server calls keyguard: for argocd-cm, for workloads that mention a credential, for
    /// what guard names in the configuration, and for nothing else.
    WebhookConfig(WebhookConfig),
    /// About the configuration file
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Prove through the API server that a bad change is refused and a good one is not
    ///
    /// Tries both as dry runs, under the account of the pod or the kubeconfig, which must have the right
    /// to create ConfigMaps and Deployments in the namespace. Nothing is stored. Tries again until both
    /// are answered as they should be or --timeout has passed; then ends with 1.
    SelfTest(SelfTest),
    /// Look at a token without risk
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Show, on a machine with no cluster, what is refused and what is not
    ///
    /// Makes a CA and a certificate under certs/, starts the real server on loopback over a folder of
    /// example manifests, sends it reviews over TLS as the API server does, and prints what was asked,
    /// the verdict and the message. Then stays up and prints a curl line to try.
    Demo(Demo),
}

/// What is read as the cluster: the one that keyguard runs in, unless something else is named.
#[derive(Debug, Args)]
pub struct ReadFrom {
    /// The cluster to read, instead of the one keyguard runs in
    #[arg(
        long,
        value_name = "FILE",
        env = "KEYGUARD_KUBECONFIG",
        conflicts_with = "state"
    )]
    pub kubeconfig: Option<PathBuf>,
    /// A folder of Kubernetes manifests, YAML or JSON, that is the cluster to read
    #[arg(long, value_name = "DIR", env = "KEYGUARD_STATE")]
    pub state: Option<PathBuf>,
}

/// Arguments of `keyguard webhook-config`.
#[derive(Debug, Args)]
#[command(after_help = WEBHOOK_CONFIG_EXAMPLE)]
pub struct WebhookConfig {
    /// How the API server reaches keyguard.
    #[command(flatten)]
    pub target: Target,
    /// The CA certificates, PEM, that keyguard's certificate is verified with; none when keyguard keeps
    /// them itself (serve --tls-secret)
    #[arg(long, value_name = "FILE", env = "KEYGUARD_CA_BUNDLE")]
    pub ca_bundle: Option<PathBuf>,
    /// The settings; its exemptNamespaces and exemptNamespaceLabels are asked about for the record
    /// only
    #[arg(long, value_name = "FILE", env = "KEYGUARD_CONFIG")]
    pub config: Option<PathBuf>,
    /// A namespace that is guarded, instead of all; may be repeated
    #[arg(
        long,
        value_name = "NAME",
        env = "KEYGUARD_NAMESPACE",
        value_delimiter = ','
    )]
    pub namespace: Vec<String>,
    /// What becomes of a guarded change when nobody answers
    #[arg(
        long,
        value_name = "POLICY",
        env = "KEYGUARD_FAILURE_POLICY",
        default_value = "fail"
    )]
    pub failure_policy: FailurePolicy,
}

/// What becomes of a guarded change when nobody answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, ValueEnum)]
pub enum FailurePolicy {
    /// It is refused
    Fail,
    /// It goes through unjudged
    Ignore,
}

const WEBHOOK_CONFIG_EXAMPLE: &str = "Example:
  keyguard webhook-config --service keyguard/keyguard --ca-bundle ca.crt | kubectl apply -f -";

/// Either a URL or a Service.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Target {
    /// An https URL; /validate is added when it has no path
    #[arg(long, value_name = "URL", env = "KEYGUARD_URL")]
    pub url: Option<String>,
    /// A Service, with its port when that is not 443
    #[arg(long, value_name = "NAMESPACE/NAME[:PORT]", env = "KEYGUARD_SERVICE")]
    pub service: Option<String>,
}

/// What `keyguard config` can do.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the JSON Schema of the configuration file, for an editor
    Schema,
}

/// Arguments of `keyguard self-test`.
#[derive(Debug, Args)]
#[command(after_help = SELF_TEST_EXAMPLE)]
pub struct SelfTest {
    /// A guarded namespace, in which the changes are tried
    #[arg(long, value_name = "NAME", env = "KEYGUARD_SELF_TEST_NAMESPACE")]
    pub namespace: String,
    /// The settings that keyguard serves with, which say what must be refused
    #[arg(long, value_name = "FILE", env = "KEYGUARD_CONFIG")]
    pub config: Option<PathBuf>,
    /// The cluster to try it on, instead of the one this runs in
    #[arg(long, value_name = "FILE", env = "KEYGUARD_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// How long to try again, with its unit
    #[arg(
        long,
        value_name = "TIME",
        env = "KEYGUARD_SELF_TEST_TIMEOUT",
        default_value = "30s",
        value_parser = humantime::parse_duration
    )]
    pub timeout: Duration,
}

const SELF_TEST_EXAMPLE: &str = "Example:
  keyguard self-test --namespace default --kubeconfig ~/.kube/config";

/// Arguments of `keyguard demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// End after the table; not 0 if a verdict is not the expected one
    #[arg(long)]
    pub once: bool,
    /// Where the CA, the certificate and the example manifests go
    #[arg(
        long,
        value_name = "DIR",
        env = "KEYGUARD_DEMO_DIR",
        default_value = "certs"
    )]
    pub directory: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_serve_flag_has_its_variable() {
        let cli = Cli::command();
        let serve = cli.find_subcommand("serve").unwrap();
        for argument in serve.get_arguments() {
            let Some(long) = argument
                .get_long()
                .filter(|long| !["help", "version"].contains(long))
            else {
                continue;
            };
            // Two are OpenTelemetry's own.
            let variable = match long {
                "otlp-endpoint" => "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
                "otlp-ca" => "OTEL_EXPORTER_OTLP_CERTIFICATE".to_owned(),
                _ => format!("KEYGUARD_{}", long.to_uppercase().replace('-', "_")),
            };
            assert_eq!(
                argument.get_env().and_then(|env| env.to_str()),
                Some(variable.as_str())
            );
        }
    }

    #[test]
    fn a_certificate_comes_from_two_files_or_from_a_secret() {
        let parse = |line: &str| Cli::try_parse_from(format!("keyguard serve {line}").split(' '));
        for good in [
            "--tls-cert c --tls-key k",
            "--tls-cert c --tls-key k --webhook-configuration w",
            "--tls-secret a/b",
            "--tls-secret a/b --tls-dns-name x --tls-dns-name y",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "--listen 127.0.0.1:1",
            "--tls-cert c",
            "--tls-key k",
            "--tls-cert c --tls-key k --tls-secret a/b",
            "--tls-key k --tls-secret a/b",
            "--tls-cert c --tls-key k --tls-dns-name x",
            "--tls-secret a/b --state s",
            "--tls-cert c --tls-key k --state s --webhook-configuration w",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let Command::Serve(names) = parse("--tls-secret a/b --tls-dns-name x,y")
            .unwrap()
            .command
        else {
            panic!("another command");
        };
        assert_eq!(names.tls_dns_name, ["x", "y"]);
    }

    #[test]
    fn two_clusters_at_once_are_refused() {
        let line = "keyguard serve --tls-cert c --tls-key k --state s --kubeconfig f";
        assert!(Cli::try_parse_from(line.split(' ')).is_err());
        let line = "keyguard webhook-config --ca-bundle c";
        assert!(Cli::try_parse_from(line.split(' ')).is_err());
    }
}
