//! Who uses what is changed: what is to be found out, and what was.

use crate::policy::accounts_in_use::AccountsUse;
use crate::policy::argocd_secret::ArgocdSecretUse;
use crate::policy::secrets_in_use::SecretUse;
use crate::runtime::name::Name;

/// What is to be found out about who uses what is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// Who refers to this Secret, in its namespace.
    Secret {
        /// Its name.
        name: Name,
        /// Whether the Runtime's mode matters, so that `cap-app-proxy-cm` is to be read.
        mode: bool,
    },
    /// Whose token names which account.
    Accounts,
    /// Whose token Argo CD accepts, and will not after.
    ArgocdSecret,
}

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InUse {
    /// Of a Secret.
    Secret(SecretUse),
    /// Of accounts.
    Accounts(AccountsUse),
    /// Of Argo CD's own Secret.
    ArgocdSecret(ArgocdSecretUse),
}

impl InUse {
    /// What is known of a Secret's use.
    pub fn secret(&self) -> Option<&SecretUse> {
        match self {
            InUse::Secret(known) => Some(known),
            InUse::Accounts(_) | InUse::ArgocdSecret(_) => None,
        }
    }

    /// What is known of the tokens that Argo CD's own Secret decides on.
    pub fn argocd_secret(&self) -> Option<&ArgocdSecretUse> {
        match self {
            InUse::ArgocdSecret(known) => Some(known),
            InUse::Accounts(_) | InUse::Secret(_) => None,
        }
    }
}
