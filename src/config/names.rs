//! Names that cannot be wrong.

use std::fmt;
use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use keyguard_core::policy::plan::is_object_name;

/// Declares a text that is checked when it is read.
macro_rules! texts {
    ($($(#[$attribute:meta])* $name:ident($pattern:literal) = $check:ident;)+) => {$(
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String")]
        #[schemars(inline, extend("pattern" = $pattern))]
        pub struct $name(String);

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                $check(&text)?;
                Ok($name(text))
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    )+};
}

texts! {
    /// The name of an account, as it stands in a key `accounts.<name>` of a ConfigMap.
    AccountName("^[-_a-zA-Z0-9]{1,236}$") = account;
    /// The name of a user or a group of Kubernetes.
    SubjectName("^.+$") = subject;
    /// The name of a namespace.
    Namespace("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$") = namespace;
    /// The name of a namespace, or nothing.
    #[derive(Default)]
    NamespaceOrEmpty("^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$") = namespace_or_empty;
}

impl AccountName {
    /// The account that every Argo CD has.
    pub fn admin() -> AccountName {
        AccountName("admin".to_owned())
    }
}

/// What a ConfigMap's key may have, without the `accounts.` before the name and the `.enabled` after it.
const MAX_ACCOUNT_LENGTH: usize = 253 - "accounts..enabled".len();

/// Source: Argo CD splits the key on `.` and takes the second part; Kubernetes allows `[-._a-zA-Z0-9]+` in a key.
fn account(name: &str) -> Result<(), String> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    if name.is_empty() {
        Err("a name cannot be empty".to_owned())
    } else if name.len() > MAX_ACCOUNT_LENGTH {
        Err(format!(
            "a name has at most {MAX_ACCOUNT_LENGTH} characters, and one here has more"
        ))
    } else if name.contains('.') {
        Err(format!(
            "{name:?} has a dot, and Argo CD reads a name up to the first dot only; write what stands between \
             \"accounts.\" and the next dot"
        ))
    } else if !name.chars().all(allowed) {
        Err(format!(
            "{name:?} cannot be an account: a name has letters, digits, - and _ only"
        ))
    } else {
        Ok(())
    }
}

fn subject(name: &str) -> Result<(), String> {
    match name.is_empty() {
        true => Err("a name cannot be empty".to_owned()),
        false => Ok(()),
    }
}

fn namespace(name: &str) -> Result<(), String> {
    match is_object_name(name) && !name.contains('.') && name.len() <= 63 {
        true => Ok(()),
        false => Err(format!("{name:?} cannot be a namespace")),
    }
}

fn namespace_or_empty(name: &str) -> Result<(), String> {
    match name.is_empty() {
        true => Ok(()),
        false => namespace(name),
    }
}
