//! What is said of a credential that is missing, malformed or unread: the sentences and their rules.

use crate::argocd::token_defect::TokenDefect;
use crate::policy::facts::{ModeFact, Unread};
use crate::policy::rules::Rule;
use crate::policy::verdict::Severity;
use crate::runtime::credential::Reference;
use crate::runtime::mode::Maker;
use crate::runtime::name::Shown;
use crate::runtime::value::{Role, ValueDefect};

/// A defect at one reference, before the same at other places is merged into it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Defect {
    pub(super) rule: Rule,
    pub(super) severity: Severity,
    pub(super) what: String,
    pub(super) mend: String,
}

/// What to do with a token that stands in a manifest.
const TOKEN_ADVICE: &str = "put the token into a Secret and refer to that by name and key; then \
    generate a new one, because manifests are not secret: argocd account generate-token --account <account>.";

/// A reference and where it is, for the sentences.
pub(super) struct Place<'a> {
    pub(super) reference: &'a Reference,
    pub(super) namespace: &'a str,
}

impl Place<'_> {
    fn secret(&self) -> String {
        format!(
            "Secret {} in namespace {:?}",
            self.reference.secret, self.namespace
        )
    }

    /// The advice, and what to do besides when a token stands where a name or a key belongs.
    fn advised(&self, advice: impl Into<String>) -> String {
        let advice = advice.into();
        let Reference { secret, key, .. } = self.reference;
        let (secret, key) = (secret.shown(), key.shown());
        let (length, what) = match (secret, key) {
            (Shown::Token(length), _) => (length, "Secret's name"),
            (_, Shown::Token(length)) => (length, "key"),
            _ => return advice,
        };
        format!(
            "What looks like a token ({length} characters) stands where the {what} belongs: {TOKEN_ADVICE} {advice}"
        )
    }

    pub(super) fn secret_missing(&self, severity: Severity) -> Defect {
        let Reference {
            secret, key, role, ..
        } = self.reference;
        // What no Secret can have, or nobody may read, must not end up in a command to copy.
        let secret_shown = match secret.shown() {
            Shown::Name(name) => name,
            Shown::Token(_) | Shown::Impossible(_) => "<name>",
        };
        let key = match key.shown() {
            Shown::Name(key) => key,
            Shown::Token(_) | Shown::Impossible(_) => "<key>",
        };
        let placeholder = match role {
            Role::Token => "<API key>",
            Role::Password => "<password>",
        };
        Defect {
            rule: Rule::SecretMissing,
            severity,
            what: format!(
                "Secret {secret} does not exist in namespace {:?}",
                self.namespace
            ),
            mend: self.advised(format!(
                "Create it first: kubectl create secret generic {secret_shown} -n {} --from-literal={key}='{placeholder}'. \
                 When an ExternalSecret, a SealedSecret or the like makes it, put that into an earlier sync wave \
                 (annotation argocd.argoproj.io/sync-wave: \"-1\"); Argo CD applies a Secret itself before the workload.",
                self.namespace
            )),
        }
    }

    /// The password that argocd-server made once, and does not make again.
    pub(super) fn initial_password_spent(&self, severity: Severity) -> Defect {
        Defect {
            rule: Rule::SecretMissing,
            severity,
            what: format!(
                "{} is missing, and argocd-server does not make it again: argocd-secret beside it has admin.password",
                self.secret()
            ),
            mend: format!(
                "Put the password that the account has into it (kubectl create secret generic {} -n {} \
                 --from-literal={}='<password>'), or refer to the Secret that holds it.",
                self.reference.secret.shown(),
                self.namespace,
                self.reference.key.shown()
            ),
        }
    }

    /// A Secret that a volume of the Secrets Store CSI driver may make.
    pub(super) fn made_with_the_pod(&self) -> Defect {
        Defect {
            rule: Rule::SecretNotYetMade,
            severity: Severity::Warning,
            what: format!("{} is not there yet", self.secret()),
            mend: "Make sure that a SecretProviderClass of the pod's CSI volume makes it (spec.secretObjects): that \
                   happens when the pod starts."
                .to_owned(),
        }
    }

    pub(super) fn name_invalid(&self, severity: Severity) -> Defect {
        let length = self.reference.secret.as_str().chars().count();
        let what = match self.reference.secret.shown() {
            Shown::Token(_) => format!(
                "what looks like a token ({length} characters) stands where the name of a Secret belongs"
            ),
            _ if length == 0 => "the name of the Secret is empty".to_owned(),
            _ => format!("no Secret can have the name of {length} characters that is given"),
        };
        Defect {
            rule: Rule::SecretMissing,
            severity,
            what,
            mend: self.advised("Write the name of an existing Secret of this namespace."),
        }
    }

    pub(super) fn key_missing(&self, severity: Severity) -> Defect {
        Defect {
            rule: Rule::KeyMissing,
            severity,
            what: format!("{} has no key {}", self.secret(), self.reference.key),
            mend: self.advised(
                "Add the key to the Secret, or refer to the key that holds the credential.",
            ),
        }
    }

    pub(super) fn not_yet_made(&self, maker: Maker, mode: &ModeFact) -> Defect {
        let mend = match (maker, mode) {
            (Maker::AppProxy, _) => "Nothing to do: App Proxy makes it after it has started.",
            (Maker::ArgoCd, _) => {
                "Nothing to do on a fresh install: argocd-server makes it at its first start."
            }
            (_, ModeFact::Unread(Unread::Forbidden)) => {
                "keyguard's service account lacks the right to get configmaps (cap-app-proxy-cm); create the Secret if you use a token or an external Argo CD."
            }
            (_, ModeFact::Unread(_)) => {
                "ConfigMap cap-app-proxy-cm could not be read; create the Secret if you use a token or an external Argo CD."
            }
            _ => {
                "ConfigMap cap-app-proxy-cm does not tell the mode; create the Secret if you use a token or an external Argo CD."
            }
        };
        Defect {
            rule: Rule::SecretNotYetMade,
            severity: Severity::Warning,
            what: format!("{} is not there yet", self.secret()),
            mend: mend.to_owned(),
        }
    }

    pub(super) fn unread(&self, unread: &Unread, severity: Severity) -> Defect {
        Defect {
            rule: Rule::SecretUnreadable,
            severity,
            what: format!("{} could not be read: {}", self.secret(), unread.what()),
            mend: self.advised(unread.mend()),
        }
    }

    /// The credential, as the subject of a sentence.
    pub(super) fn credential(&self) -> String {
        let noun = match self.reference.role {
            Role::Token => "token",
            Role::Password => "password",
        };
        format!(
            "the {noun} in {}, key {},",
            self.secret(),
            self.reference.key
        )
    }

    pub(super) fn value(&self, defect: &ValueDefect, severity: Severity) -> Defect {
        Defect {
            rule: rule_of_value(defect),
            severity,
            what: format!("{} {defect}", self.credential()),
            mend: self.advised(match defect {
                ValueDefect::VaultReference if !self.reference.is_by_name() => RESOLVED_IN_THE_POD,
                _ => defect.mend(),
            }),
        }
    }
}

/// What to do about a reference that a webhook resolves when the pod comes.
const RESOLVED_IN_THE_POD: &str =
    "Make sure that Bank-Vaults' webhook changes these pods; keyguard cannot tell what it finds.";

/// The rule that a defect of a value is reported under.
pub fn rule_of_value(defect: &ValueDefect) -> Rule {
    match defect {
        ValueDefect::Token(TokenDefect::NotYetValid) => Rule::TokenNotYetValid,
        ValueDefect::Token(TokenDefect::Expired | TokenDefect::Expires) => Rule::TokenExpires,
        ValueDefect::Token(_) => Rule::NotAnApiKey,
        _ => Rule::ValueMalformed,
    }
}
