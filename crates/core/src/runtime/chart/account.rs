//! The account that a Runtime uses at Argo CD, as the values say it.

use super::auth::{Auth, DEFAULT_USERNAME, is_template, is_true};
use super::references::is_external;
use super::rendering::is_filled_in;
use super::version::Generation;
use crate::document::{Node, Position};
use crate::runtime::name::Name;
use crate::runtime::value::Role;

/// Where the name of the account stands besides `auth`; it wins.
const APP_PROXY_USERNAME: &[&str] = &["app-proxy", "config", "argoCdUsername"];

/// Which account a Runtime uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountInUse {
    /// This one logs in and makes its API key; written at a place, or the chart's default.
    Named(Name, Option<Position>),
    /// The token names it.
    OfToken,
    /// It stands in a Secret, or `type` is not one that there is.
    Untold,
}

/// The account that the chart of this generation uses.
pub fn account(values: &Node, generation: Generation) -> AccountInUse {
    let auth = generation
        .auth_path()
        .and_then(|path| Auth::at(values, path));
    if is_filled_in(values, generation) {
        return AccountInUse::Untold;
    }
    let external = is_external(values);
    let read = auth.filter(|_| external || generation == Generation::Integrations);
    if let Some(auth) = read {
        match auth.kind().role() {
            Some(Role::Password) => {}
            Some(Role::Token) => return AccountInUse::OfToken,
            None => return AccountInUse::Untold,
        }
        let in_secret = auth.entry("usernameSecretKeyRef");
        if generation == Generation::ReferenceFirst
            && in_secret.is_some_and(|it| is_true(&it.value))
        {
            return AccountInUse::Untold;
        }
    }
    // Up to 0.24.3 it is that of the built-in Argo CD alone.
    let app_proxy = values
        .path(APP_PROXY_USERNAME)
        .filter(|_| !(external && generation == Generation::ReferenceFirst));
    let of_auth = read.and_then(|auth| auth.entry("username"));
    let written = app_proxy
        .into_iter()
        .chain(of_auth.map(|entry| &entry.value))
        .find(|node| is_true(node));
    match written.and_then(|node| Some((node, node.scalar()?))) {
        Some((node, _)) if is_template(node) => AccountInUse::Untold,
        Some((node, scalar)) => {
            AccountInUse::Named(Name::from(scalar.text.as_str()), Some(node.at.clone()))
        }
        None => AccountInUse::Named(DEFAULT_USERNAME.into(), None),
    }
}
