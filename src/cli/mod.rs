//! What was typed. Nothing is opened or checked here.

#[cfg(feature = "audit")]
pub mod audit;
pub mod check;
pub mod scan;
pub mod token;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use strum::IntoStaticStr;

use crate::telemetry::log::LogFormat;

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

/// Arguments of `keyguard serve`.
#[derive(Debug, Args)]
#[command(
    after_help = SERVE_EXAMPLE,
    group = ArgGroup::new("certificate").required(true)
)]
pub struct Serve {
    /// Where reviews are answered, over TLS 1.2 or 1.3
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
    /// The certificate chain, PEM, leaf first; read again when it changes
    #[arg(
        long,
        value_name = "FILE",
        env = "KEYGUARD_TLS_CERT",
        requires = "tls_key",
        group = "certificate"
    )]
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate, PEM; read again when it changes
    #[arg(
        long,
        value_name = "FILE",
        env = "KEYGUARD_TLS_KEY",
        requires = "tls_cert",
        conflicts_with = "tls_secret"
    )]
    pub tls_key: Option<PathBuf>,
    /// The Secret that keyguard keeps a CA and a certificate of its own in, instead of files
    #[arg(
        long,
        value_name = "NAMESPACE/NAME",
        env = "KEYGUARD_TLS_SECRET",
        conflicts_with = "state",
        group = "certificate"
    )]
    pub tls_secret: Option<String>,
    /// A DNS name or IP address in the certificate of --tls-secret, instead of those by which the
    /// webhook configuration calls keyguard; may be repeated
    #[arg(
        long,
        value_name = "NAME",
        env = "KEYGUARD_TLS_DNS_NAME",
        value_delimiter = ',',
        conflicts_with = "tls_cert"
    )]
    pub tls_dns_name: Vec<String>,
    /// The webhook configuration that must verify the certificate before keyguard is ready; "keyguard"
    /// with --tls-secret, which also keeps its caBundle
    #[arg(
        long,
        value_name = "NAME",
        env = "KEYGUARD_WEBHOOK_CONFIGURATION",
        conflicts_with = "state"
    )]
    pub webhook_configuration: Option<String>,
    /// The CA certificates, PEM, of which a client must have a certificate; read again when they
    /// change. Without it nobody is asked for one
    #[arg(long, value_name = "FILE", env = "KEYGUARD_CLIENT_CA")]
    pub client_ca: Option<PathBuf>,
    /// A common name or DNS name that a client's certificate must have, one of them when repeated;
    /// without it, any
    #[arg(
        long,
        value_name = "NAME",
        env = "KEYGUARD_CLIENT_NAME",
        value_delimiter = ',',
        requires = "client_ca"
    )]
    pub client_name: Vec<String>,
    /// The settings, YAML or JSON; without it, the defaults
    #[arg(long, value_name = "FILE", env = "KEYGUARD_CONFIG")]
    pub config: Option<PathBuf>,
    /// What is read.
    #[command(flatten)]
    pub read: ReadFrom,
    /// Where records are kept: sqlite:FILE; by one replica only. Without it they are in the log alone
    #[cfg(feature = "audit")]
    #[arg(long, value_name = "URL", env = "KEYGUARD_AUDIT_STORE")]
    pub audit_store: Option<String>,
    /// The key that signs the log of the audit store, PEM (PKCS #8, Ed25519); made when it is not there. Without it the
    /// file beside the store
    #[cfg(feature = "audit")]
    #[arg(
        long,
        value_name = "FILE",
        env = "KEYGUARD_AUDIT_KEY",
        requires = "audit_store"
    )]
    pub audit_key: Option<PathBuf>,
    /// What records call this cluster
    #[cfg(feature = "audit")]
    #[arg(
        long,
        value_name = "NAME",
        env = "KEYGUARD_AUDIT_CLUSTER",
        default_value = "cluster"
    )]
    pub audit_cluster: String,
    /// How log lines look
    #[arg(
        long,
        value_name = "FORMAT",
        env = "KEYGUARD_LOG_FORMAT",
        default_value = "json"
    )]
    pub log_format: LogFormat,
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

const SERVE_EXAMPLE: &str = "Example, over a folder of manifests:
  keyguard serve --listen 127.0.0.1:8443 --health-listen 127.0.0.1:8080 \\
    --tls-cert certs/tls.crt --tls-key certs/tls.key --state manifests/";

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
            let variable = format!("KEYGUARD_{}", long.to_uppercase().replace('-', "_"));
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
