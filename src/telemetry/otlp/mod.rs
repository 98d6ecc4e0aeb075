//! OpenTelemetry, over OTLP/gRPC: each record as a log record, reviews as traces, and the metrics.
//!
//! Nothing of it slows or fails an admission: all of it waits in memory, up to a bound, for threads of its own.

mod metrics;
mod records;
mod watched;

use std::env;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use axum::http::Uri;
use axum::http::uri::{PathAndQuery, Scheme};
use clap::ValueEnum;
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry::KeyValue;
use opentelemetry::logs::LoggerProvider as _;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, RetryPolicy, SpanExporter,
    WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{self, BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{self, BatchSpanProcessor, SdkTracer, SdkTracerProvider};
use thiserror::Error;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;

use self::records::Records;
use self::watched::{Waiting, Watched};
use super::log::Elsewhere;
use super::metrics::Metrics;

/// Who sends it, in each signal.
const NAME: &str = "keyguard";
/// How long the other end has for one batch.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The most records of a batch: 64 of 20 KB are far below the 4 MiB that receivers take by default.
const BATCH: usize = 64;
/// How long records and spans gather.
const GATHER: Duration = Duration::from_secs(1);
/// The most spans that wait.
const MOST_SPANS: usize = 2_048;
/// From one time that the metrics are sent to the next.
const METRICS: Duration = Duration::from_secs(60);
/// How long the end of the program waits for what is left to be sent.
const LAST_SEND: Duration = Duration::from_secs(1);

/// What can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Signal {
    /// A log record for each decision
    Logs,
    /// A trace for each review
    Traces,
    /// The metrics
    Metrics,
}

/// Why nothing can be sent.
#[derive(Debug, Error)]
pub enum OtlpError {
    /// It is no address.
    #[error(
        "--otlp-endpoint: write it as http://HOST:4317, or https://HOST:4317 with TLS, without a path or a user name"
    )]
    Endpoint,
    /// The CA certificates cannot be used.
    #[error("--otlp-ca: these CA certificates cannot be used: write them as PEM")]
    Tls(#[source] tonic::transport::Error),
    /// A variable of OpenTelemetry says something that cannot be used.
    #[error("a variable that begins with OTEL_EXPORTER_OTLP_ cannot be used")]
    Variable(#[from] ExporterBuildError),
}

/// What sends to OpenTelemetry.
#[derive(Debug)]
pub struct Otlp {
    logs: Option<SdkLoggerProvider>,
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    waiting: Waiting,
}

impl Otlp {
    /// Sends `signals` to the receiver at `endpoint`, which `ca`, PEM, verifies, or without it a public CA. Connects when
    /// there is something to send. Within a runtime of tokio, which must run until the [end](Otlp::end).
    ///
    /// # Errors
    /// When what was typed, or a variable of OpenTelemetry, cannot be used.
    pub fn start(
        endpoint: &str,
        ca: Option<&[u8]>,
        signals: &[Signal],
        metrics: &Arc<Metrics>,
    ) -> Result<Otlp, OtlpError> {
        let channel = channel(endpoint, ca)?;
        // What follows counts more: what the environment says.
        let resource = Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", NAME),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new(
                    "service.instance.id",
                    env::var("HOSTNAME").unwrap_or_default(),
                ),
            ])
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_detector(Box::new(EnvResourceDetector::new()))
            .with_attributes(
                env::var("OTEL_SERVICE_NAME")
                    .ok()
                    .filter(|name| !name.is_empty())
                    .map(|name| KeyValue::new("service.name", name)),
            )
            .build();
        let is_wanted = |signal| signals.contains(&signal);
        let waiting = Waiting::new(Arc::clone(metrics));
        let logs = is_wanted(Signal::Logs).then(|| {
            let exporter = LogExporter::builder()
                .with_tonic()
                .with_channel(channel.clone());
            // Tried again by what counts them.
            let exporter = exporter
                .with_retry_policy(RetryPolicy::disabled())
                .build()?;
            // All of it is said, so that no variable makes it spin or swells it.
            let config = logs::BatchConfigBuilder::default()
                .with_max_queue_size(Waiting::MOST)
                .with_max_export_batch_size(BATCH)
                .with_scheduled_delay(GATHER)
                .build();
            let processor = BatchLogProcessor::builder(Watched::new("logs", exporter, &waiting))
                .with_batch_config(config)
                .build();
            let provider = SdkLoggerProvider::builder().with_resource(resource.clone());
            Ok::<_, OtlpError>(provider.with_log_processor(processor).build())
        });
        let traces = is_wanted(Signal::Traces).then(|| {
            let exporter = SpanExporter::builder()
                .with_tonic()
                .with_channel(channel.clone());
            let exporter = Watched::new("traces", exporter.build()?, &waiting);
            let config = trace::BatchConfigBuilder::default()
                .with_max_queue_size(MOST_SPANS)
                .with_max_export_batch_size(MOST_SPANS / 4)
                .with_scheduled_delay(GATHER)
                .build();
            let processor = BatchSpanProcessor::builder(exporter).with_batch_config(config);
            let provider = SdkTracerProvider::builder().with_resource(resource.clone());
            Ok::<_, OtlpError>(provider.with_span_processor(processor.build()).build())
        });
        let pushed = is_wanted(Signal::Metrics).then(|| {
            let exporter = MetricExporter::builder()
                .with_tonic()
                .with_channel(channel.clone());
            let exporter = Watched::new("metrics", exporter.build()?, &waiting);
            let reader = PeriodicReader::builder(exporter).with_interval(METRICS);
            let provider = SdkMeterProvider::builder().with_resource(resource.clone());
            let provider = provider.with_reader(reader.build()).build();
            metrics::register(metrics, &provider.meter(NAME));
            Ok::<_, OtlpError>(provider)
        });
        Ok(Otlp {
            logs: logs.transpose()?,
            traces: traces.transpose()?,
            metrics: pushed.transpose()?,
            waiting,
        })
    }

    /// What of the program's log goes there.
    pub fn elsewhere(&self) -> Elsewhere {
        let records = Records::new(
            self.logs.as_ref().map(|logs| logs.logger(NAME)),
            self.waiting.clone(),
        );
        let spans = self.traces.as_ref().map(|traces| {
            let tracer: SdkTracer = traces.tracer(NAME);
            // The names of source files and threads tell the reader of a trace nothing.
            let layer = tracing_opentelemetry::layer()
                .with_tracer(tracer)
                .with_location(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
                .with_target(false);
            layer
                .with_filter(Targets::new().with_target(NAME, Level::DEBUG))
                .boxed()
        });
        Elsewhere {
            records: Some(Arc::new(records)),
            spans,
        }
    }

    /// Sends what is left, as far as the other end takes it within a second.
    pub fn end(self) {
        let (logs, traces, metrics) = (self.logs, self.traces, self.metrics);
        let (done, ended) = mpsc::channel::<()>();
        // None of them waits for another, and nobody for one that does not end in time.
        let beside = |end: Box<dyn FnOnce() + Send>| {
            let done = done.clone();
            thread::spawn(move || {
                end();
                drop(done);
            });
        };
        beside(Box::new(move || {
            let _ = logs.map(|logs| logs.shutdown_with_timeout(LAST_SEND));
        }));
        beside(Box::new(move || {
            let _ = traces.map(|traces| traces.shutdown_with_timeout(LAST_SEND));
        }));
        beside(Box::new(move || {
            let _ = metrics.map(|metrics| metrics.shutdown_with_timeout(LAST_SEND));
        }));
        drop(done);
        // It is an error once all have ended.
        let _ = ended.recv_timeout(LAST_SEND);
        let records = self.waiting.records();
        if records > 0 {
            tracing::warn!(
                records,
                "the end does not wait any longer for OpenTelemetry to take records"
            );
        }
    }
}

/// The connection that all signals share.
fn channel(endpoint: &str, ca: Option<&[u8]>) -> Result<Channel, OtlpError> {
    let typed: Uri = endpoint.parse().map_err(|_| OtlpError::Endpoint)?;
    let has_user = typed
        .authority()
        .is_some_and(|it| it.as_str().contains('@'));
    if has_user
        || !matches!(
            typed.path_and_query().map(PathAndQuery::as_str),
            None | Some("/")
        )
    {
        return Err(OtlpError::Endpoint);
    }
    let is_tls = match typed.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        Some(scheme) if *scheme == Scheme::HTTP => false,
        _ => return Err(OtlpError::Endpoint),
    };
    let to = Endpoint::from(typed);
    // Of a connection that is gone without a word only an unanswered ping tells.
    let mut to = to
        .connect_timeout(ATTEMPT)
        .timeout(ATTEMPT)
        .http2_keep_alive_interval(ATTEMPT / 2)
        .keep_alive_timeout(ATTEMPT / 3);
    if is_tls {
        let tls = ClientTlsConfig::new();
        let tls = match ca {
            Some(ca) => tls.ca_certificate(Certificate::from_pem(ca)),
            None => tls.with_webpki_roots(),
        };
        to = to.tls_config(tls).map_err(OtlpError::Tls)?;
    }
    // By a connector that was given, the limit counts for the TLS handshake as well.
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // Of several addresses the first must not take all of the time.
    tcp.set_connect_timeout(Some(ATTEMPT / 2));
    Ok(to.connect_with_connector_lazy(tcp))
}
