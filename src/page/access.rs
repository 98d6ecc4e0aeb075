//! Who looks, and what of it RBAC lets them see: by namespace, asked of the API server for each page.

use std::sync::Arc;
use std::time::Instant;

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use zeroize::Zeroizing;

use super::PageError;
use super::session::{self, Sessions};
use crate::collector::callers::{Access as Of, Callers, Denied, Known, User};

/// The most namespaces that are tried for somebody who names none.
const MOST_NAMESPACES: u32 = 100;
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

/// Which namespaces somebody may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them, and objects without.
    All,
    /// These, of those that have records.
    Some(Vec<String>),
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

    /// Begins a session by a token, and returns the value of its cookie.
    ///
    /// # Errors
    /// When the token does not count.
    pub async fn sign_in(&self, token: Zeroizing<String>) -> Result<(String, User), PageError> {
        let Access::Token(callers, sessions) = self else {
            return Err(PageError::NotFound);
        };
        let user = match callers.identify(&token, Known::Never).await {
            Err(Denied::Unknown(audience)) => {
                return Err(PageError::SignedOut(Some(format!(
                    "This is no token of a ServiceAccount for the audience {audience}, or it has ended."
                ))));
            }
            identified => identified?,
        };
        Ok((sessions.begin(token, Instant::now()), user))
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

    /// Of which namespaces somebody may list decisions; `known` names those that have some.
    ///
    /// # Errors
    /// When it is none, or the API server or the store does not answer.
    pub async fn scope(
        &self,
        viewer: &Viewer,
        wanted: &str,
        known: impl AsyncFnOnce(u32) -> Result<Vec<String>, PageError>,
    ) -> Result<Scope, PageError> {
        if self.may(viewer, "list", "").await? {
            return Ok(Scope::All);
        }
        let candidates = match wanted {
            "" => known(MOST_NAMESPACES).await?,
            wanted => vec![wanted.to_owned()],
        };
        let mut allowed = Vec::new();
        for namespace in candidates.into_iter().filter(|it| !it.is_empty()) {
            if self.may(viewer, "list", &namespace).await? {
                allowed.push(namespace);
            }
        }
        match allowed.is_empty() {
            false => Ok(Scope::Some(allowed)),
            true => Err(PageError::Forbidden(format!(
                "{} may not list decisions.keyguard.dev {}. Ask for a RoleBinding to a ClusterRole with this verb, such as keyguard-audit-viewer.",
                viewer.name(),
                match wanted {
                    "" => "in any namespace that has records".to_owned(),
                    wanted => format!("in the namespace {wanted}"),
                }
            ))),
        }
    }
}

/// Who looks, as the proxy says it. Its names are of another directory: none of the cluster's own can be among them.
fn proxied(headers: &HeaderMap) -> Result<User, PageError> {
    let text = |name| {
        let mut values = headers.get_all(name).iter();
        let first = values.next().and_then(|value| value.to_str().ok());
        first.filter(|_| values.next().is_none())
    };
    let is_foreign = |name: &&str| !name.is_empty() && !name.starts_with("system:");
    let user = text(PROXY_USER).map(str::trim).filter(is_foreign);
    let user = user.ok_or_else(|| {
        PageError::Forbidden(
            "The proxy in front does not say who looks: it must send X-Forwarded-User once, and no name that begins with system:.".to_owned(),
        )
    })?;
    let groups = text(PROXY_GROUPS).unwrap_or_default().split(',');
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
            (PROXY_USER, "alice@example.com"),
            (PROXY_GROUPS, "team-a, system:masters,,team-b"),
        ]));
        let user = user.unwrap();
        assert_eq!(user.username, "alice@example.com");
        assert_eq!(user.groups, ["team-a", "team-b", AUTHENTICATED]);
        for refused in [
            &[][..],
            &[(PROXY_USER, "")],
            &[(PROXY_USER, "system:admin")],
            &[(PROXY_USER, "alice"), (PROXY_USER, "bob")],
        ] {
            assert!(proxied(&headers(refused)).is_err());
        }
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
