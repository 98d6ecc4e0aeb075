//! What a credential's value looks like: good, malformed, or one of the usual mistakes.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use thiserror::Error;
use zeroize::Zeroizing;

use super::secret_bytes::SecretBytes;
use crate::argocd::token::inspect;
use crate::argocd::token_defect::TokenDefect;

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
    /// What SOPS encrypts, and nobody decrypted.
    #[error("is still encrypted by SOPS (ENC[AES256_GCM,…]): it was never decrypted")]
    Encrypted,
    /// What a webhook of Vault resolves in the environment of a container, and nowhere else.
    #[error("is a reference (vault:…#…), which only the environment of a container resolves")]
    VaultReference,
    /// A token that Argo CD could never accept.
    #[error(transparent)]
    Token(TokenDefect),
}

impl ValueDefect {
    /// Whether such a value can never work in this role. Otherwise it is a hint: a password may look like anything.
    pub fn is_certain(self, role: Role) -> bool {
        match (role, self) {
            (_, ValueDefect::VaultReference) => false,
            (Role::Token, _) => true,
            (
                Role::Password,
                ValueDefect::Base64Twice
                | ValueDefect::BearerPrefix
                | ValueDefect::Quoted
                | ValueDefect::Placeholder,
            ) => false,
            (Role::Password, _) => true,
        }
    }

    /// Whether such a credential does not work today: one that will end works until then.
    pub fn stops(self, role: Role) -> bool {
        let for_now = matches!(self, ValueDefect::Token(defect) if defect.is_accepted_for_now());
        self.is_certain(role) && !for_now
    }

    /// How to mend it, a sentence.
    pub fn mend(self) -> &'static str {
        match self {
            ValueDefect::Encrypted => {
                "Decrypt it before it is applied (sops --decrypt, or the plugin that does), or apply it by a tool that does."
            }
            ValueDefect::VaultReference => {
                "Refer to it by secretKeyRef where Bank-Vaults' webhook is; a component that reads the Secret itself needs the token."
            }
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
    if text.starts_with(SOPS) {
        return vec![ValueDefect::Encrypted];
    }
    if is_vault_reference(text) {
        return vec![ValueDefect::VaultReference];
    }
    match role {
        Role::Token => token(text, now, LAYERS).defects,
        Role::Password => password(text),
    }
}

/// What the values begin with that SOPS encrypts.
const SOPS: &str = "ENC[AES256_GCM,";

/// Whether Bank-Vaults' webhook resolves it: `vault:path#key`, with `>>` in front or not.
fn is_vault_reference(text: &str) -> bool {
    let path = text
        .strip_prefix(">>")
        .unwrap_or(text)
        .strip_prefix("vault:");
    path.is_some_and(|path| {
        path.split_once('#')
            .is_some_and(|(path, key)| !path.is_empty() && !key.is_empty())
    })
}

/// The most mistakes on top of each other that are told apart.
const LAYERS: usize = 4;

/// What was found out about a text that is to be a token.
struct Reading {
    defects: Vec<ValueDefect>,
    /// Whether a token or a placeholder is in there at all, whatever is around it.
    recognised: bool,
}

impl Reading {
    /// This reading of what is inside a mistake, with the mistake itself.
    fn inside(mut self, outer: Vec<ValueDefect>) -> Reading {
        self.defects.retain(|defect| !outer.contains(defect));
        self.defects.splice(0..0, outer);
        self
    }
}

fn token(text: &str, now: f64, layers: usize) -> Reading {
    let mut defects = Vec::new();
    let mut text = text;
    if text.ends_with('\n') {
        defects.push(ValueDefect::TrailingNewline);
        text = text.trim_end_matches(['\r', '\n']);
    }
    if text.trim() != text {
        defects.push(ValueDefect::SurroundingSpace);
        text = text.trim();
    }
    let placeholder = is_template(text) || is_stand_in(text);
    let recognised = placeholder || looks_like_token(text);
    if layers > 0 && !recognised {
        if let Some(inner) = without_quotes(text) {
            defects.push(ValueDefect::Quoted);
            return token(inner, now, layers - 1).inside(defects);
        }
        if let Some(inner) = without_bearer(text) {
            defects.push(ValueDefect::BearerPrefix);
            return token(inner, now, layers - 1).inside(defects);
        }
        // Much is base64 of something; it is a mistake only when a credential comes out.
        let inner = decoded(text).map(|inner| token(&inner, now, layers - 1));
        if let Some(inner) = inner.filter(|inner| inner.recognised) {
            defects.push(ValueDefect::Base64Twice);
            return inner.inside(defects);
        }
    }
    if text.is_empty() {
        defects.push(ValueDefect::Empty);
    } else if placeholder {
        defects.push(ValueDefect::Placeholder);
    } else {
        defects.extend(inspect(text, now).into_iter().map(ValueDefect::Token));
    }
    Reading {
        defects,
        recognised,
    }
}

fn password(text: &str) -> Vec<ValueDefect> {
    let mut defects = Vec::new();
    let mut stripped = text.trim_end_matches(['\r', '\n']);
    if text.ends_with('\n') {
        defects.push(ValueDefect::TrailingNewline);
    }
    if let Some(inner) = without_quotes(stripped) {
        defects.push(ValueDefect::Quoted);
        stripped = inner;
    } else if let Some(inner) = without_bearer(stripped) {
        defects.push(ValueDefect::BearerPrefix);
        stripped = inner;
    } else if decoded(stripped).is_some_and(|inner| looks_like_encoded_text(stripped, &inner)) {
        defects.push(ValueDefect::Base64Twice);
    }
    if is_template(stripped) {
        defects.push(ValueDefect::Placeholder);
    }
    defects
}

/// Something that a tool or a person was to fill in: `<token>`, `${TOKEN}`, `$(TOKEN)`, `{{ token }}`,
/// `${{ token }}`.
fn is_template(text: &str) -> bool {
    let within = |open: &str, close: &str| {
        text.strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
            .is_some_and(|inner| !inner.contains(['<', '>', '{', '}']))
    };
    [
        ("<", ">"),
        ("${", "}"),
        ("$(", ")"),
        ("{{", "}}"),
        ("${{", "}}"),
    ]
    .into_iter()
    .any(|(open, close)| within(open, close))
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
    // Whatever has two dots is for the parser.
    if text.is_empty() || text.matches('.').count() == 2 {
        return false;
    }
    let mut letters = Zeroizing::new(String::with_capacity(text.len()));
    letters.extend(
        text.chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_lowercase()),
    );
    let crossed_out = letters.len() >= 3 && letters.bytes().all(|byte| byte == b'x');
    let mine = ["your", "my", "the", "insert", "enter", "put", "replacewith"];
    let named = mine.iter().any(|prefix| letters.starts_with(prefix)) && text.len() < 40;
    crossed_out
        || named
        || WORDS.contains(&letters.as_str())
        || text.chars().all(|character| character == '*')
}

fn without_quotes(text: &str) -> Option<&str> {
    ['"', '\'', '`']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
}

/// What follows the HTTP scheme, however much white space is between them.
fn without_bearer(text: &str) -> Option<&str> {
    const SCHEME: &str = "bearer";
    let (scheme, rest) = text.split_at_checked(SCHEME.len())?;
    let inner = rest.trim_start();
    (scheme.eq_ignore_ascii_case(SCHEME) && inner.len() < rest.len()).then_some(inner)
}

/// Whether somebody meant it as a token: three segments with something in each, and a JSON object in front.
fn looks_like_token(text: &str) -> bool {
    let mut segments = text.split('.');
    let filled = segments.by_ref().take(3).filter(|part| !part.is_empty());
    filled.count() == 3 && segments.next().is_none() && text.starts_with("eyJ")
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
