//! The rules by their stable ids, why each exists, and the mode each runs in.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Declares the closed set of rules once: variant, stable id and reason.
macro_rules! rules {
    ($($variant:ident $id:literal $why:literal)+) => {
        /// A rule that a finding is reported under. Ids never change once released.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "&str")]
        pub enum Rule {
            $(#[doc = concat!("`", $id, "`")] $variant,)+
        }

        impl Rule {
            /// Every rule, in the order of the documentation.
            pub const ALL: &'static [Rule] = &[$(Rule::$variant,)+];

            /// The stable id, as in `status.details.causes[].reason`, metrics and the configuration.
            pub fn id(self) -> &'static str {
                match self { $(Rule::$variant => $id,)+ }
            }

            /// Why it matters, as a clause that follows a colon.
            pub fn why(self) -> &'static str {
                match self { $(Rule::$variant => $why,)+ }
            }
        }
    };
}

rules! {
    ApiKeyRemoved "accounts/api-key-removed"
        "the GitOps Runtime authenticates with an API key of this account and would stop at once"
    AccountDisabled "accounts/account-disabled"
        "Argo CD accepts neither login nor API key of a disabled account, so the GitOps Runtime would stop at once"
    LoginRemoved "accounts/login-removed"
        "a GitOps Runtime with a user name and a password logs in as this account to make its API key"
    Unreadable "accounts/unreadable"
        "Argo CD can then read no account at all, and every login and every API key of every account fails"
    LabelMissing "accounts/label-missing"
        "Argo CD finds argocd-cm by this label only and has none of its accounts without it"
    ConfigMapDeleted "accounts/config-map-deleted"
        "without it the account has no apiKey capability and the GitOps Runtime would stop at once"
    ApiKeyMissing "accounts/api-key-missing"
        "a GitOps Runtime cannot use an API key of this account"
    SecretMissing "credentials/secret-missing"
        "the GitOps Runtime reads its Argo CD credential from it and cannot work without"
    KeyMissing "credentials/key-missing"
        "the GitOps Runtime reads its Argo CD credential from this key and cannot work without"
    ValueMalformed "credentials/value-malformed"
        "what the Secret holds becomes the credential as it is, and Argo CD or the HTTP client refuses it"
    NotAnApiKey "credentials/not-an-api-key"
        "the GitOps Runtime needs a non-expiring API key of an account, and Argo CD refuses or soon ends anything else"
    TokenNotYetValid "credentials/token-not-yet-valid"
        "Argo CD refuses it until then"
    TokenExpires "credentials/token-expires"
        "the GitOps Runtime stops when it expires, so it needs a non-expiring API key"
    AccountsUnreadable "credentials/accounts-unreadable"
        "every login and every API key of every account fails"
    TokenSignature "credentials/token-signature"
        "Argo CD refuses a token of another Argo CD, or one from before its signing key was changed"
    AccountMissing "credentials/account-missing"
        "Argo CD accepts no credential of an account that it does not have"
    CredentialAccountDisabled "credentials/account-disabled"
        "Argo CD accepts neither login nor API key of a disabled account"
    AccountCapability "credentials/account-capability"
        "the GitOps Runtime uses an API key, which needs apiKey, and makes it after a login, which needs login"
    TokenRevoked "credentials/token-revoked"
        "Argo CD accepts only API keys whose id is in the list of their account"
    TokenPasswordChanged "credentials/token-password-changed"
        "a change of the password ends every API key that the account had"
    PasswordWrong "credentials/password-wrong"
        "the GitOps Runtime cannot log in with it"
    PasswordAccountUntold "credentials/password-account-untold"
        "keyguard cannot tell whether Argo CD would accept the password"
    ArgocdNotFound "credentials/argocd-not-found"
        "keyguard can tell only what the credential itself shows, not whether Argo CD accepts it"
    ArgocdUnreadable "credentials/argocd-unreadable"
        "keyguard cannot tell whether Argo CD accepts the credential"
    SecretUnreadable "credentials/secret-unreadable"
        "keyguard cannot tell whether the GitOps Runtime would be able to authenticate"
    SecretNotYetMade "credentials/secret-not-yet-made"
        "the GitOps Runtime or Argo CD makes it after it has started"
    Unresolvable "credentials/unresolvable"
        "keyguard cannot tell from the pod template alone which Secret is meant"
    WorkloadMalformed "credentials/workload-malformed"
        "no pod can be made from it, and keyguard cannot tell which Secret the pods would read"
    SecretInUseDeleted "secrets/in-use-deleted"
        "the GitOps Runtime reads its Argo CD credential from it and would stop"
    SecretInUseBroken "secrets/in-use-broken"
        "the GitOps Runtime reads its Argo CD credential from it and cannot work with what is left"
    ArgocdSecretTokenRevoked "argocd-secret/token-revoked"
        "Argo CD refuses an API key whose id is not listed, and the GitOps Runtime would stop at once"
    ArgocdSecretKeyChanged "argocd-secret/signing-key-changed"
        "Argo CD refuses every token that another key signed, and the GitOps Runtime would stop at once"
    ArgocdSecretPasswordChanged "argocd-secret/password-changed"
        "Argo CD takes no token older than the password of its account and no other password, and the GitOps Runtime would stop at once"
    ArgocdSecretUnreadable "argocd-secret/unreadable"
        "Argo CD can then read no account at all, and every login and every API key of every account fails"
    ArgocdSecretDeleted "argocd-secret/deleted"
        "Argo CD makes itself another key then, accepts no token that it signed before, and the GitOps Runtime would stop"
    InUseUnknown "guard/in-use-unknown"
        "keyguard cannot tell whether a GitOps Runtime uses what would stop to work"
}

impl Rule {
    /// The rule of a stable id, or `None` for an id that does not exist.
    pub fn from_id(id: &str) -> Option<Rule> {
        Rule::ALL.iter().copied().find(|rule| rule.id() == id)
    }
}

impl TryFrom<String> for Rule {
    type Error = String;

    fn try_from(id: String) -> Result<Rule, String> {
        Rule::from_id(&id)
            .ok_or_else(|| format!("there is no rule {id:?}; docs/rules.md lists them"))
    }
}

impl From<Rule> for &str {
    fn from(rule: Rule) -> &'static str {
        rule.id()
    }
}

impl JsonSchema for Rule {
    fn schema_name() -> Cow<'static, str> {
        "Rule".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let ids: Vec<&str> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        json_schema!({"enum": ids})
    }
}

/// What a rule's findings do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Mode {
    /// Refuse what the rule refuses, warn of what it warns of.
    #[default]
    Enforce,
    /// Warn of both; refuse nothing.
    Warn,
    /// Put both on record; refuse nothing and say nothing to the user.
    Audit,
}

/// The mode of each rule; a rule that is not listed is enforced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modes(BTreeMap<Rule, Mode>);

impl From<BTreeMap<Rule, Mode>> for Modes {
    fn from(modes: BTreeMap<Rule, Mode>) -> Modes {
        Modes(modes)
    }
}

impl Modes {
    /// The mode that `rule` runs in.
    pub fn of(&self, rule: Rule) -> Mode {
        self.0.get(&rule).copied().unwrap_or_default()
    }

    /// Sets the mode of one rule.
    pub fn set(&mut self, rule: Rule, mode: Mode) {
        self.0.insert(rule, mode);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_unique_stable_text_that_finds_its_rule_again() {
        for rule in Rule::ALL {
            assert_eq!(Rule::from_id(rule.id()), Some(*rule));
            assert!(
                rule.id()
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || b"/-0123456789".contains(&byte)),
                "{}",
                rule.id()
            );
            assert!(!rule.why().ends_with('.'), "{}", rule.id());
        }
        assert_eq!(Rule::from_id("accounts/none"), None);
    }

    #[test]
    fn a_rule_that_is_not_listed_is_enforced() {
        let mut modes = Modes::default();
        modes.set(Rule::ValueMalformed, Mode::Audit);
        assert_eq!(modes.of(Rule::ValueMalformed), Mode::Audit);
        assert_eq!(modes.of(Rule::SecretMissing), Mode::Enforce);
    }
}
