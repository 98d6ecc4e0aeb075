//! What Argo CD's own state says of a credential: the facts, the rules that they are reported under, the sentences.

use crate::argocd::accounts::Switch;
use crate::argocd::verification::Rejection;
use crate::credential::is_overruled;
use crate::policy::credential_defects::{Defect, Place};
use crate::policy::facts::{Unread, Untold, Unverified, Verification, Verified, VerifiedKey};
use crate::policy::rules::Rule;
use crate::policy::verdict::Severity;
use crate::runtime::credential::Reference;
use crate::runtime::value::{Role, ValueDefect};

impl Unverified {
    /// Why, a clause, and what to do about it, a sentence.
    pub(super) fn told(&self) -> (String, &'static str) {
        match self {
            Unverified::UserName(unread) => (
                format!(
                    "what ARGO_CD_USERNAME refers to could not be read: {}",
                    unread.what()
                ),
                "Give keyguard's service account the right to get configmaps and secrets in this namespace.",
            ),
            Unverified::Cost(cost) => (
                format!("its bcrypt hash has cost {cost}, and comparing it would take too long"),
                "Set the password again, with a cost of 10 as Argo CD does, or log in with a token.",
            ),
            Unverified::Busy => (
                "too many passwords wait to be compared with their bcrypt hash".to_owned(),
                "Try again in a few seconds; if it stays so, keyguard's log tells who tries that many.",
            ),
            Unverified::Time => (
                "comparing it with its bcrypt hash did not end in time".to_owned(),
                "Try again; if it stays so, give keyguard more CPU.",
            ),
        }
    }
}

impl Verified {
    /// Whether Argo CD accepts it.
    pub fn is_accepted(&self) -> bool {
        matches!(self, Verified::Judged(rejections) if rejections.is_empty())
    }

    /// Whether a defect of the value itself is none, now that Argo CD accepts it: an account may have an empty name,
    /// and a password may look like anything.
    pub fn overrules(&self, defect: &ValueDefect, role: Role) -> bool {
        self.is_accepted() && is_overruled(*defect, role)
    }
}

impl Verification {
    /// What is known of the credential that a reference is to.
    pub fn of(&self, reference: &Reference) -> Option<&Verified> {
        match self {
            Verification::Known(verified) => verified.get(&key(reference)),
            _ => None,
        }
    }

    /// What is wrong with the credential at `place`; what could not be told is as severe as `unknown`.
    pub(super) fn defects(
        &self,
        place: &Place<'_>,
        unknown: Severity,
        capped: impl Fn(Severity) -> Severity,
    ) -> Vec<Defect> {
        match self {
            Verification::NotAsked => Vec::new(),
            Verification::NotFound(namespace) => vec![not_found(namespace)],
            Verification::Unread(object, namespace, unread) => {
                vec![argocd_unread(object, namespace, unread, capped(unknown))]
            }
            Verification::Known(_) => match self.of(place.reference) {
                None => Vec::new(),
                Some(Verified::Judged(rejections)) => rejections
                    .iter()
                    .map(|rejection| rejected(place, rejection, capped(Severity::Refusal)))
                    .collect(),
                Some(Verified::UserNameUntold(untold)) => vec![account_untold(place, *untold)],
                Some(Verified::Unread(unverified)) => {
                    vec![unverified_password(place, unverified, capped(unknown))]
                }
            },
        }
    }
}

/// Names the credential that a reference is to.
pub fn key(reference: &Reference) -> VerifiedKey {
    let Reference {
        secret, key, role, ..
    } = reference;
    let credential = (secret.clone(), key.clone(), *role);
    (credential, reference.user_name.clone())
}

/// The rule that a rejection is reported under.
pub fn rule_of(rejection: &Rejection) -> Rule {
    match rejection {
        Rejection::Accounts(_) => Rule::AccountsUnreadable,
        Rejection::NoSigningKey(_) | Rejection::Signature(_) => Rule::TokenSignature,
        Rejection::AccountMissing(_) | Rejection::UserNameTooLong(_) => Rule::AccountMissing,
        Rejection::AccountDisabled(..) => Rule::CredentialAccountDisabled,
        Rejection::Capability(..) => Rule::AccountCapability,
        Rejection::Revoked(_) => Rule::TokenRevoked,
        Rejection::PasswordChanged(_) | Rejection::NextStart(_) => Rule::TokenPasswordChanged,
        Rejection::WrongPassword(_) => Rule::PasswordWrong,
    }
}

/// How to mend what a rejection of a credential is about, a sentence.
pub fn mend(role: Role, rejection: &Rejection) -> String {
    match rejection {
        Rejection::NoSigningKey(shown) => format!(
            "Wait until Argo CD has started. Generate a new one and store it: argocd account generate-token --account {}.",
            shown.argument()
        ),
        Rejection::Signature(shown) => format!(
            "Generate a new one with this Argo CD and store it: argocd account generate-token --account {}.",
            shown.argument()
        ),
        Rejection::Accounts(_) => "Mend what is named there, in Argo CD's namespace.".to_owned(),
        Rejection::AccountMissing(shown) => {
            let capabilities = match role {
                Role::Token => "apiKey",
                Role::Password => "apiKey and login",
            };
            format!(
                "Add data[\"accounts.{}\"] with {capabilities} to ConfigMap argocd-cm, or use the credential of an \
                 account that is there.",
                shown.argument()
            )
        }
        Rejection::AccountDisabled(shown, switch) => {
            let key = match switch {
                Switch::Admin => "admin.enabled".to_owned(),
                Switch::Account => format!("accounts.{}.enabled", shown.argument()),
            };
            format!(
                "Switch it on: data[\"{key}\"] of ConfigMap argocd-cm must be \"true\"; or use another account."
            )
        }
        Rejection::Capability(shown, capability) => format!(
            "Add {capability} to data[\"accounts.{}\"] of ConfigMap argocd-cm.",
            shown.argument()
        ),
        Rejection::NextStart(shown) => format!(
            "Give argocd-secret both admin.password and an admin.passwordMtime as in RFC 3339 from before the token, or \
             generate another one after the start and store it: argocd account generate-token --account {}.",
            shown.argument()
        ),
        Rejection::Revoked(shown) | Rejection::PasswordChanged(shown) => format!(
            "Generate a new one and store it: argocd account generate-token --account {}.",
            shown.argument()
        ),
        Rejection::UserNameTooLong(_) => {
            "Use an account with a name of at most 32 bytes.".to_owned()
        }
        Rejection::WrongPassword(shown) => format!(
            "Store the password that the account has, or set it: argocd account update-password --account {}.",
            shown.argument()
        ),
    }
}

fn rejected(place: &Place<'_>, rejection: &Rejection, severity: Severity) -> Defect {
    Defect {
        rule: rule_of(rejection),
        severity,
        what: format!("{} {rejection}", place.credential()),
        mend: mend(place.reference.role, rejection),
    }
}

/// What to do when there is no `argocd-secret`, a sentence.
pub(super) const NOT_FOUND: &str = "Nothing to do when this Argo CD is in another cluster; otherwise set \
                                    verify.argocdNamespace to its namespace.";

fn not_found(namespace: &str) -> Defect {
    Defect {
        rule: Rule::ArgocdNotFound,
        severity: Severity::Warning,
        what: format!(
            "there is no Secret \"argocd-secret\" in namespace {namespace:?} to verify the credential with"
        ),
        mend: NOT_FOUND.to_owned(),
    }
}

fn argocd_unread(object: &str, namespace: &str, unread: &Unread, severity: Severity) -> Defect {
    let (what, mend) = unread_argocd(object, namespace, unread);
    Defect {
        rule: Rule::ArgocdUnreadable,
        severity,
        what,
        mend,
    }
}

/// Which part of Argo CD's state could not be read and why, a clause, and what to do about it, a sentence.
pub(super) fn unread_argocd(object: &str, namespace: &str, unread: &Unread) -> (String, String) {
    let what = format!(
        "{object} in namespace {namespace:?} could not be read: {}",
        unread.what()
    );
    let mend = match unread {
        Unread::Forbidden => {
            "Give keyguard's service account the right to get it by its name, or leave verify.argocdNamespace out."
        }
        Unread::TooLarge => "Raise limits.maxSecretBytes.",
        _ => unread.mend(),
    };
    (what, mend.to_owned())
}

fn account_untold(place: &Place<'_>, untold: Untold) -> Defect {
    let why = match untold {
        Untold::Template => "the pod template does not tell its account (ARGO_CD_USERNAME)",
        Untold::Missing => "what ARGO_CD_USERNAME refers to has no name of an account",
    };
    Defect {
        rule: Rule::PasswordAccountUntold,
        severity: Severity::Warning,
        what: format!("{} is not verified: {why}", place.credential()),
        mend: "Set ARGO_CD_USERNAME to the account, or to a key of a ConfigMap that is there before the workload."
            .to_owned(),
    }
}

fn unverified_password(place: &Place<'_>, unverified: &Unverified, severity: Severity) -> Defect {
    let (why, mend) = unverified.told();
    Defect {
        rule: Rule::ArgocdUnreadable,
        severity,
        what: format!("{} could not be verified: {why}", place.credential()),
        mend: mend.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::argocd::verification::State;

    fn login_mended(config_map: &[(&str, &str)], user: &str) -> Vec<String> {
        let secret: [(&str, &[u8]); 0] = [];
        let state = State::read(secret, Some(config_map.iter().copied()));
        let rejections = state.login(user, b"password", None);
        rejections
            .iter()
            .map(|rejection| mend(Role::Password, rejection))
            .collect()
    }

    #[test]
    fn the_key_that_keeps_an_account_off_is_the_one_to_change() {
        let table: [(&[(&str, &str)], &str, &str); 4] = [
            (&[("admin.enabled", "false")], "admin", "admin.enabled"),
            (
                &[("accounts.admin.enabled", "false")],
                "admin",
                "accounts.admin.enabled",
            ),
            (
                &[
                    ("admin.enabled", "true"),
                    ("accounts.admin.enabled", "false"),
                ],
                "admin",
                "accounts.admin.enabled",
            ),
            (
                &[("accounts.ci", "login"), ("accounts.ci.enabled", "0")],
                "ci",
                "accounts.ci.enabled",
            ),
        ];
        for (config_map, user, key) in table {
            let told = login_mended(config_map, user);
            let expected = format!("data[\"{key}\"]");
            assert!(
                told.iter()
                    .any(|mend| mend.starts_with("Switch it on:") && mend.contains(&expected)),
                "{config_map:?}: {told:?}"
            );
        }
    }

    #[test]
    fn an_account_that_is_to_be_added_gets_all_that_its_credential_needs() {
        let told = login_mended(&[], "ci");
        assert!(
            told[0].starts_with("Add data[\"accounts.ci\"] with apiKey and login to"),
            "{told:?}"
        );
    }
}
