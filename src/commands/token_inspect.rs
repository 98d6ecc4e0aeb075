//! `keyguard token inspect`: what a token says of itself, and everything that is wrong with it.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use thiserror::Error;
use zeroize::Zeroizing;

use crate::admission::argocd_read::{ArgocdRead, SERVER_TLS, SERVER_TLS_KEYS};
use crate::cli::token::{Inspect, TYPED, holds_one};
use crate::commands::serve::{ServeError, source};
use crate::sources::any_source::AnySource;
use crate::sources::source::{SecretRead, Source};
use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::argocd::claims::{Claims, Date, Subject};
use keyguard_core::argocd::settings::is_settings_key;
use keyguard_core::argocd::shown::Shown;
use keyguard_core::argocd::token::Token;
use keyguard_core::credential::{self, Credential, Defect};
use keyguard_core::policy::credential_defects::rule_of_value;
use keyguard_core::policy::plan::is_object_name;
use keyguard_core::policy::verification::{mend, rule_of};
use keyguard_core::runtime::name::looks_like_a_token;
use keyguard_core::runtime::secret_bytes::SecretBytes;
use keyguard_core::runtime::value::Role;

/// The most bytes of a token that are read; a Secret has no more.
const MOST_BYTES: u64 = 1 << 20;
/// The most bytes of a Secret or ConfigMap that are read.
const MOST_OBJECT_BYTES: usize = 4 << 20;

/// What was found out.
pub struct Inspection {
    /// Lines to print.
    pub report: String,
    /// The exit code.
    pub outcome: Outcome,
}

/// What to end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is wrong.
    Good = 0,
    /// Something is wrong.
    Defective = 1,
    /// Nothing that was looked at is wrong, and not everything could be looked at.
    Untold = 2,
}

/// Why there is nothing to look at. Never says what may be the token.
#[derive(Debug, Error)]
pub enum InspectError {
    /// A token was typed.
    #[error("{TYPED}")]
    Typed,
    /// What was typed is no place.
    #[error("--secret must be NAMESPACE/NAME/KEY")]
    Place,
    /// What was typed is no namespace.
    #[error("--argocd-namespace cannot be a namespace")]
    Namespace,
    /// A file or standard input cannot be read.
    #[error("{0} cannot be read")]
    Unreadable(&'static str, #[source] io::Error),
    /// There is more than a token has.
    #[error("{0} has more than {MOST_BYTES} bytes, which no token has")]
    TooLong(&'static str),
    /// The Secret, or the key in it, is not there.
    #[error("--secret: {0}")]
    Missing(&'static str),
    /// The Secret could not be read.
    #[error("--secret: the Secret could not be read: {0}")]
    Unread(String),
    /// No cluster to read from.
    #[error(transparent)]
    Source(#[from] Box<ServeError>),
    /// The system gives no timer or socket.
    #[error("the system gives no timer or socket")]
    System(#[source] io::Error),
}

/// Looks at the token that was named.
///
/// # Errors
/// When there is no token to look at.
pub fn run(arguments: &Inspect) -> Result<Inspection, InspectError> {
    refuse_typed(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(InspectError::System)?;
    runtime.block_on(inspect(arguments))
}

fn refuse_typed(arguments: &Inspect) -> Result<(), InspectError> {
    let paths = [&arguments.file, &arguments.kubeconfig, &arguments.state];
    let paths = paths.map(|path| path.as_deref().map(Path::to_string_lossy));
    let texts = [&arguments.secret, &arguments.argocd_namespace].map(|text| text.as_deref());
    let typed = paths.iter().map(|path| path.as_deref()).chain(texts);
    let other_than_standard_input = arguments.typed.iter().any(|typed| typed != "-");
    if other_than_standard_input || typed.flatten().any(is_typed_token) {
        return Err(InspectError::Typed);
    }
    Ok(())
}

/// A path may look like anything; what begins a segment as tokens do is none.
fn is_typed_token(text: &str) -> bool {
    holds_one(text) || (text.contains("eyJ") && looks_like_a_token(text))
}

async fn inspect(arguments: &Inspect) -> Result<Inspection, InspectError> {
    let namespace = arguments.argocd_namespace.as_deref();
    if namespace.is_some_and(|namespace| !is_object_name(namespace)) {
        return Err(InspectError::Namespace);
    }
    let source = if arguments.secret.is_some() || namespace.is_some() {
        let (kubeconfig, state) = (arguments.kubeconfig.as_deref(), arguments.state.as_deref());
        let source = source(kubeconfig, state, MOST_OBJECT_BYTES, &Arc::default()).await;
        Some(source.map_err(Box::new)?)
    } else {
        None
    };
    let value = match (&arguments.secret, &source, &arguments.file) {
        (Some(place), Some(source), _) => of_secret(source, place).await?,
        (_, _, Some(path)) => of_file(path)?,
        _ => whole("standard input", io::stdin().lock())?,
    };
    let argocd = match (namespace, &source) {
        (Some(namespace), Some(source)) => Some(argocd(source, namespace).await),
        _ => None,
    };
    Ok(report(&value, argocd.as_ref(), unix_now()))
}

async fn of_secret(source: &AnySource, place: &str) -> Result<SecretBytes, InspectError> {
    let parts: Vec<&str> = place.split('/').collect();
    let [namespace, name, key] = parts[..] else {
        return Err(InspectError::Place);
    };
    if !is_object_name(namespace) || !is_object_name(name) {
        return Err(InspectError::Place);
    }
    match source.secret(namespace, name, &[key]).await {
        SecretRead::Missing => Err(InspectError::Missing("the Secret does not exist")),
        SecretRead::Unread(unread) => Err(InspectError::Unread(unread.what())),
        SecretRead::Found(mut found) => found
            .remove(key)
            .ok_or(InspectError::Missing("the Secret has no such key")),
    }
}

fn of_file(path: &Path) -> Result<SecretBytes, InspectError> {
    let file = std::fs::File::open(path);
    whole(
        "--file",
        file.map_err(|error| InspectError::Unreadable("--file", error))?,
    )
}

fn whole(what: &'static str, reader: impl Read) -> Result<SecretBytes, InspectError> {
    // Room for all of it: growing would leave copies behind that nothing zeroes.
    let room = usize::try_from(MOST_BYTES + 1).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    reader
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| InspectError::Unreadable(what, error))?;
    if bytes.len() == room {
        return Err(InspectError::TooLong(what));
    }
    Ok(SecretBytes::new(bytes))
}

async fn argocd(source: &AnySource, namespace: &str) -> ArgocdRead {
    let (secret, config_map) = tokio::join!(
        source.argocd_secret(namespace, is_settings_key),
        source.config_map(namespace, CONFIG_MAP_NAME),
    );
    let mut read = ArgocdRead {
        namespace: namespace.to_owned(),
        secret,
        config_map,
    };
    read.override_certificate(source.secret(namespace, SERVER_TLS, &SERVER_TLS_KEYS))
        .await;
    read
}

fn report(value: &SecretBytes, argocd: Option<&ArgocdRead>, now: f64) -> Inspection {
    let mut report = String::new();
    let text = std::str::from_utf8(value.expose()).unwrap_or_default();
    describe(&mut report, text);
    let mut defects = Vec::new();
    let (state, untold) = match argocd.map(|argocd| (argocd, argocd.state())) {
        None => (None, None),
        Some((_, Ok(state))) => (Some(state), None),
        Some((argocd, Err((object, cause)))) => {
            let place = format!("{object} in namespace {:?}", argocd.namespace);
            let why = match cause {
                None => format!("there is no {place}"),
                Some(cause) => format!("{place} could not be read: {}", cause.what()),
            };
            (None, Some(why))
        }
    };
    for defect in credential::defects(&Credential::Token(value), state.as_ref(), now) {
        defects.push(match &defect {
            Defect::Value(defect) => (
                defect.to_string(),
                defect.mend().to_owned(),
                rule_of_value(defect),
            ),
            Defect::Rejected(rejection) => (
                rejection.to_string(),
                mend(Role::Token, rejection),
                rule_of(rejection),
            ),
        });
    }
    let outcome = match (defects.is_empty(), &untold) {
        (false, _) => Outcome::Defective,
        (true, None) => Outcome::Good,
        (true, Some(_)) => Outcome::Untold,
    };
    if defects.is_empty() {
        line(&mut report, "defects", "none");
    }
    for (what, mend, rule) in defects {
        line(
            &mut report,
            "defect",
            &format!("the token {what}. {mend} [{}]", rule.id()),
        );
    }
    if let Some(why) = untold {
        line(
            &mut report,
            "untold",
            &format!("whether Argo CD accepts it: {why}"),
        );
    }
    Inspection { report, outcome }
}

/// What the token says of itself, as far as it can be read and shown.
fn describe(report: &mut String, text: &str) {
    let token = Token::read(text).ok();
    let claims = token.as_ref().and_then(Token::claims);
    let shown = |name: &str| {
        let shown = Shown::of(name, &[text.as_bytes()]);
        shown
            .name()
            .map_or_else(|| "cannot be shown".to_owned(), str::to_owned)
    };
    let (account, capability) = match claims.map(Claims::subject) {
        None => ("cannot be read".to_owned(), "cannot be read"),
        Some(Subject::ProjectRole) => ("none: a project role".to_owned(), "none"),
        Some(Subject::Account("", capability)) => ("none".to_owned(), capability.name()),
        Some(Subject::Account(name, capability)) => (shown(name), capability.name()),
    };
    let id = claims.map_or_else(
        || "cannot be read".to_owned(),
        |claims| match claims.id() {
            "" => "none".to_owned(),
            id => shown(id),
        },
    );
    let issued = claims
        .and_then(Claims::issued_at)
        .map(|time| time.unix_seconds() as f64);
    let expires = match claims.map(Claims::expiry) {
        None => "cannot be read".to_owned(),
        Some(Date::None) => "never".to_owned(),
        Some(Date::At(seconds)) => date(seconds),
        Some(Date::Other) => "no date".to_owned(),
    };
    let algorithm = token.as_ref().and_then(Token::algorithm);
    line(report, "account", &account);
    line(report, "capability", capability);
    line(report, "id", &id);
    line(
        report,
        "issued",
        &issued.map_or_else(|| "cannot be read".to_owned(), date),
    );
    line(report, "expires", &expires);
    line(
        report,
        "algorithm",
        algorithm.map_or("none that Argo CD accepts", |it| it.name()),
    );
}

/// A date of the years that have four digits; the seconds of any other.
fn date(seconds: f64) -> String {
    const MOST: f64 = 253_402_300_799.0;
    if (0.0..=MOST).contains(&seconds) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds);
        humantime::format_rfc3339_seconds(time).to_string()
    } else {
        format!("{seconds:.0} seconds after 1970")
    }
}

fn line(report: &mut String, name: &str, value: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(report, "{:<12}{value}", format!("{name}:"));
}

fn unix_now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}
