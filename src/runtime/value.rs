//! What a credential's value looks like: good, malformed, or one of the usual mistakes.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use thiserror::Error;
use zeroize::Zeroizing;

use super::secret_bytes::SecretBytes;
use crate::argocd::token::{TokenDefect, inspect};

/// What a value is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// An API key.
    Token,
    /// A password, from which the Runtime makes an API key.
    Password,
}

/// What is wrong with a value, as a clause that follows "the token" or "the password". Never holds a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ValueDefect {
    /// Not text.
    #[error("is not UTF-8 text")]
    NotUtf8,
    /// Empty, or nothing but white space.
    #[error("is empty or only white space")]
    Empty,
    /// A newline at the end.
    #[error("ends in a newline")]
    TrailingNewline,
    /// Other white space at an end of a token.
    #[error("has white space around it")]
    SurroundingSpace,
    /// base64 of a credential instead of the credential.
    #[error("looks like base64 of a credential: it was encoded twice")]
    Base64Twice,
    /// The HTTP scheme in front.
    #[error("begins with \"Bearer \", which looks like it was copied from an HTTP header")]
    BearerPrefix,
    /// Quotes at both ends.
    #[error("has quotes around it, which look like they were copied with it")]
    Quoted,
    /// Something to be replaced that was not.
    #[error("looks like a placeholder that was never filled in")]
    Placeholder,
    /// A token that Argo CD could never accept.
    #[error(transparent)]
    Token(TokenDefect),
}

impl ValueDefect {
    /// Whether such a value can never work in this role. Otherwise it is a hint: a password may look like anything.
    pub fn is_certain(self, role: Role) -> bool {
        match (role, self) {
            (Role::Token, _) => true,
            (
                Role::Password,
                ValueDefect::Base64Twice | ValueDefect::BearerPrefix | ValueDefect::Quoted,
            ) => false,
            (Role::Password, _) => true,
        }
    }

    /// How to mend it, a sentence.
    pub fn mend(self) -> &'static str {
        match self {
            ValueDefect::NotUtf8 => {
                "Store the credential itself as text, under data in base64 or under stringData as it is."
            }
            ValueDefect::Empty => "Put the credential into the Secret.",
            ValueDefect::TrailingNewline => {
                "Store it without the newline: kubectl create secret --from-literal, or printf instead of echo."
            }
            ValueDefect::SurroundingSpace => "Store it without the white space.",
            ValueDefect::Base64Twice => {
                "Encode it once under data, or put it as it is under stringData."
            }
            ValueDefect::BearerPrefix => "Store the token alone, without \"Bearer \".",
            ValueDefect::Quoted => "Store it without the quotes.",
            ValueDefect::Placeholder => "Replace the placeholder by the credential.",
            ValueDefect::Token(_) => {
                "Generate an API key that does not expire and store it: argocd account generate-token --account <account>."
            }
        }
    }
}

/// Everything that is wrong with a value in its role at `now`, in Unix seconds.
///
/// Mistakes are peeled off one by one and what is left is looked at too, so that nothing has to be
/// found out one refusal after the other.
pub fn examine(role: Role, value: &SecretBytes, now: f64) -> Vec<ValueDefect> {
    let Ok(text) = std::str::from_utf8(value.expose()) else {
        return vec![ValueDefect::NotUtf8];
    };
    if text.trim().is_empty() {
        return vec![ValueDefect::Empty];
    }
    let mut defects = Vec::new();
    match role {
        Role::Token => token(text, now, LAYERS, &mut defects),
        Role::Password => password(text, &mut defects),
    }
    defects
}

/// The most mistakes on top of each other that are told apart.
const LAYERS: usize = 4;

fn token(text: &str, now: f64, layers: usize, defects: &mut Vec<ValueDefect>) {
    let mut note = |defect| {
        if !defects.contains(&defect) {
            defects.push(defect);
        }
    };
    let mut text = text;
    if text.ends_with('\n') {
        note(ValueDefect::TrailingNewline);
        text = text.trim_end_matches(['\r', '\n']);
    }
    if text.trim() != text {
        note(ValueDefect::SurroundingSpace);
        text = text.trim();
    }
    if is_template(text) || is_stand_in(text) {
        note(ValueDefect::Placeholder);
    } else if let Some(inner) = without_quotes(text).filter(|_| layers > 0) {
        note(ValueDefect::Quoted);
        token(inner, now, layers - 1, defects);
    } else if let Some(inner) = without_bearer(text).filter(|_| layers > 0) {
        note(ValueDefect::BearerPrefix);
        token(inner, now, layers - 1, defects);
    } else if let Some(inner) = decoded(text).filter(|inner| layers > 0 && looks_like_token(inner))
    {
        note(ValueDefect::Base64Twice);
        token(&inner, now, layers - 1, defects);
    } else {
        defects.extend(inspect(text, now).into_iter().map(ValueDefect::Token));
    }
}

fn password(text: &str, defects: &mut Vec<ValueDefect>) {
    let stripped = text.trim_end_matches(['\r', '\n']);
    if text.ends_with('\n') {
        defects.push(ValueDefect::TrailingNewline);
    }
    if is_template(stripped) {
        defects.push(ValueDefect::Placeholder);
    } else if without_quotes(stripped).is_some() {
        defects.push(ValueDefect::Quoted);
    } else if without_bearer(stripped).is_some() {
        defects.push(ValueDefect::BearerPrefix);
    } else if decoded(stripped).is_some_and(|inner| looks_like_encoded_text(stripped, &inner)) {
        defects.push(ValueDefect::Base64Twice);
    }
}

/// Something that a tool or a person was to fill in: `<token>`, `${TOKEN}`, `$(TOKEN)`, `{{ token }}`.
fn is_template(text: &str) -> bool {
    let within = |open: &str, close: &str| {
        text.strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
            .is_some_and(|inner| !inner.contains(['<', '>', '{', '}']))
    };
    within("<", ">") || within("${", "}") || within("$(", ")") || within("{{", "}}")
}

/// A word that stands for a token. Only for what cannot be one anyway.
fn is_stand_in(text: &str) -> bool {
    const WORDS: [&str; 8] = [
        "token",
        "changeme",
        "replaceme",
        "placeholder",
        "example",
        "todo",
        "apikey",
        "secret",
    ];
    if text.contains('.') {
        return false;
    }
    let letters: String = text
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    let crossed_out = letters.len() >= 3 && letters.bytes().all(|byte| byte == b'x');
    let mine = ["your", "my", "the", "insert", "enter", "put", "replacewith"];
    let named = mine.iter().any(|prefix| letters.starts_with(prefix)) && text.len() < 40;
    crossed_out
        || named
        || WORDS.contains(&letters.as_str())
        || text.chars().all(|character| character == '*')
}

fn without_quotes(text: &str) -> Option<&str> {
    ['"', '\'', '`'].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.is_empty()).then_some(inner)
    })
}

fn without_bearer(text: &str) -> Option<&str> {
    const SCHEME: &str = "bearer ";
    let (scheme, rest) = text.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(rest)
}

fn looks_like_token(text: &str) -> bool {
    let text = text.trim();
    let text = without_bearer(text)
        .or_else(|| without_quotes(text))
        .unwrap_or(text);
    let base64_again = || decoded(text).is_some_and(|inner| inner.starts_with("eyJ"));
    (text.starts_with("eyJ") && text.matches('.').count() == 2) || base64_again()
}

/// Padding or a newline at the end is what a tool leaves and a random password does not.
fn looks_like_encoded_text(text: &str, inner: &str) -> bool {
    let left_by_a_tool = text.ends_with('=') || inner.ends_with('\n');
    left_by_a_tool
        && inner
            .trim_end()
            .chars()
            .all(|character| character.is_ascii_graphic())
}

/// Text whose base64 this is, in either alphabet, with padding or without, broken into lines or not.
fn decoded(text: &str) -> Option<Zeroizing<String>> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let mut packed = Zeroizing::new(Vec::with_capacity(text.len()));
    packed.extend(text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')));
    [&STANDARD, &URL_SAFE].into_iter().find_map(|alphabet| {
        let mut bytes = Zeroizing::new(Vec::with_capacity(packed.len()));
        GeneralPurpose::new(alphabet, LENIENT)
            .decode_vec(&*packed, &mut bytes)
            .ok()?;
        let text = std::str::from_utf8(&bytes).ok()?;
        Some(Zeroizing::new(text.to_owned()))
    })
}

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;
