//! The page of the audit trail: read-only, rendered here, without JavaScript and without anything from elsewhere.

pub mod access;
pub mod asked;
mod counts;
mod decision;
mod export;
mod forms;
mod frame;
mod row;
pub mod session;
mod standing;
mod timeline;
mod zone;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use keyguard_audit::store::{Store, StoreError};
use thiserror::Error;

use self::access::{Access, Viewer, cookie};
use self::asked::NotAsked;
use self::frame::Frame;
use self::zone::Clock;
use crate::collector::callers::Denied;
use crate::collector::service::Collector;
use crate::sources::cluster::Cluster;
use crate::telemetry::audit_store::{now, why};

/// Nothing runs, nothing comes from elsewhere, nothing frames it.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// What the page is made of.
pub struct Page {
    /// Where decisions are found.
    pub store: Store,
    /// The command that verifies the store; never with a password.
    pub verify: String,
    /// The name of the cluster.
    pub cluster: String,
    /// Who may look.
    pub access: Access,
    /// The audience of tokens.
    pub audience: String,
    /// The cluster that a scan writes reports into; nothing where there is none.
    pub cluster_reader: Option<Cluster>,
    /// What keeps on record who looks; nothing where nobody asks who.
    pub collector: Option<Arc<Collector>>,
}

/// Why there is no page.
#[derive(Debug, Error)]
pub enum PageError {
    /// Nobody is signed in, or why somebody is no more.
    #[error("sign in")]
    SignedOut(Option<String>),
    /// RBAC says no.
    #[error("{0}")]
    Forbidden(String),
    /// There is nothing, or nothing that this viewer may see.
    #[error("There is nothing here, or nothing that you may see.")]
    NotFound,
    /// The URL makes no sense.
    #[error(transparent)]
    NotAsked(#[from] NotAsked),
    /// A form makes no sense.
    #[error("{0}")]
    Form(&'static str),
    /// The API server cannot say who may look.
    #[error("{0}")]
    Unanswered(Denied),
    /// The store does not answer.
    #[error("the store cannot be read: {}; try again", why(.0))]
    Store(#[from] StoreError),
    /// A template cannot be filled in.
    #[error("the page cannot be made: {0}")]
    Template(#[from] askama::Error),
}

impl From<Denied> for PageError {
    fn from(denied: Denied) -> PageError {
        PageError::Unanswered(denied)
    }
}

impl PageError {
    fn status(&self) -> StatusCode {
        match self {
            PageError::SignedOut(_) => StatusCode::UNAUTHORIZED,
            PageError::Forbidden(_) => StatusCode::FORBIDDEN,
            PageError::NotFound => StatusCode::NOT_FOUND,
            PageError::NotAsked(_) | PageError::Form(_) => StatusCode::BAD_REQUEST,
            PageError::Unanswered(denied) => denied.status(),
            PageError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            PageError::Template(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

#[derive(Template)]
#[template(path = "sign_in.html", config = "src/page/askama.toml")]
struct SignIn {
    frame: Frame,
    why: Option<String>,
    audience: String,
}

#[derive(Template)]
#[template(path = "message.html", config = "src/page/askama.toml")]
struct Message {
    frame: Frame,
    text: String,
}

/// What a page is asked with.
struct Visit {
    uri: Uri,
    headers: HeaderMap,
    clock: Clock,
}

impl Visit {
    fn of(uri: Uri, headers: HeaderMap) -> Visit {
        let chosen = cookie(&headers, zone::COOKIE).unwrap_or_default();
        let zone = zone::zone(chosen).unwrap_or(jiff::tz::TimeZone::UTC);
        Visit {
            clock: Clock::new(zone, now()),
            uri,
            headers,
        }
    }

    fn here(&self) -> String {
        let path = self.uri.path_and_query();
        path.map_or("/", |path| path.as_str()).to_owned()
    }

    /// For a page that has nothing to filter: what is asked of it in vain is said.
    fn takes_no_filter(&self) -> Result<(), NotAsked> {
        match self.query() {
            "" => Ok(()),
            _ => Err(NotAsked::Filters),
        }
    }

    fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }
}

/// Serves the page.
pub fn router(page: Arc<Page>) -> Router {
    Router::new()
        .route("/", get(timeline))
        .route("/decisions/{id}", get(decision))
        .route("/counts", get(counts))
        .route("/scan", get(standing))
        .route("/export", get(export))
        .route("/sign-in", post(forms::sign_in))
        .route("/sign-out", post(forms::sign_out))
        .route("/zone", post(forms::choose_zone))
        .route("/style.css", get(style))
        .fallback(nothing)
        .with_state(page)
        .layer(middleware::from_fn(guarded))
}

/// Lets no other site send a form, and says what a browser may do with the answer.
async fn guarded(request: Request, next: Next) -> Response {
    let mut response = match request.method().is_safe() || is_of_this_site(request.headers()) {
        true => next.run(request).await,
        false => (
            StatusCode::FORBIDDEN,
            "this form was sent by another site; open the page itself\n",
        )
            .into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let unless_said = headers.entry(CACHE_CONTROL);
    unless_said.or_insert(HeaderValue::from_static("no-store"));
    response
}

/// As browsers say it; a client that is none has no session that another site could use.
fn is_of_this_site(headers: &HeaderMap) -> bool {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    let host = |origin: &str| origin.split_once("://").map(|(_, host)| host.to_owned());
    text(ORIGIN).is_none_or(|origin| host(origin).as_deref() == text(HOST))
}

async fn style() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/css; charset=utf-8"),
        (CACHE_CONTROL, "max-age=3600"),
    ];
    (headers, include_str!("style.css"))
}

macro_rules! shown {
    ($name:ident, $module:ident) => {
        async fn $name(State(page): State<Arc<Page>>, uri: Uri, headers: HeaderMap) -> Response {
            let visit = Visit::of(uri, headers);
            let shown = $module::show(&page, &visit).await;
            shown.unwrap_or_else(|error| page.told(&visit, error))
        }
    };
}

shown!(timeline, timeline);
shown!(decision, decision);
shown!(counts, counts);
shown!(export, export);
shown!(standing, standing);

async fn nothing(State(page): State<Arc<Page>>, uri: Uri, headers: HeaderMap) -> Response {
    page.told(&Visit::of(uri, headers), PageError::NotFound)
}

impl Page {
    /// Keeps on record that somebody looked.
    async fn looked(&self, viewer: &Viewer, visit: &Visit) {
        if let Some(collector) = &self.collector {
            collector.looked(viewer.name(), &visit.here()).await;
        }
    }

    fn told(&self, visit: &Visit, error: PageError) -> Response {
        let status = error.status();
        let page = match error {
            PageError::SignedOut(why) => SignIn {
                frame: Frame::without_viewer("Sign in", self, visit),
                why,
                audience: self.audience.clone(),
            }
            .render(),
            error => Message {
                frame: Frame::without_viewer(
                    status.canonical_reason().unwrap_or("No page"),
                    self,
                    visit,
                ),
                text: error.to_string(),
            }
            .render(),
        };
        match page {
            Ok(page) => (status, Html(page)).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_other_sites_are_known() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter();
            let pairs = pairs.map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            });
            pairs.collect::<HeaderMap>()
        };
        let table = [
            (&[][..], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (
                &[("origin", "http://localhost:1"), ("host", "localhost:1")],
                true,
            ),
            (
                &[("origin", "http://localhost:2"), ("host", "localhost:1")],
                false,
            ),
            (&[("origin", "null"), ("host", "localhost:1")], false),
        ];
        for (sent, expected) in table {
            assert_eq!(is_of_this_site(&headers(sent)), expected, "{sent:?}");
        }
    }
}
