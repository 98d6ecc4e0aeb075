//! Who looks, and whether RBAC lets them, as the API server says it.

use std::sync::Arc;
use std::time::Instant;

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use zeroize::Zeroizing;

use super::PageError;
use super::session::{self, Sessions};
use crate::collector::callers::{Access as Of, Callers, Denied, Known, User};

/// The most bytes of the name of a user, which each look puts into the log.
const MOST_USER_BYTES: usize = 1_024;
/// Who a proxy says that looks, and in which groups they are, separated by commas: as oauth2-proxy sends it.
const PROXY_USER: &str = "x-forwarded-user";
const PROXY_GROUPS: &str = "x-forwarded-groups";
/// What the API server adds to everybody that it knows.
const AUTHENTICATED: &str = "system:authenticated";

/// How it is known who looks.
pub enum Access {
    /// It is not: everybody may look.
    Open,
    /// A token for the collector's audience, typed into a form.
    Token(Arc<Callers>, Sessions),
    /// What a proxy says that has shown its client certificate.
    Proxy(Arc<Callers>),
}

/// Somebody who looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Nobody asks who.
    Anybody,
    /// Somebody whom RBAC knows.
    Known(User),
}

impl Viewer {
    /// The name of the user.
    pub fn name(&self) -> &str {
        match self {
            Viewer::Anybody => "",
            Viewer::Known(user) => &user.username,
        }
    }
}

impl Access {
    /// Who sent a request with these headers.
    ///
    /// # Errors
    /// When it is nobody, or the API server does not answer.
    pub async fn viewer(&self, headers: &HeaderMap) -> Result<Viewer, PageError> {
        match self {
            Access::Open => Ok(Viewer::Anybody),
            Access::Token(callers, sessions) => {
                let now = Instant::now();
                let cookie = cookie(headers, session::COOKIE);
                let token = cookie.and_then(|cookie| sessions.token(cookie, now));
                let token = token.ok_or(PageError::SignedOut(None))?;
                match callers.identify(&token, Known::Before).await {
                    Err(Denied::Unknown(_)) => Err(PageError::SignedOut(Some(
                        "The token has ended. Make another, and sign in again.".to_owned(),
                    ))),
                    identified => Ok(Viewer::Known(identified?)),
                }
            }
            Access::Proxy(_) => proxied(headers).map(Viewer::Known),
        }
    }

    /// Whose token it is that somebody typed.
    ///
    /// # Errors
    /// When the token does not count, or the API server does not answer.
    pub async fn identify(&self, token: &str) -> Result<Viewer, PageError> {
        let Access::Token(callers, _) = self else {
            return Err(PageError::NotFound);
        };
        match callers.identify(token, Known::Never).await {
            Err(Denied::Unknown(audience)) => Err(PageError::SignedOut(Some(format!(
                "This is no token of a ServiceAccount for the audience {audience}, or it has ended."
            )))),
            identified => Ok(Viewer::Known(identified?)),
        }
    }

    /// Begins a session by a token, and returns the value of its cookie.
    ///
    /// # Errors
    /// When there are no sessions.
    pub fn begin(&self, viewer: &Viewer, token: Zeroizing<String>) -> Result<String, PageError> {
        match self {
            Access::Token(_, sessions) => Ok(sessions.begin(viewer.name(), token, Instant::now())),
            _ => Err(PageError::NotFound),
        }
    }

    /// Ends the session of a request.
    pub fn sign_out(&self, headers: &HeaderMap) {
        if let (Access::Token(_, sessions), Some(cookie)) = (self, cookie(headers, session::COOKIE))
        {
            sessions.end(cookie);
        }
    }

    /// Whether somebody may do `verb` with decisions about a namespace; the empty one stands for all of them.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn may(
        &self,
        viewer: &Viewer,
        verb: &'static str,
        namespace: &str,
    ) -> Result<bool, PageError> {
        match (self, viewer) {
            (Access::Open, _) => Ok(true),
            (Access::Token(callers, _) | Access::Proxy(callers), Viewer::Known(user)) => {
                Ok(callers.may(user, Of::Decisions { verb, namespace }).await?)
            }
            (_, Viewer::Anybody) => Ok(false),
        }
    }

    /// Whether somebody may list decisions about a namespace, by the right for it or for all.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn may_list(&self, viewer: &Viewer, namespace: &str) -> Result<bool, PageError> {
        Ok(self.may(viewer, "list", "").await?
            || (!namespace.is_empty() && self.may(viewer, "list", namespace).await?))
    }
}

/// Who looks, as the proxy says it. Its names are of another directory: none of the cluster's own can be among them.
fn proxied(headers: &HeaderMap) -> Result<User, PageError> {
    let refused = |why: &str| Err(PageError::Forbidden(why.to_owned()));
    // As bytes: the names of a directory have other letters too.
    let texts = |name| {
        let values = headers.get_all(name).iter();
        let texts = values.map(|value| std::str::from_utf8(value.as_bytes()));
        texts.collect::<Result<Vec<_>, _>>()
    };
    let is_foreign = |name: &&str| !name.is_empty() && !name.starts_with("system:");
    let user = match texts(PROXY_USER).as_deref() {
        Ok([user]) => Some(user.trim()),
        _ => None,
    };
    let user = user
        .filter(is_foreign)
        .filter(|it| it.len() <= MOST_USER_BYTES);
    let Some(user) = user else {
        return refused(
            "The proxy in front does not say who looks: it must send X-Forwarded-User once, in UTF-8, of at most 1024 bytes, and no name that begins with system:.",
        );
    };
    let Ok(groups) = texts(PROXY_GROUPS) else {
        return refused(
            "The proxy in front sends groups that cannot be read: it must send X-Forwarded-Groups in UTF-8.",
        );
    };
    let groups = groups.iter().flat_map(|groups| groups.split(','));
    let groups = groups.map(str::trim).filter(is_foreign);
    Ok(User {
        username: user.to_owned(),
        groups: groups.chain([AUTHENTICATED]).map(str::to_owned).collect(),
        ..User::default()
    })
}

/// The value of a cookie.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).iter();
    let mut pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(of, value)| (of == name).then_some(value))
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod api_tests;

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let value = HeaderValue::from_str(value).unwrap();
            (HeaderName::from_static(name), value)
        });
        let mut headers = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    #[test]
    fn a_proxy_names_people_and_none_of_the_cluster_itself() {
        let user = proxied(&headers(&[
            (PROXY_USER, "jörg@example.com"),
            (PROXY_GROUPS, "team-a, system:masters,,Öffentlich"),
            (PROXY_GROUPS, "team-b"),
        ]));
        let user = user.unwrap();
        assert_eq!(user.username, "jörg@example.com");
        assert_eq!(
            user.groups,
            ["team-a", "Öffentlich", "team-b", AUTHENTICATED]
        );
        let long = "a".repeat(MOST_USER_BYTES + 1);
        for refused in [
            &[][..],
            &[(PROXY_USER, "")],
            &[(PROXY_USER, "system:admin")],
            &[(PROXY_USER, "alice"), (PROXY_USER, "bob")],
            &[(PROXY_USER, &long)],
        ] {
            assert!(proxied(&headers(refused)).is_err());
        }
        // None of the groups is dropped silently.
        let latin = HeaderValue::from_bytes(b"team-a,J\xf6rg").unwrap();
        let mut sent = headers(&[(PROXY_USER, "alice"), (PROXY_GROUPS, "team-b")]);
        sent.append(PROXY_GROUPS, latin);
        let refused = proxied(&sent).unwrap_err().to_string();
        assert!(refused.contains("X-Forwarded-Groups"), "{refused}");
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let sent = headers(&[("cookie", "a=1; b=2=3"), ("cookie", "c=4")]);
        let table = [
            ("a", Some("1")),
            ("b", Some("2=3")),
            ("c", Some("4")),
            ("d", None),
        ];
        for (name, expected) in table {
            assert_eq!(cookie(&sent, name), expected);
        }
    }
}
