//! What is sent to the page: a token, the end of a session, a time zone.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use zeroize::Zeroizing;

use super::access::Viewer;
use super::asked::Asked;
use super::guard::MOST_ADDRESS_BYTES;
use super::{Page, PageError, Visit, session, zone};
use crate::http::server::InProgress;

/// The most bytes of a form: a token has a few thousand.
const FORM_BYTES: usize = 32 * 1024;
/// How long a form may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);
/// How long a choice of a time zone is kept.
const ZONE_SECONDS: u32 = 365 * 86_400;

pub(super) async fn sign_in(
    State(page): State<Arc<Page>>,
    uri: Uri,
    headers: HeaderMap,
    in_progress: Option<Extension<Arc<InProgress>>>,
    body: Body,
) -> Response {
    let mut visit = Visit::of(uri, headers);
    let signed_in = async {
        let mut form = form(body, in_progress).await?;
        let next = form.take("next");
        // What is wrong is told on the page that was wanted.
        visit.uri = local(&next).parse().unwrap_or_default();
        let token = Zeroizing::new(form.take("token").trim().to_owned());
        let viewer = page.access.identify(&token).await?;
        if let Err(error) = may_see_anything(&page, &viewer, &visit).await {
            page.refused(&viewer, &visit, &error);
            return Err(error);
        }
        let cookie = page.access.begin(&viewer, token)?;
        tracing::info!(user = viewer.name(), "somebody signs in to the page");
        let cookie = format!(
            "{}={cookie}; Path=/; Max-Age={}; Secure; HttpOnly; SameSite=Strict",
            session::COOKIE,
            session::LASTS.as_secs()
        );
        Ok(see_other(&next, &cookie))
    };
    match signed_in.await {
        Ok(response) => response,
        Err(error) => page.told(&visit, error),
    }
}

/// Whether a session is of any use: in the namespace that was wanted, or in any other.
async fn may_see_anything(page: &Page, viewer: &Viewer, visit: &Visit) -> Result<(), PageError> {
    let wanted = Asked::parse(visit.query()).unwrap_or_default().namespace;
    if !wanted.is_empty() && page.access.may_list(viewer, &wanted).await? {
        return Ok(());
    }
    match page.scope(viewer, "").await {
        Ok(_) | Err(PageError::NamespaceWanted) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) async fn sign_out(State(page): State<Arc<Page>>, headers: HeaderMap) -> Response {
    page.access.sign_out(&headers);
    let cookie = format!(
        "{}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict",
        session::COOKIE
    );
    see_other("/", &cookie)
}

pub(super) async fn choose_zone(
    State(page): State<Arc<Page>>,
    uri: Uri,
    headers: HeaderMap,
    in_progress: Option<Extension<Arc<InProgress>>>,
    body: Body,
) -> Response {
    let mut visit = Visit::of(uri, headers);
    let chosen = async {
        let mut form = form(body, in_progress).await?;
        let next = form.take("next");
        visit.uri = local(&next).parse().unwrap_or_default();
        let name = form.take("zone").trim().to_owned();
        let known = zone::zone(&name).ok_or(PageError::Form(
            "There is no such time zone. Type UTC, or a name of the IANA database such as Europe/Berlin.",
        ))?;
        let cookie = format!(
            "{}={}; Path=/; Max-Age={ZONE_SECONDS}; Secure; HttpOnly; SameSite=Strict",
            zone::COOKIE,
            known.iana_name().unwrap_or("UTC")
        );
        Ok(see_other(&next, &cookie))
    };
    match chosen.await {
        Ok(response) => response,
        Err(error) => page.told(&visit, error),
    }
}

/// A path of this page, whatever was asked for.
fn local(next: &str) -> &str {
    let is_local = next.len() <= MOST_ADDRESS_BYTES
        && next.starts_with('/')
        && !next.starts_with("//")
        && next
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_local { next } else { "/" }
}

fn see_other(next: &str, cookie: &str) -> Response {
    let headers = [(LOCATION, local(next)), (SET_COOKIE, cookie)];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// The members of a form, which may hold a token.
struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    fn take(&mut self, name: &str) -> String {
        let member = self.0.iter_mut().find(|(of, _)| of == name);
        member.map_or_else(String::new, |(_, value)| std::mem::take(&mut **value))
    }
}

async fn form(
    body: Body,
    in_progress: Option<Extension<Arc<InProgress>>>,
) -> Result<Form, PageError> {
    // Or forms that never come whole would keep everybody else out.
    let _waiting = in_progress.as_ref().map(|it| it.waits_for_client());
    let read = axum::body::to_bytes(body, FORM_BYTES);
    let read = tokio::time::timeout(ARRIVAL, read).await;
    let bytes: Bytes = read.ok().and_then(Result::ok).ok_or(PageError::Form(
        "The form did not arrive whole. Send it again.",
    ))?;
    let pairs: Result<Vec<(String, Zeroizing<String>)>, _> = serde_urlencoded::from_bytes(&bytes);
    let pairs = pairs.map_err(|_| PageError::Form("The form cannot be read. Send it again."))?;
    Ok(Form(pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_on_to_a_path_of_this_page_alone() {
        for path in ["/", "/?user=a%20b", "/decisions/x"] {
            assert_eq!(local(path), path);
        }
        for other in [
            "",
            "x",
            "//evil.example",
            "https://evil.example",
            "/\\evil",
            "/a\r\nb",
            "/ä",
            &format!("/{}", "a".repeat(MOST_ADDRESS_BYTES)),
        ] {
            assert_eq!(local(other), "/", "{other}");
        }
    }
}
