//! What is refused before a page is made, and what a browser may do with each answer.

use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// Nothing runs, nothing comes from elsewhere, nothing frames it.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// The most bytes of an address: each is put on record.
pub(super) const MOST_ADDRESS_BYTES: usize = 2_048;

/// Lets no other site send a form and nobody ask for too much, and says what a browser may do with the answer.
pub(super) async fn guarded(request: Request, next: Next) -> Response {
    let address = request.uri().path_and_query();
    let is_long = address.is_some_and(|it| it.as_str().len() > MOST_ADDRESS_BYTES);
    let is_ours =
        request.method().is_safe() || is_of_this_site(request.headers(), request.uri().authority());
    let mut response = match (is_long, is_ours) {
        (false, true) => next.run(request).await,
        (true, _) => (
            StatusCode::URI_TOO_LONG,
            format!("this address has more than {MOST_ADDRESS_BYTES} bytes, and each is put on record; ask for less\n"),
        )
            .into_response(),
        (_, false) => (
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

/// As browsers say it; a client that is none has no session that another site could use. In HTTP/2 `authority` is the host.
fn is_of_this_site(headers: &HeaderMap, authority: Option<&Authority>) -> bool {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    let host = |origin: &str| origin.split_once("://").map(|(_, host)| host.to_owned());
    let own = authority.map(Authority::as_str).or_else(|| text(HOST));
    text(ORIGIN).is_none_or(|origin| host(origin).as_deref() == own)
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
            assert_eq!(is_of_this_site(&headers(sent), None), expected, "{sent:?}");
        }
        // Over HTTP/2.
        let authority = Authority::from_static("localhost:1");
        for (origin, expected) in [("http://localhost:1", true), ("http://localhost:2", false)] {
            let sent = headers(&[("origin", origin)]);
            assert_eq!(is_of_this_site(&sent, Some(&authority)), expected);
        }
    }
}
