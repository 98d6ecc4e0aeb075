//! A page for tests that everybody may look at, and its store.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::http::header::COOKIE;
use axum::http::{HeaderMap, Request};
use keyguard_audit::note::SigningKey;
use keyguard_audit::store::Store;
use keyguard_audit::writer::Writer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::access::Access;
use super::{Bounds, Page, router};
use crate::http::limits::ConnectionLimits;
use crate::http::server::{Bound, Transport};
use crate::telemetry::audit_store::now;
use keyguard_core::record::Record;

/// A page, and the folder of its store.
pub(super) struct Shown {
    pub(super) page: Arc<Page>,
    _folder: TempDir,
}

/// What a client sees.
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Shown {
    /// One of these records.
    pub(super) async fn of(records: &[Record]) -> Shown {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("sqlite:{}", folder.path().join("audit.db").display());
        let store = Store::open(&address).await.unwrap();
        let key = SigningKey::parse(&SigningKey::generate().unwrap()).unwrap();
        let writer = Writer::new(store.clone(), key, "test".to_owned(), "one".to_owned());
        let mut writer = writer.await.unwrap();
        for records in records.chunks(100) {
            writer.append(records, now()).await.unwrap();
        }
        let page = Page {
            store,
            verify: String::new(),
            cluster: String::new(),
            access: Access::Open,
            audience: String::new(),
            cluster_reader: None,
            collector: None,
            bounds: Bounds::default(),
        };
        Shown {
            page: Arc::new(page),
            _folder: folder,
        }
    }

    fn router(&self) -> Router {
        router(Arc::clone(&self.page))
    }

    /// What a path has.
    pub(super) async fn get(&self, path: &str) -> Seen {
        self.ask(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    /// The same with a cookie.
    pub(super) async fn get_with(&self, path: &str, cookie: &str) -> Seen {
        let request = Request::get(path).header(COOKIE, cookie);
        self.ask(request.body(Body::empty()).unwrap()).await
    }

    /// What a form leads to.
    pub(super) async fn post(&self, path: &str, form: &str) -> Seen {
        let request = Request::post(path).body(Body::from(form.to_owned()));
        self.ask(request.unwrap()).await
    }

    async fn ask(&self, request: Request<Body>) -> Seen {
        let answer = self.router().oneshot(request).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
        Seen {
            status,
            headers,
            body: String::from_utf8(body.unwrap().into()).unwrap(),
        }
    }

    /// Serves it to at most so many connections, and returns what makes one.
    pub(super) async fn serve(&self, max_connections: usize) -> impl AsyncFn() -> TcpStream {
        let bound = Bound::bind("--page-listen", ([127, 0, 0, 1], 0).into());
        let bound = bound.await.unwrap();
        let address = bound.address();
        let limits = ConnectionLimits {
            max_connections,
            ..ConnectionLimits::default()
        };
        tokio::spawn(bound.serve(
            Transport::Plain,
            self.router(),
            Arc::new(ArcSwap::from_pointee(limits)),
            CancellationToken::new(),
            std::future::pending(),
        ));
        async move || TcpStream::connect(address).await.unwrap()
    }
}

/// A refusal, with other members than usual.
pub(super) fn record(number: usize, other: &Value) -> Record {
    let mut record = json!({
        "id": format!("id-{number}"), "time": "2026-11-27T12:00:00Z", "uid": "u", "cluster": "test", "replica": "keyguard-0",
        "number": number, "fingerprint": format!("f{number}"), "decision": "deny", "rules": ["accounts/api-key-removed"],
        "webhook": "argocd-cm", "operation": "UPDATE", "dryRun": false,
        "object": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "argocd", "name": format!("cm-{number}")},
        "user": {"name": "alice"}, "tool": {"fieldManager": "kubectl"}, "durationSeconds": 0.001,
    });
    for (name, value) in other.as_object().unwrap() {
        record[name] = value.clone();
    }
    serde_json::from_value(record).unwrap()
}
