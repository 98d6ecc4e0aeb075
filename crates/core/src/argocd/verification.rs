//! Whether Argo CD accepts a credential, as its own state tells.
//!
//! Source: Argo CD `util/session/sessionmanager.go`, `Parse` and `VerifyUsernamePassword`, in their order. What
//! only Argo CD's Redis knows is not looked at: sessions that were logged out, and logins that failed too often.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};
use thiserror::Error;

use super::accounts::Switch;
use super::claims::{Capability, Subject};
use super::password::PasswordHash;
use super::settings::{Settings, SettingsError, signing_key};
use super::shown::Shown;
use super::token::{Algorithm, Token};

/// The most bytes of a user name that Argo CD takes for a login.
const MOST_USER_NAME_BYTES: usize = 32;

/// Argo CD's state, or why it can read no account.
///
/// The signing key does not depend on the accounts: a token is refused for its signature first.
pub struct State<'a> {
    signing_key: Option<&'a [u8]>,
    settings: Result<Settings<'a>, SettingsError>,
}

/// Why Argo CD refuses a credential, as a clause. Never holds a part of it, of a key or of a hash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum Rejection {
    /// There is nothing to verify a signature with.
    #[error("cannot be verified: argocd-secret has no server.secretkey")]
    NoSigningKey(Shown),
    /// The signature is another key's. The account is the one that the token claims.
    #[error("is not signed with Argo CD's key (server.secretkey in argocd-secret)")]
    Signature(Shown),
    /// Argo CD can read no account.
    #[error("cannot be accepted: Argo CD can read no account ({0})")]
    Accounts(SettingsError),
    /// The account does not exist.
    #[error("is for {0}, which Argo CD does not have")]
    AccountMissing(Shown),
    /// The account is switched off.
    #[error("is for {0}, which is switched off")]
    AccountDisabled(Shown, Switch),
    /// The account lacks a capability.
    #[error("is for {0}, which has no capability {1}")]
    Capability(Shown, Capability),
    /// The id is not in the account's list.
    #[error("is not among the API keys of {0}: it has been revoked")]
    Revoked(Shown),
    /// The password was changed after the token was issued.
    #[error("was issued before the password of {0} was changed")]
    PasswordChanged(Shown),
    /// Argo CD takes no user name as long as this one.
    #[error("is for a user name of {0} bytes, and Argo CD takes at most {MOST_USER_NAME_BYTES}")]
    UserNameTooLong(usize),
    /// The next start of argocd-server ends it.
    #[error(
        "ends at the next start of argocd-server, which then sets when the password of {0} was changed"
    )]
    NextStart(Shown),
    /// Another password.
    #[error("is not the one of {0}")]
    WrongPassword(Shown),
}

impl<'a> State<'a> {
    /// Reads the state; without a ConfigMap Argo CD has no account.
    pub fn read(
        secret: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        config_map: Option<impl IntoIterator<Item = (&'a str, &'a str)>>,
    ) -> State<'a> {
        let secret: BTreeMap<&str, &[u8]> = secret.into_iter().collect();
        State {
            signing_key: signing_key(&secret),
            settings: match config_map {
                Some(config_map) => Settings::read(secret, config_map),
                None => Err(SettingsError::NoConfigMap),
            },
        }
    }

    /// The same after the next start of argocd-server, at `now` in Unix seconds.
    pub fn after_start(self, now: f64) -> State<'a> {
        State {
            settings: self.settings.map(|settings| settings.after_start(now)),
            ..self
        }
    }

    /// Why Argo CD refuses a token for reasons that the token alone does not show; nothing of what
    /// [`inspect`](super::token::inspect) tells.
    ///
    /// Like Argo CD it stops at a signature that is not its own: what such a token claims is nobody's word, and
    /// must not be answered with what Argo CD knows.
    pub fn verify(&self, token: &str) -> Vec<Rejection> {
        let Ok(taken_apart) = Token::read(token) else {
            return Vec::new();
        };
        let (Some(signed), Some(claims)) = (taken_apart.signed(), taken_apart.claims()) else {
            return Vec::new();
        };
        if !claims.issued_by_argocd() {
            return Vec::new();
        }
        let subject = claims.subject();
        let claimed = match subject {
            Subject::Account(name, _) => name,
            Subject::ProjectRole => "",
        };
        let key = self.signing_key.unwrap_or_default();
        let secrets = [token.as_bytes(), key];
        let shown = Shown::of(claimed, &secrets);
        // Argo CD reads its settings first, of which this is a part.
        if let Err(error @ SettingsError::Certificate) = &self.settings {
            return vec![Rejection::Accounts(error.clone())];
        }
        if self.signing_key.is_none() {
            return vec![Rejection::NoSigningKey(shown)];
        }
        if !is_signed(key, signed) {
            return vec![Rejection::Signature(shown)];
        }
        let Subject::Account(name, capability) = subject else {
            return Vec::new();
        };
        let settings = match &self.settings {
            Ok(settings) => settings,
            Err(error) => return vec![Rejection::Accounts(error.hiding(&secrets))],
        };
        let Some(account) = settings.account(name) else {
            return vec![Rejection::AccountMissing(shown)];
        };
        let mut rejections = Vec::new();
        if !account.enabled {
            // Without a switch an account is on.
            let switch = account.switched_by().unwrap_or(Switch::Account);
            rejections.push(Rejection::AccountDisabled(shown.clone(), switch));
        }
        if !account.is_capable_of(capability) {
            rejections.push(Rejection::Capability(shown.clone(), capability));
        }
        let revocable = capability == Capability::ApiKey && !claims.id().is_empty();
        if revocable && !settings.has_api_key(name, claims.id()) {
            rejections.push(Rejection::Revoked(shown.clone()));
        }
        let changed = settings.password_time(name);
        if changed.is_some_and(|changed| claims.issued_at().is_some_and(|issued| issued < changed))
        {
            rejections.push(match settings.is_set_at_start(name) {
                true => Rejection::NextStart(shown),
                false => Rejection::PasswordChanged(shown),
            });
        }
        rejections
    }

    /// The hash of an account's password, when it has one that Argo CD can read.
    pub fn password_hash(&self, user: &str) -> Option<PasswordHash> {
        let settings = self.settings.as_ref().ok()?;
        settings.account(user)?;
        PasswordHash::read(settings.password_hash(user))
    }

    /// Why an account cannot log in with a password and make an API key; `matches`: whether the password is that of
    /// [`State::password_hash`], if they were compared.
    pub fn login(&self, user: &str, password: &[u8], matches: Option<bool>) -> Vec<Rejection> {
        if user.len() > MOST_USER_NAME_BYTES {
            return vec![Rejection::UserNameTooLong(user.len())];
        }
        let settings = match &self.settings {
            Ok(settings) => settings,
            Err(error) => {
                let secrets = [password, self.signing_key.unwrap_or_default()];
                return vec![Rejection::Accounts(error.hiding(&secrets))];
            }
        };
        let shown = Shown::of(user, &[password]);
        let Some(account) = settings.account(user) else {
            return vec![Rejection::AccountMissing(shown)];
        };
        let mut rejections = Vec::new();
        if !account.enabled {
            // Without a switch an account is on.
            let switch = account.switched_by().unwrap_or(Switch::Account);
            rejections.push(Rejection::AccountDisabled(shown.clone(), switch));
        }
        for capability in [Capability::Login, Capability::ApiKey] {
            if !account.is_capable_of(capability) {
                rejections.push(Rejection::Capability(shown.clone(), capability));
            }
        }
        if matches == Some(false) || self.password_hash(user).is_none() {
            rejections.push(Rejection::WrongPassword(shown));
        }
        rejections
    }
}

/// Whether a signature is that of the key, compared in constant time.
pub(crate) fn is_signed(
    key: &[u8],
    (signed, algorithm, signature): (&str, Algorithm, &[u8]),
) -> bool {
    match algorithm {
        Algorithm::Hs256 => is_mac::<Hmac<Sha256>>(key, signed, signature),
        Algorithm::Hs384 => is_mac::<Hmac<Sha384>>(key, signed, signature),
        Algorithm::Hs512 => is_mac::<Hmac<Sha512>>(key, signed, signature),
    }
}

fn is_mac<M: Mac + KeyInit>(key: &[u8], signed: &str, signature: &[u8]) -> bool {
    <M as KeyInit>::new_from_slice(key).is_ok_and(|mac| {
        mac.chain_update(signed.as_bytes())
            .verify_slice(signature)
            .is_ok()
    })
}

#[cfg(test)]
#[path = "verification_tests.rs"]
mod tests;
