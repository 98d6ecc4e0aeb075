//! Workloads: whether the credential that they refer to is there and can work.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use std::collections::BTreeMap;

use crate::policy::credential_defects::{Defect, Place};
use crate::policy::facts::{CredentialFact, Facts, ModeFact, Unread};
use crate::policy::rules::Rule;
use crate::policy::verdict::{Finding, Severity};
use crate::runtime::credential::{Reference, References, Unresolved};
use crate::runtime::environment::UnresolvedCause;
use crate::runtime::mode::{self, Maker};
use crate::runtime::value::ValueDefect;

/// What happens to a request whose Secret could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum OnError {
    /// Refuse it.
    #[default]
    Deny,
    /// Let it through with a warning.
    Allow,
}

impl OnError {
    /// What not knowing asks for.
    pub(super) fn severity(self) -> Severity {
        match self {
            OnError::Deny => Severity::Refusal,
            OnError::Allow => Severity::Warning,
        }
    }
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
    /// Whether what depends on other objects is only warned of: they may come with the same change.
    pub lenient: bool,
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
        let found = defects(
            reference,
            &fact,
            facts,
            circumstances,
            references.secrets_store,
        );
        for defect in found {
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

fn defects(
    reference: &Reference,
    fact: &CredentialFact,
    facts: Option<&Facts>,
    circumstances: &Circumstances<'_>,
    secrets_store: bool,
) -> Vec<Defect> {
    let mode = facts.map_or(&ModeFact::NotNeeded, |facts| &facts.mode);
    let maker = mode::maker_of(reference, mode.mode());
    // What nobody has to create, or what may be absent, cannot make a change worth refusing.
    let never_refused = circumstances.unchanged || reference.optional || maker == Maker::AppProxy;
    let cap = |severity: Severity, never: bool| match never {
        true => Severity::Warning,
        false => severity,
    };
    let capped = |severity| cap(severity, never_refused || circumstances.lenient);
    let place = Place {
        reference,
        namespace: circumstances.namespace,
    };
    match fact {
        CredentialFact::SecretMissing | CredentialFact::KeyMissing if reference.optional => {
            Vec::new()
        }
        // Argo CD and App Proxy both add their key to a Secret that is there without it.
        CredentialFact::SecretMissing | CredentialFact::KeyMissing
            if facts.is_some_and(|facts| facts.initial_password_spent)
                && mode::is_initial_password(reference) =>
        {
            vec![place.initial_password_spent(capped(Severity::Refusal))]
        }
        CredentialFact::SecretMissing | CredentialFact::KeyMissing if maker != Maker::Person => {
            vec![place.not_yet_made(maker, mode)]
        }
        CredentialFact::NameInvalid => {
            vec![place.name_invalid(cap(Severity::Refusal, never_refused))]
        }
        CredentialFact::SecretMissing if secrets_store => vec![place.made_with_the_pod()],
        CredentialFact::SecretMissing => vec![place.secret_missing(capped(Severity::Refusal))],
        CredentialFact::KeyMissing => vec![place.key_missing(capped(Severity::Refusal))],
        CredentialFact::Unread(unread) => {
            vec![place.unread(unread, capped(circumstances.on_error.severity()))]
        }
        CredentialFact::Value(defects) => {
            let verified = facts.and_then(|facts| facts.verification.of(reference));
            let overruled = |defect: &&ValueDefect| {
                verified.is_some_and(|it| it.overrules(defect, reference.role))
            };
            let values = defects
                .iter()
                .filter(|defect| !overruled(defect))
                .map(|defect| {
                    let unresolved =
                        *defect == ValueDefect::VaultReference && reference.is_by_name();
                    let severity = if unresolved || defect.is_certain(reference.role) {
                        Severity::Refusal
                    } else {
                        Severity::Warning
                    };
                    place.value(defect, capped(severity))
                });
            let verification = facts.map(|facts| &facts.verification);
            let verified = verification.map(|verification| {
                verification.defects(&place, circumstances.on_error.severity(), capped)
            });
            values.chain(verified.into_iter().flatten()).collect()
        }
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

/// A workload whose pod template cannot be read, at `field`.
pub fn malformed(kind: &str, field: &str, unchanged: bool) -> Finding {
    Finding {
        rule: Rule::WorkloadMalformed,
        severity: if unchanged {
            Severity::Warning
        } else {
            Severity::Refusal
        },
        what: format!("the pod template of the {kind} is malformed ({field})"),
        mend: "Correct what stands there; in YAML, a number or a boolean that is to be text needs quotes."
            .to_owned(),
        fields: vec![field.to_owned()],
    }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
