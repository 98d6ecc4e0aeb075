//! Who gets what OpenTelemetry is sent, made of the types of its own protocol.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::runtime::Runtime;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::control_plane::certificates::Authority;
use crate::control_plane::process::{free_address, start_on_free_ports};
use crate::control_plane::workspace::Workspace;

/// A receiver that listens for plain gRPC, as the API server sends it, and over TLS.
pub(crate) struct Receiver {
    pub(crate) plain: SocketAddr,
    pub(crate) over_tls: SocketAddr,
    pub(crate) authority: Authority,
    identity: Identity,
    sink: Sink,
    running: Option<Runtime>,
    _workspace: Workspace,
}

/// What came, each with the service that sent it.
#[derive(Clone, Default)]
pub(crate) struct Got {
    pub(crate) logs: Vec<(Resource, LogRecord)>,
    pub(crate) spans: Vec<(String, Span)>,
    pub(crate) metrics: Vec<Metric>,
    /// The header of the last logs.
    pub(crate) authorization: Option<String>,
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Got>>);

impl Receiver {
    pub(crate) fn new() -> Receiver {
        let workspace = Workspace::new();
        let authority = Authority::new(&workspace);
        let certificate = authority.issue(&["localhost"], &workspace);
        let [chain, key] =
            [&certificate.certificate, &certificate.key].map(|path| std::fs::read(path).unwrap());
        let identity = Identity::from_pem(&chain, &key);
        let sink = Sink::default();
        let (plain, over_tls, running) = start_on_free_ports(|| {
            let (plain, over_tls) = (free_address(), free_address());
            let running = listen(plain, over_tls, &identity, &sink)?;
            Ok((plain, over_tls, running))
        });
        Receiver {
            plain,
            over_tls,
            authority,
            identity,
            sink,
            running: Some(running),
            _workspace: workspace,
        }
    }

    /// Cuts all connections, and takes no more.
    pub(crate) fn go_away(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown_background();
        }
    }

    /// Listens again where it was.
    pub(crate) fn come_back(&mut self) {
        let running = listen(self.plain, self.over_tls, &self.identity, &self.sink);
        self.running = Some(running.unwrap());
    }

    /// What came so far.
    pub(crate) fn got(&self) -> Got {
        self.sink.got().clone()
    }
}

fn listen(
    plain: SocketAddr,
    over_tls: SocketAddr,
    identity: &Identity,
    sink: &Sink,
) -> Result<Runtime, String> {
    let running = Runtime::new().unwrap();
    let within = running.enter();
    for (address, is_tls) in [(plain, false), (over_tls, true)] {
        let listening = TcpIncoming::bind(address).map_err(|error| error.to_string())?;
        let mut server = Server::builder();
        if is_tls {
            let tls = ServerTlsConfig::new().identity(identity.clone());
            server = server.tls_config(tls).unwrap();
        }
        let server = server
            .add_service(LogsServiceServer::new(sink.clone()))
            .add_service(TraceServiceServer::new(sink.clone()))
            .add_service(MetricsServiceServer::new(sink.clone()));
        running.spawn(server.serve_with_incoming(listening));
    }
    drop(within);
    Ok(running)
}

impl Sink {
    fn got(&self) -> MutexGuard<'_, Got> {
        self.0.lock().unwrap()
    }
}

#[tonic::async_trait]
impl LogsService for Sink {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let authorization = request.metadata().get("authorization");
        let authorization = authorization.map(|it| it.to_str().unwrap().to_owned());
        self.got().authorization = authorization;
        for of_resource in request.into_inner().resource_logs {
            let resource = of_resource.resource.unwrap_or_default();
            let logs = of_resource
                .scope_logs
                .into_iter()
                .flat_map(|it| it.log_records);
            let logs = logs.map(|log| (resource.clone(), log));
            self.got().logs.extend(logs);
        }
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_resource in request.into_inner().resource_spans {
            let resource = of_resource.resource.unwrap_or_default();
            let service = text(&resource.attributes, "service.name");
            let spans = of_resource.scope_spans.into_iter().flat_map(|it| it.spans);
            let spans = spans.map(|span| (service.clone(), span));
            self.got().spans.extend(spans);
        }
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Sink {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let all = request.into_inner().resource_metrics.into_iter();
        let metrics = all
            .flat_map(|it| it.scope_metrics)
            .flat_map(|it| it.metrics);
        self.got().metrics.extend(metrics);
        Ok(Response::new(Default::default()))
    }
}

/// The value of a text.
pub(crate) fn string(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        _ => String::new(),
    }
}

/// An attribute that is a text.
pub(crate) fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    string(found.and_then(|attribute| attribute.value.as_ref()))
}
