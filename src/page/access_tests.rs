//! Who sees what, by a stand-in for the API server that says who somebody is and what they may.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::super::export::still;
use super::super::session::Sessions;
use super::super::test_page::{Shown, record};
use super::super::{Page, Visit};
use super::*;
use crate::sources::cluster::Cluster;
use crate::telemetry::metrics::Metrics;

/// What the API server knows, and how often it was asked what somebody may.
#[derive(Default)]
struct Api {
    /// A token is the name of its account.
    tokens: BTreeSet<&'static str>,
    /// An account and a namespace whose decisions it may see.
    may: BTreeSet<(&'static str, String)>,
    asked: usize,
}

type Shared = Arc<Mutex<Api>>;

const ACCOUNT: &str = "system:serviceaccount:keyguard:";

async fn who(State(api): State<Shared>, Json(review): Json<Value>) -> Json<Value> {
    let token = review["spec"]["token"].as_str().unwrap();
    let known = api.lock().unwrap().tokens.contains(token);
    let (user, audiences) = (format!("{ACCOUNT}{token}"), &review["spec"]["audiences"]);
    Json(
        json!({"status": {"authenticated": known, "audiences": audiences, "user": {"username": user}}}),
    )
}

async fn may(State(api): State<Shared>, Json(review): Json<Value>) -> Json<Value> {
    let mut api = api.lock().unwrap();
    api.asked += 1;
    let text = |at: &str| review["spec"].pointer(at).unwrap().as_str().unwrap();
    let account = text("/user").strip_prefix(ACCOUNT).unwrap();
    let namespace = text("/resourceAttributes/namespace");
    let allowed = api
        .may
        .iter()
        .any(|(of, it)| *of == account && it == namespace);
    Json(json!({"status": {"allowed": allowed}}))
}

/// A page with a record in each of so many namespaces, that asks this API server.
struct Asking {
    shown: Shown,
    api: Shared,
}

impl Asking {
    async fn of(namespaces: usize) -> Asking {
        let records = (0..namespaces).map(|number| {
            let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "namespace": format!("team-{number:03}"), "name": "x"});
            record(number, &json!({"object": object}))
        });
        let mut shown = Shown::of(&records.collect::<Vec<_>>()).await;
        let api = Shared::default();
        let router = Router::new()
            .route("/apis/authentication.k8s.io/v1/tokenreviews", post(who))
            .route(
                "/apis/authorization.k8s.io/v1/subjectaccessreviews",
                post(may),
            )
            .with_state(Arc::clone(&api));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, router).await });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        });
        std::fs::write(&file, config.to_string()).unwrap();
        let cluster = Cluster::open(Some(&file), 1 << 20, Arc::new(Metrics::new()));
        let callers = Arc::new(Callers::new(
            cluster.await.unwrap(),
            "keyguard-audit".to_owned(),
        ));
        let page: &mut Page = Arc::get_mut(&mut shown.page).unwrap();
        page.access = Access::Token(callers, Sessions::default());
        Asking { shown, api }
    }

    fn api(&self) -> MutexGuard<'_, Api> {
        self.api.lock().unwrap()
    }

    /// The cookie of a session, or why there is none.
    async fn sign_in(&self, token: &'static str) -> Result<String, String> {
        self.api().tokens.insert(token);
        let form = format!("token={token}&next=%2F");
        let seen = self.shown.post("/sign-in", &form).await;
        let cookie = seen.headers.get(SET_COOKIE).map(|it| it.to_str().unwrap());
        let cookie = cookie
            .and_then(|it| it.split(';').next())
            .map(str::to_owned);
        cookie.ok_or(seen.body)
    }
}

#[tokio::test]
async fn who_may_see_nothing_gets_no_session_and_is_told_so() {
    let asking = Asking::of(3).await;
    let refused = asking.sign_in("idle").await.unwrap_err();
    assert!(
        refused.contains("may not list decisions.keyguard.dev in any namespace"),
        "{refused}"
    );
    asking.api().may.insert(("team", "team-002".to_owned()));
    let cookie = asking.sign_in("team").await.unwrap();
    let seen = asking.shown.get_with("/", &cookie).await;
    assert!(
        seen.body
            .contains("You see the namespaces <a href=\"/?namespace=team-002\""),
        "{}",
        seen.body
    );
}

#[tokio::test]
async fn of_many_namespaces_a_hundred_are_asked_about_once_and_the_filter_names_another() {
    let asking = Asking::of(150).await;
    asking.api().may.insert(("team", "team-149".to_owned()));
    let cookie = asking.sign_in("team").await.unwrap();
    for path in ["/", "/", "/counts", "/export?format=csv"] {
        let seen = asking.shown.get_with(path, &cookie).await;
        assert!(seen.body.contains("none of the first 100"), "{}", seen.body);
    }
    // Each of five times would ask a hundred times.
    assert!(asking.api().asked < 400, "{}", asking.api().asked);
    let seen = asking.shown.get_with("/?namespace=team-149", &cookie).await;
    assert_eq!(seen.status, 200);
    assert!(
        seen.body.contains("</strong> in team-149<"),
        "{}",
        seen.body
    );
    let seen = asking.shown.get_with("/?namespace=team-001", &cookie).await;
    assert_eq!(seen.status, 403);
}

#[tokio::test]
async fn an_export_asks_again_by_the_session_that_began_it() {
    let asking = Asking::of(1).await;
    let own = ("team", "team-000".to_owned());
    asking.api().may.insert(own.clone());
    let cookie = asking.sign_in("team").await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, cookie.parse().unwrap());
    let visit = Visit::of("/export".parse().unwrap(), headers.clone());
    let still = still(&asking.shown.page, &visit, "team-000".to_owned());
    assert!(still().await.unwrap());
    asking.api().may.clear();
    assert!(!still().await.unwrap());
    asking.api().may.insert(own);
    asking.api().tokens.clear();
    assert!(!still().await.unwrap());
    asking.api().tokens.insert("team");
    assert!(still().await.unwrap());
    asking.shown.page.access.sign_out(&headers);
    assert!(!still().await.unwrap());
}
