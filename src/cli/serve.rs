//! What is typed behind `keyguard serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::ReadFrom;
use crate::telemetry::log::LogFormat;

const SERVE_EXAMPLE: &str = "Example, over a folder of manifests:
  keyguard serve --listen 127.0.0.1:8443 --health-listen 127.0.0.1:8080 \\
    --tls-cert certs/tls.crt --tls-key certs/tls.key --state manifests/";

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
