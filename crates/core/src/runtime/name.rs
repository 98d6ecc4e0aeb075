//! The name of a Secret, or of a key in one, as a manifest gives it.
//!
//! People paste credentials into the wrong field. So such a name is shown only when it is one that a
//! Secret can have and does not look like a token, which would end up in messages and logs.

use std::borrow::Borrow;
use std::fmt;

/// The most characters of a Secret's name, and of a key in its data.
const MOST: usize = 253;

/// A name as it was given. Whatever prints it, `Debug` too, prints it as [`Name::shown`] does.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The name as it was given: to look up with and to compare, never to be shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What may be shown of it, without quotes.
    pub fn shown(&self) -> Shown<'_> {
        let length = self.0.chars().count();
        if looks_like_a_token(&self.0) {
            Shown::Token(length)
        } else if is_data_key(&self.0) {
            Shown::Name(&self.0)
        } else {
            Shown::Impossible(length)
        }
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Name {
        Name(name.to_owned())
    }
}

impl From<String> for Name {
    fn from(name: String) -> Name {
        Name(name)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

/// In quotes, for sentences.
impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shown() {
            Shown::Name(name) => write!(formatter, "{name:?}"),
            hidden => hidden.fmt(formatter),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// What may be shown of a [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown<'a> {
    /// All of it.
    Name(&'a str),
    /// Nothing: it looks like a token of this many characters.
    Token(usize),
    /// Nothing: no Secret can have this name or key, of this many characters.
    Impossible(usize),
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shown::Name(name) => formatter.write_str(name),
            Shown::Token(length) => {
                write!(formatter, "that looks like a token ({length} characters)")
            }
            Shown::Impossible(length) => {
                write!(formatter, "of {length} characters that no Secret can have")
            }
        }
    }
}

/// Whether a text has the shape of a token, or of one in base64, with something around it or not.
///
/// A Secret's key may have any character that a token has, so only the shape tells them apart.
pub fn looks_like_a_token(text: &str) -> bool {
    /// No readable name of a key is longer with capitals, small letters and digits in it.
    const OPAQUE: usize = 40;
    /// What follows `eyJ` in the shortest of tokens, and a segment of one.
    const LONG: usize = 16;
    let begins = |start: &str| {
        text.find(start)
            .is_some_and(|at| text.len() - at >= start.len() + LONG)
    };
    let scheme = text.trim_start().get(..7);
    let mut segments = text.split('.');
    let long = |segment: &str| {
        segment.len() >= LONG
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte))
    };
    let has = |kind: fn(&u8) -> bool| text.as_bytes().iter().any(kind);
    // `ZXlK` is `eyJ` in base64.
    begins("eyJ")
        || begins("ZXlK")
        || text.starts_with("eyJ")
        || scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "))
        || (segments.by_ref().take(3).filter(|part| long(part)).count() == 3
            && segments.next().is_none())
        || (text.len() >= OPAQUE
            && has(u8::is_ascii_uppercase)
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_digit))
}

/// A text of which no word that a token may be in is left, for sentences that quote what somebody typed.
pub fn without_tokens(text: &str) -> String {
    let ends = |character: char| character.is_whitespace() || "\"'`,;()[]{}".contains(character);
    let words = text.split_inclusive(ends).map(|word| {
        let bare = word.trim_end_matches(ends);
        let end = word.get(bare.len()..).unwrap_or_default();
        match bare.contains("eyJ") && looks_like_a_token(bare) {
            true => format!("…{end}"),
            false => word.to_owned(),
        }
    });
    words.collect()
}

/// Whether a Secret can have such a key.
fn is_data_key(key: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !key.is_empty() && key.len() <= MOST && key.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_sentence_only_words_with_a_token_are_left_out() {
        let token = format!("eyJ{}", "a".repeat(40));
        let table = [
            (
                format!("string \"{token}\", expected a map"),
                "string \"…\", expected a map",
            ),
            (
                format!("the values file clusters/{token}"),
                "the values file …",
            ),
            (
                "values/Prod1.yaml is no map".to_owned(),
                "values/Prod1.yaml is no map",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(without_tokens(&text), expected);
        }
    }

    #[test]
    fn a_name_is_shown_only_when_it_can_be_one_and_is_no_token() {
        let signature = format!("aB3{}", "x_-9".repeat(10));
        let long = "a".repeat(254);
        let segments = ["abcdefghij0123456"; 3].join(".");
        let table = [
            ("argocd-api-key", "\"argocd-api-key\""),
            (
                "gitops-runtime-argo-cd-token",
                "\"gitops-runtime-argo-cd-token\"",
            ),
            ("ARGO_CD.token", "\"ARGO_CD.token\""),
            ("", "of 0 characters that no Secret can have"),
            ("pass word", "of 9 characters that no Secret can have"),
            ("töken", "of 5 characters that no Secret can have"),
            (&long, "of 254 characters that no Secret can have"),
            (
                "eyJhbGciOiJIUzI1NiJ9",
                "that looks like a token (20 characters)",
            ),
            ("eyJ", "that looks like a token (3 characters)"),
            (
                "token-eyJhbGciOiJIUzI1NiJ9",
                "that looks like a token (26 characters)",
            ),
            (
                "ZXlKaGJHY2lPaUpJVXpJMU5pSjk",
                "that looks like a token (27 characters)",
            ),
            ("Bearer x", "that looks like a token (8 characters)"),
            (&segments, "that looks like a token (53 characters)"),
            (&signature, "that looks like a token (43 characters)"),
        ];
        for (text, shown) in table {
            let name = Name::from(text);
            assert_eq!(format!("{name}"), shown, "{text}");
            assert_eq!(format!("{name:?}"), shown, "{text}");
            assert_eq!(name.as_str(), text);
        }
        assert_eq!(Name::from("plain").shown().to_string(), "plain");
    }
}
