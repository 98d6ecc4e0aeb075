//! The page of the demonstration: what was decided, for everybody on this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use keyguard_audit::store::Store;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::commands::CommandError;
use crate::commands::audited::failed;
use crate::http::limits::ConnectionLimits;
use crate::http::server::{Bound, Transport};
use crate::page::access::Access;

/// How long the store may take until it is there, and from one look to the next.
const OPENED: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_millis(50);

/// The page before anybody is served.
pub(super) struct Page(Bound);

impl Page {
    /// Listens on loopback.
    pub(super) async fn bind() -> Result<Page, CommandError> {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Ok(Page(Bound::bind("the page", loopback).await?))
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Shows what is in the store, until the program ends.
    pub(super) async fn show(self, address: String) -> Result<(), CommandError> {
        let page = crate::page::Page {
            store: opened(&address).await?,
            verify: format!("keyguard audit verify --store {address}"),
            cluster: "demo".to_owned(),
            access: Access::Open,
            audience: String::new(),
            cluster_reader: None,
            collector: None,
            bounds: crate::page::Bounds::default(),
        };
        self.0
            .serve(
                Transport::Plain,
                crate::page::router(Arc::new(page)),
                Arc::new(ArcSwap::from_pointee(ConnectionLimits::default())),
                CancellationToken::new(),
                std::future::pending(),
            )
            .await;
        Ok(())
    }
}

/// The store, once what writes to it has made it.
async fn opened(address: &str) -> Result<Store, CommandError> {
    let start = Instant::now();
    loop {
        match Store::open_to_read(address).await {
            Ok(store) => return Ok(store),
            Err(error) if start.elapsed() > OPENED => return Err(failed(error)),
            Err(_) => sleep(INTERVAL).await,
        }
    }
}
