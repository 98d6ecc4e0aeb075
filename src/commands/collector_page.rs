//! The page of `keyguard audit serve`: where it listens, and by what it is known who looks.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use keyguard_audit::store::Store;
use tokio_util::sync::CancellationToken;

use crate::certificates::serving::CertificateError;
use crate::cli::audit::Collect;
use crate::collector::callers::Callers;
use crate::collector::service::Collector;
use crate::commands::CommandError;
use crate::commands::audited::if_any;
use crate::commands::audited::shown_name;
use crate::http::limits::ConnectionLimits;
use crate::http::server::{Bound, Transport};
use crate::page::access::Access;
use crate::page::session::Sessions;
use crate::page::{self, Bounds, Page};
use crate::sources::cluster::Cluster;
use crate::telemetry::metrics::Metrics;
use crate::tls::client_certificates::Clients;
use crate::tls::serving_certificate::ServingCertificate;

/// The page before anybody is served.
pub(super) struct PageServer {
    bound: Bound,
    transport: Transport,
    clients: Option<Clients>,
    metrics: Arc<Metrics>,
}

/// What it shows, and to whom.
pub(super) struct Shown<'a> {
    pub(super) arguments: &'a Collect,
    pub(super) store: &'a Store,
    pub(super) callers: Arc<Callers>,
    pub(super) cluster: Cluster,
    pub(super) collector: Arc<Collector>,
}

impl PageServer {
    /// Listens, and proves what was typed.
    pub(super) async fn open(
        arguments: &Collect,
        certificate: &Arc<ServingCertificate>,
        metrics: &Arc<Metrics>,
    ) -> Result<PageServer, CommandError> {
        let clients = Clients::open(arguments.client_ca.as_deref(), &arguments.client_name)?;
        let is_local = clients.is_none() && arguments.page_listen.ip().is_loopback();
        let verifier = clients.as_ref();
        let verifier = verifier.map(|clients| Arc::clone(&clients.certificates) as _);
        let config = certificate.server_config(verifier);
        Ok(PageServer {
            bound: Bound::bind("--page-listen", arguments.page_listen).await?,
            // `kubectl port-forward` leads to loopback, through the API server's TLS; a browser knows no certificate there.
            transport: match is_local {
                true => Transport::Plain,
                false => Transport::Tls {
                    config: config.map_err(CertificateError::Settings)?,
                    metrics: Arc::clone(metrics),
                },
            },
            clients,
            metrics: Arc::clone(metrics),
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.bound.address()
    }

    /// Shows it until `stopping`.
    pub(super) async fn serve(
        self,
        shown: Shown<'_>,
        limits: Arc<ArcSwap<ConnectionLimits>>,
        stopping: &CancellationToken,
    ) {
        let page = Page {
            store: shown.store.clone(),
            verify: format!(
                "keyguard audit verify --store {} --key key.pub",
                shown_name(&shown.arguments.store)
            ),
            cluster: shown.arguments.cluster.clone(),
            access: match &self.clients {
                None => Access::Token(shown.callers, Sessions::default()),
                Some(_) => Access::Proxy(shown.callers),
            },
            audience: shown.arguments.audience.clone(),
            cluster_reader: Some(shown.cluster),
            collector: Some(shown.collector),
            bounds: Bounds::default(),
        };
        let following = self.clients.map(|clients| clients.follow(self.metrics));
        let serving = self.bound.serve(
            self.transport,
            page::router(Arc::new(page)),
            limits,
            stopping.clone(),
            stopping.cancelled(),
        );
        tokio::select! {
            _ = serving => {}
            () = if_any(following) => {}
        }
    }
}
