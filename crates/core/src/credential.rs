//! Whether a credential works: one definition, for a workload on its way in, for what workloads use, for a change of
//! what Argo CD accepts, and for a person who asks.

use crate::argocd::claims::{Capability, Subject};
use crate::argocd::password::PasswordHash;
use crate::argocd::token::Token;
use crate::argocd::token_defect::TokenDefect;
use crate::argocd::verification::{Rejection, State, is_signed};
use crate::runtime::secret_bytes::SecretBytes;
use crate::runtime::value::{Role, ValueDefect, examine};

/// What a Runtime authenticates with.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// An API key.
    Token(&'a SecretBytes),
    /// A password, from which the Runtime makes an API key.
    Password {
        /// The account that it is for.
        user: &'a str,
        /// The password.
        value: &'a SecretBytes,
        /// Whether it is the one of [`to_compare`], if somebody has compared them.
        matches: Option<bool>,
    },
}

/// What is wrong with a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defect {
    /// What it shows by itself.
    Value(ValueDefect),
    /// What Argo CD's own state tells.
    Rejected(Rejection),
}

impl Credential<'_> {
    fn parts(&self) -> (Role, &SecretBytes) {
        match self {
            Credential::Token(value) => (Role::Token, value),
            Credential::Password { value, .. } => (Role::Password, value),
        }
    }
}

/// Why a credential does not work at `now`, in Unix seconds, or the name of the account that it works for. By itself
/// alone when Argo CD's state is not known. One that will end works until then.
///
/// # Errors
/// What ends it.
pub fn works(
    credential: &Credential<'_>,
    state: Option<&State<'_>>,
    now: f64,
) -> Result<String, Vec<Defect>> {
    let (role, _) = credential.parts();
    let mut defects = defects(credential, state, now);
    defects.retain(|defect| defect.stops(role));
    match defects.is_empty() {
        true => Ok(account(credential).unwrap_or_default()),
        false => Err(defects),
    }
}

/// Everything that is wrong with a credential at `now`, in Unix seconds; also what does not end it today.
pub fn defects(credential: &Credential<'_>, state: Option<&State<'_>>, now: f64) -> Vec<Defect> {
    let (role, value) = credential.parts();
    let values = examine(role, value, now);
    let rejections = state.and_then(|state| rejections(credential, &values, state));
    let accepted = rejections.as_ref().is_some_and(Vec::is_empty);
    let values = values
        .into_iter()
        .filter(|defect| !accepted || !is_overruled(*defect, role));
    let rejections = rejections.into_iter().flatten();
    values
        .map(Defect::Value)
        .chain(rejections.map(Defect::Rejected))
        .collect()
}

/// Why Argo CD refuses a credential with these defects of its own; `None` where there is nothing to ask Argo CD about.
pub fn rejections(
    credential: &Credential<'_>,
    values: &[ValueDefect],
    state: &State<'_>,
) -> Option<Vec<Rejection>> {
    if !is_to_be_asked_about(credential.parts().0, values) {
        return None;
    }
    match credential {
        Credential::Token(value) => {
            let text = std::str::from_utf8(value.expose()).ok()?;
            Some(state.verify(text))
        }
        Credential::Password {
            user,
            value,
            matches,
        } => Some(state.login(user, value.expose(), *matches)),
    }
}

/// The hash that a password is to be compared with, when comparing can change anything. It is slow by design, so that it
/// is for the caller to say where it runs.
pub fn to_compare(user: &str, values: &[ValueDefect], state: &State<'_>) -> Option<PasswordHash> {
    let asked = is_to_be_asked_about(Role::Password, values);
    asked.then(|| state.password_hash(user)).flatten()
}

/// What only a container resolves is not known here, and a password that is certainly wrong need not be compared.
pub fn is_to_be_asked_about(role: Role, values: &[ValueDefect]) -> bool {
    let wrong = |defect: &ValueDefect| role == Role::Password && defect.is_certain(role);
    !values.contains(&ValueDefect::VaultReference) && !values.iter().any(wrong)
}

/// Whether a defect of the value itself is none, now that Argo CD accepts it: an account may have an empty name, and a
/// password may look like anything.
pub fn is_overruled(defect: ValueDefect, role: Role) -> bool {
    match role {
        Role::Token => defect == ValueDefect::Token(TokenDefect::NoSubject),
        Role::Password => !defect.is_certain(role),
    }
}

/// The account of an API key that was signed with `key`; `None` for any other value. Without a `key` the signature is not
/// checked.
pub fn account_of_token(value: &SecretBytes, key: Option<&[u8]>) -> Option<String> {
    let text = std::str::from_utf8(value.expose()).ok()?;
    let token = Token::read(text.trim()).ok()?;
    if let Some(key) = key
        && !is_signed(key, token.signed()?)
    {
        return None;
    }
    match token.claims()?.subject() {
        Subject::Account(name, Capability::ApiKey) if !name.is_empty() => Some(name.to_owned()),
        _ => None,
    }
}

fn account(credential: &Credential<'_>) -> Option<String> {
    match credential {
        Credential::Token(value) => account_of_token(value, None),
        Credential::Password { user, .. } => Some((*user).to_owned()),
    }
}

impl Defect {
    /// Whether it ends a credential, today or at the next start of argocd-server.
    pub fn stops(&self, role: Role) -> bool {
        match self {
            Defect::Value(defect) => defect.stops(role),
            Defect::Rejected(_) => true,
        }
    }

    /// What Argo CD's own state tells, if that is what is wrong.
    pub fn rejection(self) -> Option<Rejection> {
        match self {
            Defect::Value(_) => None,
            Defect::Rejected(rejection) => Some(rejection),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};
    use zeroize::Zeroizing;

    #[test]
    fn a_token_names_its_account() {
        let token = |claims: &Value| {
            let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
            format!(
                "{}.{}.AAAA",
                part(r#"{"alg":"HS256"}"#),
                part(&claims.to_string())
            )
        };
        let claims = |subject: &str| token(&json!({"iss": "argocd", "sub": subject}));
        let federated = json!({"sub": "x", "federated_claims": {"user_id": "bob"}});
        let table = [
            (claims("bob:apiKey"), Some("bob")),
            (claims("bob"), Some("bob")),
            (format!("{}\n", claims("bob")), Some("bob")),
            (token(&federated), Some("bob")),
            (claims("bob:login"), None),
            (claims("proj:a:b"), None),
            (claims(""), None),
            ("no token".to_owned(), None),
        ];
        for (text, expected) in table {
            let value = SecretBytes::new(Zeroizing::new(text.clone().into_bytes()));
            assert_eq!(
                account_of_token(&value, None).as_deref(),
                expected,
                "{text}"
            );
        }
    }
}
