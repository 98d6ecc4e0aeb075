//! Workloads: whether the credential that they refer to is there and can work.

use std::collections::BTreeMap;

use crate::argocd::token::TokenDefect;
use crate::policy::facts::{CredentialFact, Facts, ModeFact, Unread};
use crate::policy::rules::Rule;
use crate::policy::verdict::{Finding, Severity};
use crate::runtime::credential::{Reference, References, Unresolved, UnresolvedCause};
use crate::runtime::mode::{self, Maker};
use crate::runtime::value::{Role, ValueDefect};

/// What happens to a request whose Secret could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// Refuse it.
    #[default]
    Deny,
    /// Let it through with a warning.
    Allow,
}

/// What the verdict depends on besides the facts.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The workload's namespace, where its Secrets are.
    pub namespace: &'a str,
    /// Whether an UPDATE leaves the pods as they are: then nothing is refused, so that nobody is
    /// kept from scaling down or cleaning up.
    pub unchanged: bool,
    /// What happens when a Secret could not be read.
    pub on_error: OnError,
}

/// Everything that is wrong with what a workload refers to.
pub fn judge(
    references: &References,
    facts: Option<&Facts>,
    circumstances: &Circumstances<'_>,
) -> Vec<Finding> {
    let mut merged: Vec<Merged> = Vec::new();
    let mut places: BTreeMap<Defect, usize> = BTreeMap::new();
    for reference in &references.found {
        let fact = facts.map_or(CredentialFact::Unread(Unread::TooMany), |facts| {
            facts.of(reference)
        });
        let mode = facts.map_or(&ModeFact::NotNeeded, |facts| &facts.mode);
        for defect in defects(reference, &fact, mode, circumstances) {
            let place = *places.entry(defect.clone()).or_insert(merged.len());
            match merged.get_mut(place) {
                Some(known) => known.fields.push(reference.field.clone()),
                None => merged.push(Merged {
                    defect,
                    variable: reference.variable,
                    fields: vec![reference.field.clone()],
                }),
            }
        }
    }
    merged
        .into_iter()
        .map(Merged::finding)
        .chain(references.unresolved.iter().map(unresolved))
        .collect()
}

/// A defect at one reference, before the same at other places is merged into it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Defect {
    rule: Rule,
    severity: Severity,
    what: String,
    mend: String,
}

fn defects(
    reference: &Reference,
    fact: &CredentialFact,
    mode: &ModeFact,
    circumstances: &Circumstances<'_>,
) -> Vec<Defect> {
    let maker = mode::maker(mode.mode(), &reference.secret, &reference.key);
    // What nobody has to create, or what may be absent, cannot make a change worth refusing.
    let never_refused = circumstances.unchanged || reference.optional || maker == Maker::AppProxy;
    let capped = |severity: Severity| {
        if never_refused {
            Severity::Warning
        } else {
            severity
        }
    };
    let place = Place {
        reference,
        namespace: circumstances.namespace,
    };
    match fact {
        CredentialFact::SecretMissing | CredentialFact::KeyMissing if reference.optional => {
            Vec::new()
        }
        CredentialFact::SecretMissing if maker != Maker::Person => {
            vec![place.not_yet_made(maker, mode)]
        }
        CredentialFact::KeyMissing if maker == Maker::AppProxy => {
            vec![place.not_yet_made(maker, mode)]
        }
        CredentialFact::NameInvalid => vec![place.name_invalid(capped(Severity::Refusal))],
        CredentialFact::SecretMissing => vec![place.secret_missing(capped(Severity::Refusal))],
        CredentialFact::KeyMissing => vec![place.key_missing(capped(Severity::Refusal))],
        CredentialFact::Unread(unread) => {
            let severity = match circumstances.on_error {
                OnError::Deny => Severity::Refusal,
                OnError::Allow => Severity::Warning,
            };
            vec![place.unread(unread, capped(severity))]
        }
        CredentialFact::Value(defects) => defects
            .iter()
            .map(|defect| {
                let severity = if defect.is_certain(reference.role) {
                    Severity::Refusal
                } else {
                    Severity::Warning
                };
                place.value(defect, capped(severity))
            })
            .collect(),
    }
}

/// A reference and where it is, for the sentences.
struct Place<'a> {
    reference: &'a Reference,
    namespace: &'a str,
}

impl Place<'_> {
    fn secret(&self) -> String {
        format!(
            "Secret {:?} in namespace {:?}",
            self.reference.secret, self.namespace
        )
    }

    fn secret_missing(&self, severity: Severity) -> Defect {
        let Reference {
            secret, key, role, ..
        } = self.reference;
        // What no Secret can have as a key must not end up in a command to copy.
        let key = if is_data_key(key) { key } else { "<key>" };
        let placeholder = match role {
            Role::Token => "<API key>",
            Role::Password => "<password>",
        };
        Defect {
            rule: Rule::SecretMissing,
            severity,
            what: format!(
                "Secret {secret:?} does not exist in namespace {:?}",
                self.namespace
            ),
            mend: format!(
                "Create it first: kubectl create secret generic {secret} -n {} --from-literal={key}='{placeholder}'. \
                 When both are in one GitOps sync, put the Secret into an earlier wave \
                 (annotation argocd.argoproj.io/sync-wave: \"-1\"); the next sync then goes through.",
                self.namespace
            ),
        }
    }

    fn name_invalid(&self, severity: Severity) -> Defect {
        let shown: String = self.reference.secret.chars().take(64).collect();
        Defect {
            rule: Rule::SecretMissing,
            severity,
            what: format!("no Secret can have the name {shown:?}"),
            mend: "Write the name of an existing Secret of this namespace.".to_owned(),
        }
    }

    fn key_missing(&self, severity: Severity) -> Defect {
        Defect {
            rule: Rule::KeyMissing,
            severity,
            what: format!("{} has no key {:?}", self.secret(), self.reference.key),
            mend: "Add the key to the Secret, or refer to the key that holds the credential."
                .to_owned(),
        }
    }

    fn not_yet_made(&self, maker: Maker, mode: &ModeFact) -> Defect {
        let mend = match (maker, mode) {
            (Maker::AppProxy, _) => "Nothing to do: App Proxy makes it after it has started.",
            (Maker::ArgoCd, _) => {
                "Nothing to do on a fresh install: argocd-server makes it at its first start."
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

    fn unread(&self, unread: &Unread, severity: Severity) -> Defect {
        Defect {
            rule: Rule::SecretUnreadable,
            severity,
            what: format!("{} could not be read: {}", self.secret(), unread.what()),
            mend: unread.mend().to_owned(),
        }
    }

    fn value(&self, defect: &ValueDefect, severity: Severity) -> Defect {
        let noun = match self.reference.role {
            Role::Token => "token",
            Role::Password => "password",
        };
        Defect {
            rule: rule_of(defect),
            severity,
            what: format!(
                "the {noun} in {}, key {:?}, {defect}",
                self.secret(),
                self.reference.key
            ),
            mend: defect.mend().to_owned(),
        }
    }
}

/// Whether a Secret can have such a key.
fn is_data_key(key: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !key.is_empty() && key.len() <= 253 && key.bytes().all(allowed)
}

/// The rule that a defect of a value is reported under.
pub fn rule_of(defect: &ValueDefect) -> Rule {
    match defect {
        ValueDefect::NotUtf8 => Rule::NotUtf8,
        ValueDefect::Empty => Rule::ValueEmpty,
        ValueDefect::TrailingNewline => Rule::TrailingNewline,
        ValueDefect::SurroundingSpace => Rule::SurroundingSpace,
        ValueDefect::Base64Twice => Rule::Base64Twice,
        ValueDefect::BearerPrefix => Rule::BearerPrefix,
        ValueDefect::Quoted => Rule::Quoted,
        ValueDefect::Placeholder => Rule::Placeholder,
        ValueDefect::Token(defect) => token_rule(defect),
    }
}

fn token_rule(defect: &TokenDefect) -> Rule {
    match defect {
        TokenDefect::LineBreak
        | TokenDefect::Segments(_)
        | TokenDefect::NotBase64Url(_)
        | TokenDefect::NotJson(_)
        | TokenDefect::SignatureLength { .. } => Rule::TokenMalformed,
        TokenDefect::Algorithm => Rule::TokenAlgorithm,
        TokenDefect::Issuer => Rule::TokenIssuer,
        TokenDefect::NoSubject
        | TokenDefect::IssuedAt
        | TokenDefect::Id
        | TokenDefect::ExpiryType
        | TokenDefect::NotBeforeType => Rule::TokenClaims,
        TokenDefect::ProjectRole => Rule::TokenProjectRole,
        TokenDefect::LoginSession => Rule::TokenLoginSession,
        TokenDefect::NotYetValid => Rule::TokenNotYetValid,
        TokenDefect::Expired | TokenDefect::Expires => Rule::TokenExpires,
    }
}

/// One defect with every place it stands at.
struct Merged {
    defect: Defect,
    variable: &'static str,
    fields: Vec<String>,
}

impl Merged {
    fn finding(self) -> Finding {
        let first = self.fields.first().map(String::as_str).unwrap_or_default();
        let more = match self.fields.len().saturating_sub(1) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Finding {
            rule: self.defect.rule,
            severity: self.defect.severity,
            what: format!("{} ({first}: {}{more})", self.defect.what, self.variable),
            mend: self.defect.mend,
            fields: self.fields,
        }
    }
}

fn unresolved(unresolved: &Unresolved) -> Finding {
    let what = match unresolved.cause {
        UnresolvedCause::Expansion => "holds a reference to another variable",
        UnresolvedCause::NotPlain => "is not a plain value",
        UnresolvedCause::NoKey => "is missing beside ARGO_CD_TOKEN_SECRET_NAME",
    };
    Finding {
        rule: Rule::Unresolvable,
        severity: Severity::Warning,
        what: format!("{} {what} ({})", unresolved.variable, unresolved.field),
        mend: "Make sure yourself that the Secret and its key are there.".to_owned(),
        fields: vec![unresolved.field.clone()],
    }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
