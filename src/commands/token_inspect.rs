//! `keyguard token inspect`: what a token says of itself, and everything that is wrong with it.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use crate::admission::argocd_read::{ArgocdRead, SERVER_TLS, SERVER_TLS_KEYS};
use crate::admission::lookups::unix_now;
use crate::cli::ReadFrom;
use crate::cli::token::{Inspect, TYPED, holds_one};
use crate::commands::CommandError;
use crate::commands::serve::source;
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

/// Looks at the token that was named.
///
/// # Errors
/// When there is no token to look at.
pub fn run(arguments: &Inspect) -> Result<Inspection, CommandError> {
    refuse_typed(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::no("timer or socket"))?;
    runtime.block_on(inspect(arguments))
}

fn refuse_typed(arguments: &Inspect) -> Result<(), CommandError> {
    let ReadFrom { kubeconfig, state } = &arguments.read;
    let paths = [&arguments.file, kubeconfig, state].into_iter().flatten();
    let texts = [&arguments.secret, &arguments.argocd_namespace];
    let texts = texts.into_iter().flatten().map(OsStr::new);
    let mut named = texts.chain(paths.map(|path| path.as_os_str()));
    let is_token = named.any(|named| is_typed_token(&named.to_string_lossy()));
    let other_than_standard_input = arguments.typed.iter().any(|typed| typed != "-");
    match is_token || other_than_standard_input {
        true => Err(said(TYPED)),
        false => Ok(()),
    }
}

/// A path may look like anything; what begins a segment as tokens do is none.
fn is_typed_token(text: &str) -> bool {
    holds_one(text) || (text.contains("eyJ") && looks_like_a_token(text))
}

/// An error that says this and nothing of what was typed, which may be a token.
fn said(what: &'static str) -> CommandError {
    CommandError::Said(what.to_owned())
}

async fn inspect(arguments: &Inspect) -> Result<Inspection, CommandError> {
    let namespace = arguments.argocd_namespace.as_deref();
    if namespace.is_some_and(|namespace| !is_object_name(namespace)) {
        return Err(said("--argocd-namespace cannot be a namespace"));
    }
    let source = match arguments.secret.is_some() || namespace.is_some() {
        true => Some(source(&arguments.read, MOST_OBJECT_BYTES, &Arc::default()).await?),
        false => None,
    };
    let value = match (&arguments.secret, &source, &arguments.file) {
        (Some(place), Some(source), _) => of_secret(source, place).await?,
        (_, _, Some(path)) => whole("--file", File::open(path))?,
        _ => whole("standard input", Ok(io::stdin().lock()))?,
    };
    let argocd = match (namespace, &source) {
        (Some(namespace), Some(source)) => {
            let secret = source.argocd_secret(namespace, is_settings_key);
            let config_map = source.config_map(namespace, CONFIG_MAP_NAME);
            let server_tls = source.secret(namespace, SERVER_TLS, &SERVER_TLS_KEYS);
            Some(ArgocdRead::read(namespace, secret, config_map, server_tls).await)
        }
        _ => None,
    };
    Ok(report(&value, argocd.as_ref(), unix_now()))
}

async fn of_secret(source: &AnySource, place: &str) -> Result<SecretBytes, CommandError> {
    let parts: Vec<&str> = place.split('/').collect();
    let (namespace, name, key) = match parts[..] {
        [namespace, name, key] if is_object_name(namespace) && is_object_name(name) => {
            (namespace, name, key)
        }
        _ => return Err(said("--secret must be NAMESPACE/NAME/KEY")),
    };
    match source.secret(namespace, name, &[key]).await {
        SecretRead::Missing => Err(said("--secret: the Secret does not exist")),
        SecretRead::Unread(unread) => {
            let what = unread.what();
            let what = format!("--secret: the Secret could not be read: {what}");
            Err(CommandError::Said(what))
        }
        SecretRead::Found(mut found) => found
            .remove(key)
            .ok_or_else(|| said("--secret: the Secret has no such key")),
    }
}

fn whole(what: &str, opened: io::Result<impl Read>) -> Result<SecretBytes, CommandError> {
    // Room for all of it: growing would leave copies behind that nothing zeroes.
    let room = usize::try_from(MOST_BYTES + 1).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    opened
        .and_then(|reader| reader.take(MOST_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| CommandError::Failed(format!("{what} cannot be read"), error.into()))?;
    if bytes.len() == room {
        let what = format!("{what} has more than {MOST_BYTES} bytes, which no token has");
        return Err(CommandError::Said(what));
    }
    Ok(SecretBytes::new(bytes))
}

fn report(value: &SecretBytes, argocd: Option<&ArgocdRead>, now: f64) -> Inspection {
    let mut report = String::new();
    describe(
        &mut report,
        std::str::from_utf8(value.expose()).unwrap_or_default(),
    );
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
    let defects = credential::defects(&Credential::Token(value), state.as_ref(), now);
    if defects.is_empty() {
        line(&mut report, "defects", "none");
    }
    for defect in &defects {
        let (what, mend, rule) = match defect {
            Defect::Value(defect) => {
                let mend = defect.mend().to_owned();
                (defect.to_string(), mend, rule_of_value(defect))
            }
            Defect::Rejected(rejection) => {
                let mend = mend(Role::Token, rejection);
                (rejection.to_string(), mend, rule_of(rejection))
            }
        };
        let told = format!("the token {what}. {mend} [{}]", rule.id());
        line(&mut report, "defect", &told);
    }
    let outcome = match (defects.is_empty(), &untold) {
        (false, _) => Outcome::Defective,
        (true, None) => Outcome::Good,
        (true, Some(_)) => Outcome::Untold,
    };
    if let Some(why) = untold {
        let told = format!("whether Argo CD accepts it: {why}");
        line(&mut report, "untold", &told);
    }
    Inspection { report, outcome }
}

/// What the token says of itself, as far as it can be read and shown.
fn describe(report: &mut String, text: &str) {
    const UNREADABLE: &str = "cannot be read";
    let token = Token::read(text).ok();
    let claims = token.as_ref().and_then(Token::claims);
    let shown = |name: &str| match Shown::of(name, &[text.as_bytes()]).name() {
        _ if name.is_empty() => "none".to_owned(),
        Some(name) => name.to_owned(),
        None => "cannot be shown".to_owned(),
    };
    let (account, capability) = match claims.map(Claims::subject) {
        None => (UNREADABLE.to_owned(), UNREADABLE),
        Some(Subject::ProjectRole) => ("none: a project role".to_owned(), "none"),
        Some(Subject::Account(name, capability)) => (shown(name), capability.name()),
    };
    let id = claims.map(|claims| shown(claims.id()));
    let issued = claims.and_then(Claims::issued_at);
    let issued = issued.map(|time| date(time.unix_seconds() as f64));
    let expires = claims.map(|claims| match claims.expiry() {
        Date::None => "never".to_owned(),
        Date::At(seconds) => date(seconds),
        Date::Other => "no date".to_owned(),
    });
    let algorithm = token.as_ref().and_then(Token::algorithm);
    let algorithm = algorithm.map_or("none that Argo CD accepts", |it| it.name());
    line(report, "account", &account);
    line(report, "capability", capability);
    line(report, "id", id.as_deref().unwrap_or(UNREADABLE));
    line(report, "issued", issued.as_deref().unwrap_or(UNREADABLE));
    line(report, "expires", expires.as_deref().unwrap_or(UNREADABLE));
    line(report, "algorithm", algorithm);
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
