//! How a Runtime authenticates, as the values say it.

use crate::document::{Content, Entry, Node, Position, ScalarKind};
use crate::runtime::name::Name;
use crate::runtime::value::Role;

/// The Secret and key that a password comes from by the chart's default.
pub const DEFAULT_PASSWORD: (&str, &str) = ("argocd-initial-admin-secret", "password");
/// The account of the password by the chart's default.
pub const DEFAULT_USERNAME: &str = "admin";

/// The settings that the chart reads in `auth`.
pub const SETTINGS: [&str; 6] = [
    "type",
    "username",
    "password",
    "passwordSecretKeyRef",
    "token",
    "tokenSecretKeyRef",
];

/// The key with a plain credential.
pub fn plain_key(role: Role) -> &'static str {
    match role {
        Role::Token => "token",
        Role::Password => "password",
    }
}

/// The key with a reference to a credential.
pub fn reference_key(role: Role) -> &'static str {
    match role {
        Role::Token => "tokenSecretKeyRef",
        Role::Password => "passwordSecretKeyRef",
    }
}

/// What `type` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    /// Nothing, which is a password.
    Default,
    /// This one.
    Of(Role),
    /// Something that the chart refuses.
    Invalid,
    /// Something that is filled in later.
    Untold,
}

impl AuthType {
    /// The role of the credential that is used.
    pub fn role(self) -> Option<Role> {
        match self {
            AuthType::Default => Some(Role::Password),
            AuthType::Of(role) => Some(role),
            AuthType::Invalid | AuthType::Untold => None,
        }
    }
}

/// The settings at one path, as they are written. The chart's defaults are not in it.
#[derive(Clone, Copy)]
pub struct Auth<'a> {
    settings: &'a Node,
}

impl<'a> Auth<'a> {
    /// The settings under `path`; none when nothing is written there.
    pub fn at(values: &'a Node, path: &[&str]) -> Option<Auth<'a>> {
        let settings = values.path(path)?;
        (!settings.entries().is_empty()).then_some(Auth { settings })
    }

    /// All that is written.
    pub fn entries(&self) -> &'a [Entry] {
        self.settings.entries()
    }

    /// One setting.
    pub fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.settings.entry(key)
    }

    /// What `type` says.
    pub fn kind(&self) -> AuthType {
        let Some(entry) = self.entry("type") else {
            return AuthType::Default;
        };
        match entry.value.text() {
            Some("password") => AuthType::Of(Role::Password),
            Some("token") => AuthType::Of(Role::Token),
            _ if is_template(&entry.value) => AuthType::Untold,
            _ => AuthType::Invalid,
        }
    }

    /// The plain credential, if there is one that the chart's templates take for one.
    pub fn plain(&self, role: Role) -> Option<&'a Entry> {
        let entry = self.entry(plain_key(role))?;
        is_true(&entry.value).then_some(entry)
    }

    /// The reference, if something is written that is not empty.
    pub fn reference(&self, role: Role) -> Option<&'a Entry> {
        let entry = self.entry(reference_key(role))?;
        is_true(&entry.value).then_some(entry)
    }

    /// Whether the reference is the chart's default, written out.
    pub fn is_default(&self, role: Role) -> bool {
        let part = |key| self.settings.text_at(&[reference_key(role), key]);
        let default =
            |key, value| part(key).is_none_or(|text| text == value) && self.has_no_null(role, key);
        role == Role::Password
            && default("name", DEFAULT_PASSWORD.0)
            && default("key", DEFAULT_PASSWORD.1)
    }

    fn has_no_null(&self, role: Role, key: &str) -> bool {
        let path = [reference_key(role), key];
        self.settings.path(&path).is_none_or(|node| !node.is_null())
    }

    /// Whether anything is written for a credential of this role that is not the chart's default.
    pub fn mentions(&self, role: Role) -> bool {
        let reference = self.reference(role).is_some() && !self.is_default(role);
        self.plain(role).is_some() || (reference && !self.is_blank(role))
    }

    /// Whether all parts of the reference are written as nothing, as people fill in a form.
    pub fn is_blank(&self, role: Role) -> bool {
        let parts = self
            .entry(reference_key(role))
            .map_or(&[][..], |entry| entry.value.entries());
        let is_nothing = |part: &Entry| part.value.scalar().is_some_and(|it| it.text.is_empty());
        !parts.is_empty() && parts.iter().all(is_nothing)
    }

    /// The Secret and key that a reference leads to after the chart's default is merged with it, and whether it is
    /// optional; `None` when a part is missing or no text.
    pub fn secret(&self, role: Role) -> Option<SecretKey> {
        let entry = self.entry(reference_key(role));
        let (name, key) = match role {
            Role::Password => (Some(DEFAULT_PASSWORD.0), Some(DEFAULT_PASSWORD.1)),
            Role::Token => (None, None),
        };
        let Some(entry) = entry else {
            return Some(SecretKey {
                name: name?.into(),
                key: key?.into(),
                optional: false,
                at: None,
            });
        };
        let Content::Map(_) = entry.value.content else {
            return None;
        };
        let part = |written: &str, default: Option<&str>| -> Option<Name> {
            match entry.value.get(written) {
                None => default.map(Name::from),
                Some(node) if is_template(node) => None,
                Some(node) => node.text().filter(|text| !text.is_empty()).map(Name::from),
            }
        };
        Some(SecretKey {
            name: part("name", name)?,
            key: part("key", key)?,
            optional: is_optional(&entry.value),
            at: Some(
                entry
                    .value
                    .get("name")
                    .map_or(&entry.at, |name| &name.at)
                    .clone(),
            ),
        })
    }
}

/// A key of a Secret that values refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretKey {
    /// The Secret's name.
    pub name: Name,
    /// The key in its data.
    pub key: Name,
    /// Whether the container starts without it.
    pub optional: bool,
    /// Where the name is written; `None` when it is the chart's default.
    pub at: Option<Position>,
}

/// Whether a scalar is filled in before the chart is rendered: by a template or, with Flux, by a variable.
pub fn is_template(node: &Node) -> bool {
    node.scalar()
        .is_some_and(|scalar| is_filled_in(&scalar.text))
}

/// Whether a template or a variable stands in a text, so that it is another one before it is applied: `{{ name }}`, `${NAME}`
/// and `$NAME` of envsubst and Flux, `$(NAME)` of Kustomize, `#{NAME}#` and `__NAME__` of tools that replace tokens in pipelines. For texts that
/// cannot have these as they are, such as names; not for credentials.
pub fn is_filled_in(text: &str) -> bool {
    let starts_name =
        |rest: &str| rest.starts_with(|it: char| it.is_ascii_alphabetic() || "_{(".contains(it));
    text.contains("{{")
        || text.contains("#{")
        || text.split('$').skip(1).any(starts_name)
        || has_between_underscores(text)
}

/// Whether a text is a variable of such a tool and nothing else: a credential may have `$a` in its middle.
pub fn is_variable(text: &str) -> bool {
    let within = |open: &str, close: &str| {
        let inner = text
            .strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close));
        inner.is_some_and(|inner| !inner.is_empty())
    };
    within("${", "}")
        || within("$(", ")")
        || within("#{", "}#")
        || text.strip_prefix('$').is_some_and(is_capitals)
        || (within("__", "__") && has_between_underscores(text))
}

/// Whether a text is a name as people give them to variables of an environment.
fn is_capitals(text: &str) -> bool {
    let begins = text.starts_with(|it: char| it.is_ascii_uppercase() || it == '_');
    begins
        && text
            .bytes()
            .all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_')
}

/// Whether capitals stand between two underscores on each side.
fn has_between_underscores(text: &str) -> bool {
    let mut parts = text.split("__").skip(1).peekable();
    while let Some(part) = parts.next() {
        // What follows the last pair has none behind it.
        if parts.peek().is_some() && is_capitals(part) {
            return true;
        }
    }
    false
}

/// Whether `optional: true` stands in a reference.
pub fn is_optional(reference: &Node) -> bool {
    reference
        .get("optional")
        .and_then(Node::scalar)
        .is_some_and(|scalar| scalar.kind == ScalarKind::Bool(true))
}

/// Whether a value counts as true in a template of Helm: it is not empty, not zero and not false.
pub fn is_true(node: &Node) -> bool {
    match &node.content {
        Content::Map(entries) => !entries.is_empty(),
        Content::List(items) => !items.is_empty(),
        Content::Scalar(scalar) => match scalar.kind {
            ScalarKind::Null => false,
            ScalarKind::Bool(value) => value,
            ScalarKind::Integer | ScalarKind::Float => scalar.text.chars().any(
                |character| matches!(character, '1'..='9' | 'a'..='f' | 'A'..='F' | 'i' | 'n'),
            ),
            ScalarKind::Text => !scalar.text.is_empty(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tool_fills_in_is_known_and_no_name_is_taken_for_it() {
        for text in [
            "{{ .Values.name }}",
            "${SECRET}",
            "$SECRET",
            "$(SECRET)",
            "argocd-$ENVIRONMENT-token",
            "#{SecretName}#",
            "__SECRET_NAME__",
            "argocd-__STAGE__",
        ] {
            assert!(is_filled_in(text), "{text}");
        }
        for text in ["$TOKEN", "${token}", "$(TOKEN)", "#{Token}#", "__TOKEN__"] {
            assert!(is_variable(text), "{text}");
        }
        for text in ["", "pa$word", "$pass", "a${TOKEN}", "__init__", "#{", "$"] {
            assert!(!is_variable(text), "{text}");
        }
        for text in [
            "",
            "argocd-token",
            "my__key__part",
            "__init__",
            "A__B",
            "apiKey, login",
            "#1",
            "5$",
            "1.2.3",
        ] {
            assert!(!is_filled_in(text), "{text}");
        }
    }
}
