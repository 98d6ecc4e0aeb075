//! What a token claims, of that what decides.
//!
//! Source: Argo CD `util/session/sessionmanager.go` and `util/jwt`, golang-jwt v5 `MapClaims`.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::json;
use super::time::Time;
use super::token_defect::TokenDefect;

/// The claims of a token. It has no Debug: they are a part of it.
pub struct Claims {
    issued_by_argocd: bool,
    subject: Zeroizing<String>,
    issued_at: Option<f64>,
    id: Zeroizing<String>,
    not_before: Date,
    expiry: Date,
}

/// How far ahead `nbf` may be, in seconds: clocks differ, and by the time that a pod has started it has passed.
const CLOCK_SKEW: f64 = 60.0;

/// Whom a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A role of a project.
    ProjectRole,
    /// An account, and what the token was made for.
    Account(&'a str, Capability),
}

/// What a token was made for, and what its account must be able to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Login sessions.
    Login,
    /// API keys.
    ApiKey,
}

impl Capability {
    /// The name in `argocd-cm`.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Login => super::accounts::LOGIN,
            Capability::ApiKey => super::accounts::API_KEY,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A time among the claims: golang-jwt takes 0 for none, and numbers only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Date {
    /// Not there, or 0.
    None,
    /// In whole Unix seconds.
    At(f64),
    /// Not a number.
    Other,
}

impl Claims {
    pub(super) fn read(members: &Members<'_>) -> Claims {
        let federated = members.get(Name::FederatedClaims).and_then(json::members);
        let user = federated.and_then(|federated| Members(federated).text(Name::UserId));
        let subject = user
            .filter(|user| !user.is_empty())
            .or_else(|| members.text(Name::Subject));
        Claims {
            issued_by_argocd: members
                .text(Name::Issuer)
                .is_some_and(|issuer| *issuer == "argocd"),
            subject: subject.unwrap_or_default(),
            issued_at: members.get(Name::IssuedAt).and_then(json::number),
            id: members.text(Name::Id).unwrap_or_default(),
            not_before: members.date(Name::NotBefore),
            expiry: members.date(Name::Expiry),
        }
    }

    /// Whom it is for: `proj:<project>:<role>`, or `<account>[:login|:apiKey]`; anything else, or nothing, in the
    /// second place means `apiKey`.
    pub fn subject(&self) -> Subject<'_> {
        let mut parts = self.subject.split(':');
        match [parts.next(), parts.next(), parts.next(), parts.next()] {
            [Some("proj"), Some(_), Some(_), None] => Subject::ProjectRole,
            [account, Some("login"), ..] => {
                Subject::Account(account.unwrap_or_default(), Capability::Login)
            }
            [account, ..] => Subject::Account(account.unwrap_or_default(), Capability::ApiKey),
        }
    }

    /// Its id; empty when it has none that is a string.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When it was issued, in whole seconds towards 1970.
    pub fn issued_at(&self) -> Option<Time> {
        self.issued_at.map(|seconds| Time::unix(seconds as i64))
    }

    /// Whether Argo CD takes it for its own.
    pub fn issued_by_argocd(&self) -> bool {
        self.issued_by_argocd
    }

    /// When it expires.
    pub fn expiry(&self) -> Date {
        self.expiry
    }

    pub(super) fn defects(&self, now: f64, defects: &mut Vec<TokenDefect>) {
        if !self.issued_by_argocd {
            defects.push(TokenDefect::Issuer);
        }
        match self.subject() {
            _ if self.subject.is_empty() => defects.push(TokenDefect::NoSubject),
            Subject::ProjectRole => defects.push(TokenDefect::ProjectRole),
            Subject::Account(_, Capability::Login) => defects.push(TokenDefect::LoginSession),
            Subject::Account(_, Capability::ApiKey) => {}
        }
        if self.issued_at.is_none() {
            defects.push(TokenDefect::IssuedAt);
        }
        if self.id.is_empty() {
            defects.push(TokenDefect::Id);
        }
        match self.not_before {
            Date::Other => defects.push(TokenDefect::NotBeforeType),
            Date::At(from) if now + CLOCK_SKEW < from => defects.push(TokenDefect::NotYetValid),
            Date::At(_) | Date::None => {}
        }
        match self.expiry {
            Date::Other => defects.push(TokenDefect::ExpiryType),
            Date::At(until) if now >= until => defects.push(TokenDefect::Expired),
            Date::At(_) => defects.push(TokenDefect::Expires),
            Date::None => {}
        }
    }
}

/// The members of a JSON object that decide; of two with the same name the last counts, as in Go.
pub(super) struct Members<'a>(pub(super) BTreeMap<Name, &'a RawValue>);

/// The names that are read; what stands under any other is passed over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(field_identifier)]
pub(super) enum Name {
    #[serde(rename = "alg")]
    Algorithm,
    #[serde(rename = "iss")]
    Issuer,
    #[serde(rename = "sub")]
    Subject,
    #[serde(rename = "federated_claims")]
    FederatedClaims,
    #[serde(rename = "user_id")]
    UserId,
    #[serde(rename = "iat")]
    IssuedAt,
    #[serde(rename = "jti")]
    Id,
    #[serde(rename = "nbf")]
    NotBefore,
    #[serde(rename = "exp")]
    Expiry,
    #[serde(other)]
    Other,
}

impl Members<'_> {
    fn get(&self, name: Name) -> Option<&RawValue> {
        self.0.get(&name).copied()
    }

    pub(super) fn text(&self, name: Name) -> Option<Zeroizing<String>> {
        json::text(self.get(name)?)
    }

    /// Of what is beyond the seconds that Go can count, it makes a time long ago.
    fn date(&self, name: Name) -> Date {
        let Some(value) = self.get(name) else {
            return Date::None;
        };
        match json::number(value) {
            Some(0.0) => Date::None,
            Some(seconds) => Date::At(Time::unix(seconds.floor() as i64).unix_seconds() as f64),
            None => Date::Other,
        }
    }
}
