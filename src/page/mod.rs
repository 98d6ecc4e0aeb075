//! The page of the audit trail: read-only, rendered here, without JavaScript and without anything from elsewhere.

pub mod access;
pub mod asked;
mod counts;
mod decision;
mod export;
mod forms;
mod frame;
mod guard;
mod looks;
mod row;
mod scope;
pub mod session;
mod standing;
mod timeline;
mod zone;

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use keyguard_audit::store::{Store, StoreError};
use thiserror::Error;

use self::access::{Access, Viewer, cookie};
use self::asked::NotAsked;
use self::export::Exports;
use self::frame::Frame;
use self::looks::{Look, Looks};
use self::scope::Answers;
use self::zone::Clock;
use crate::collector::callers::Denied;
use crate::collector::service::Collector;
use crate::http::server::InProgress;
use crate::report::visible::visible;
use crate::sources::cluster::Cluster;
use crate::telemetry::audit_store::{now, why};

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
    /// What keeps one viewer from taking what others need.
    pub bounds: Bounds,
}

/// What viewers did lately, which is bounded.
#[derive(Default)]
pub struct Bounds {
    answers: Answers,
    exports: Arc<Exports>,
    looks: Looks,
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
    /// RBAC was asked about so many namespaces in vain, and there are more.
    #[error(
        "There are records of more than {0} namespaces, and you may see none of the first {0}. Name the one that you want to see.",
        scope::MOST_NAMESPACES
    )]
    NamespaceWanted,
    /// So many exports run.
    #[error("So many exports run that another has to wait. Try again when one has ended.")]
    Busy,
    /// Somebody looks at more than is put on record.
    #[error(
        "You look at more than {} addresses in a minute, each of which is put on record. Wait a minute; others with the same account count too.",
        looks::MOST
    )]
    TooMany,
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
            PageError::NotAsked(_) | PageError::Form(_) | PageError::NamespaceWanted => {
                StatusCode::BAD_REQUEST
            }
            PageError::Busy => StatusCode::SERVICE_UNAVAILABLE,
            PageError::TooMany => StatusCode::TOO_MANY_REQUESTS,
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
    /// The path to which a namespace can be named.
    namespace_for: Option<String>,
}

/// What a page is asked with.
struct Visit {
    uri: Uri,
    headers: HeaderMap,
    clock: Clock,
    /// What keeps its connection open.
    in_progress: Option<Arc<InProgress>>,
}

impl Visit {
    fn of(uri: Uri, headers: HeaderMap) -> Visit {
        let chosen = cookie(&headers, zone::COOKIE).unwrap_or_default();
        let zone = zone::zone(chosen).unwrap_or(jiff::tz::TimeZone::UTC);
        Visit {
            clock: Clock::new(zone, now()),
            uri,
            headers,
            in_progress: None,
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
        .layer(middleware::from_fn(guard::guarded))
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
        async fn $name(
            State(page): State<Arc<Page>>,
            in_progress: Option<Extension<Arc<InProgress>>>,
            uri: Uri,
            headers: HeaderMap,
        ) -> Response {
            let mut visit = Visit::of(uri, headers);
            visit.in_progress = in_progress.map(|Extension(it)| it);
            let viewer = match page.access.viewer(&visit.headers).await {
                Ok(viewer) => viewer,
                Err(error) => return page.told(&visit, error),
            };
            let shown = $module::show(&page, &visit, &viewer).await;
            shown.unwrap_or_else(|error| {
                page.refused(&viewer, &visit, &error);
                page.told(&visit, error)
            })
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
    async fn looked(&self, viewer: &Viewer, visit: &Visit) -> Result<(), PageError> {
        let Some(collector) = &self.collector else {
            return Ok(());
        };
        let at = visit.here();
        match self.bounds.looks.at(viewer.name(), &at, Instant::now()) {
            Look::New => collector.looked(viewer.name(), &at).await,
            Look::Again => {}
            Look::TooMany => return Err(PageError::TooMany),
        }
        Ok(())
    }

    /// Tells that somebody wanted to look at what they may not see, or what is not there.
    fn refused(&self, viewer: &Viewer, visit: &Visit, error: &PageError) {
        if !matches!(error, PageError::Forbidden(_) | PageError::NotFound) {
            return;
        }
        let (user, at, status) = (viewer.name(), visit.here(), error.status().as_u16());
        // Apart from what is shown: that is to be on record when they may see it a moment later.
        let refused = format!("{user} refused");
        let (looks, now) = (&self.bounds.looks, Instant::now());
        match looks.at(&refused, &format!("{status} {at}"), now) {
            Look::New => tracing::info!(
                user,
                at,
                status,
                "somebody is refused a look at the audit trail"
            ),
            Look::TooMany if looks.at(&format!("{refused} more"), "", now) == Look::New => {
                tracing::warn!(
                    user,
                    "somebody is refused more looks at the audit trail than are told of in a minute"
                );
            }
            Look::Again | Look::TooMany => {}
        }
    }

    fn told(&self, visit: &Visit, error: PageError) -> Response {
        let status = error.status();
        let page = match error {
            PageError::SignedOut(why) => SignIn {
                frame: Frame::without_viewer("Sign in", self, visit),
                why: why.map(|why| visible(&why, &[]).into_owned()),
                audience: self.audience.clone(),
            }
            .render(),
            error => Message {
                frame: Frame::without_viewer(
                    status.canonical_reason().unwrap_or("No page"),
                    self,
                    visit,
                ),
                text: visible(&error.to_string(), &[]).into_owned(),
                namespace_for: matches!(error, PageError::NamespaceWanted)
                    .then(|| visit.uri.path().to_owned()),
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
mod test_page;
#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
