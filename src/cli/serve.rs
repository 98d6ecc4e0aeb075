//! What is typed behind `keyguard serve`.

#[cfg(feature = "audit")]
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Args};
#[cfg(feature = "audit")]
use hyper::Uri;

use super::ReadFrom;
#[cfg(feature = "audit")]
use super::audit::Retention;
use crate::telemetry::log::LogFormat;
#[cfg(feature = "audit")]
use crate::telemetry::otlp::Signal;

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
    /// How records are kept.
    #[cfg(feature = "audit")]
    #[command(flatten)]
    pub audit: AuditTrail,
    /// What OpenTelemetry gets.
    #[cfg(feature = "audit")]
    #[command(flatten)]
    pub open_telemetry: OpenTelemetry,
    /// How log lines look
    #[arg(
        long,
        value_name = "FORMAT",
        env = "KEYGUARD_LOG_FORMAT",
        default_value = "json"
    )]
    pub log_format: LogFormat,
}

/// What `keyguard serve` sends to OpenTelemetry.
#[cfg(feature = "audit")]
#[derive(Debug, Args)]
pub struct OpenTelemetry {
    /// Where records, traces and metrics are sent by OTLP/gRPC, such as http://otel-collector:4317; nowhere without it
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// The CA certificates that verify it, PEM; without it, public ones
    #[arg(long, value_name = "FILE", env = "OTEL_EXPORTER_OTLP_CERTIFICATE")]
    pub otlp_ca: Option<OsString>,
    /// What is sent
    #[arg(
        long,
        value_name = "SIGNAL",
        env = "KEYGUARD_OTLP_SIGNALS",
        value_delimiter = ',',
        default_value = "logs,traces,metrics"
    )]
    pub otlp_signals: Vec<Signal>,
}

/// How `keyguard serve` keeps records: in a store of its own, or by a collector.
#[cfg(feature = "audit")]
#[derive(Debug, Default, Args)]
pub struct AuditTrail {
    /// Where records are kept: sqlite:FILE; by one replica only. Without it and --audit-server they are in the log alone
    #[arg(
        long,
        value_name = "URL",
        env = "KEYGUARD_AUDIT_STORE",
        hide_env_values = true
    )]
    pub audit_store: Option<String>,
    /// The key that signs the log of the audit store, PEM (PKCS #8, Ed25519); made when it is not there and the store has
    /// no log. Without it the file beside the store
    #[arg(
        long,
        value_name = "FILE",
        env = "KEYGUARD_AUDIT_KEY",
        requires = "audit_store"
    )]
    pub audit_key: Option<PathBuf>,
    /// What records call this cluster
    #[arg(
        long,
        value_name = "NAME",
        env = "KEYGUARD_AUDIT_CLUSTER",
        default_value = "cluster"
    )]
    pub audit_cluster: String,
    /// How much the audit store keeps.
    #[command(flatten)]
    pub retention: Retention,
    /// The collector that records are sent to, such as https://keyguard-audit.keyguard.svc
    #[arg(
        long,
        value_name = "URL",
        env = "KEYGUARD_AUDIT_SERVER",
        conflicts_with = "audit_store",
        requires_all = ["audit_ca", "audit_token_file", "audit_spool"]
    )]
    pub audit_server: Option<Uri>,
    /// The CA certificates that verify the collector, PEM; read again after each failure
    #[arg(long, value_name = "FILE", env = "KEYGUARD_AUDIT_CA")]
    pub audit_ca: Option<PathBuf>,
    /// The file with the ServiceAccount token that the collector knows this replica by; read for each call
    #[arg(long, value_name = "FILE", env = "KEYGUARD_AUDIT_TOKEN_FILE")]
    pub audit_token_file: Option<PathBuf>,
    /// The folder in which records wait for the collector
    #[arg(long, value_name = "DIR", env = "KEYGUARD_AUDIT_SPOOL")]
    pub audit_spool: Option<PathBuf>,
    /// The most MiB of that folder
    #[arg(
        long,
        value_name = "NUMBER",
        env = "KEYGUARD_AUDIT_SPOOL_MIB",
        default_value = "256",
        value_parser = clap::value_parser!(u64).range(1..=1 << 20)
    )]
    pub audit_spool_mib: u64,
    /// The file with the key that makes fingerprints, the same for all replicas; until it is there, records have none
    #[arg(
        long,
        value_name = "FILE",
        env = "KEYGUARD_AUDIT_FINGERPRINT_KEY",
        requires = "audit_server"
    )]
    pub audit_fingerprint_key: Option<PathBuf>,
}
