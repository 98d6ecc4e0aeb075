//! The verdict: what was found, and what that does under the modes in force.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::break_glass::{BreakGlass, Objection};
use super::cut::cut;
use super::rules::{Mode, Modes, Rule};

/// What a rule asks for before its mode is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth saying, nothing to refuse.
    Warning,
    /// To be refused.
    Refusal,
}

/// The most bytes of one sentence of a finding.
const SENTENCE_BYTES: usize = 1024;
/// The most bytes of one place of a finding.
const FIELD_BYTES: usize = 256;

/// What is wrong and where, why it matters, how to mend it, and the id of the rule.
pub fn sentence(what: &str, why: &str, mend: &str, rule: &str) -> String {
    format!("{what}: {why}. {mend} [{rule}]")
}

/// One thing that is wrong: what, where and how to mend it. Why it matters is the rule's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule it is reported under.
    pub rule: Rule,
    /// What the rule asks for.
    pub severity: Severity,
    /// Every place it was found at, such as `data["accounts.admin"]`; at least one.
    pub fields: Vec<String>,
    /// What is wrong and where, a clause without a full stop; never part of a secret value.
    pub what: String,
    /// How to mend it, a sentence with its full stop.
    pub mend: String,
}

impl Finding {
    /// The whole sentence: what and where, why it matters, how to mend it, which rule.
    pub fn message(&self) -> String {
        sentence(&self.what, self.rule.why(), &self.mend, self.rule.id())
    }

    /// The same at lengths that can be shown: names and values in it may be of any.
    fn bounded(mut self) -> Finding {
        let fields = self.fields.iter_mut().map(|field| (field, FIELD_BYTES));
        let sentences = [&mut self.what, &mut self.mend].map(|text| (text, SENTENCE_BYTES));
        for (text, most) in fields.chain(sentences) {
            if text.len() > most {
                *text = cut(text, most).into_owned();
            }
        }
        self
    }
}

/// What a finding does under the mode of its rule.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    IntoStaticStr,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[schemars(inline)]
pub enum Effect {
    /// On record only.
    Record,
    /// Said to the user; the request goes through.
    Warn,
    /// Would be refused; the user may break the glass and has.
    Lifted,
    /// The request is refused.
    Deny,
}

/// The decision on a request. Its names are a closed set for logs, metrics and audit annotations.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    IntoStaticStr,
    VariantArray,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[schemars(inline)]
pub enum Decision {
    /// Nothing is wrong, or nothing that keyguard guards is concerned.
    Allow,
    /// The user or namespace is exempt by configuration; nothing was looked at.
    Exempt,
    /// Something is wrong, and its rule's mode keeps it to the record.
    Audit,
    /// Goes through with a warning.
    Warn,
    /// Would be refused, and goes through because somebody who may has broken the glass.
    BreakGlass,
    /// Refused.
    Deny,
    /// Not looked at, as too much was in progress; the API server takes it for a failed call.
    Shed,
    /// Not understood or not whole; the API server takes it for a failed call.
    Failed,
}

impl Decision {
    /// The name in logs, metrics and audit annotations.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Why a request was let through without being judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[schemars(inline)]
pub enum Passage {
    /// Not an object, operation or subresource that keyguard guards.
    NotGuarded,
    /// The object is being deleted already.
    BeingDeleted,
    /// The namespace controller or the garbage collector deletes it.
    ClusterController,
    /// A controller owns the object: the owner's template was judged.
    Controlled,
    /// The user is exempt by configuration.
    ExemptUser,
    /// A group of the user is exempt by configuration.
    ExemptGroup,
    /// The namespace is exempt by configuration.
    ExemptNamespace,
    /// The namespace is exempt by one of its labels.
    ExemptNamespaceLabel,
}

impl Passage {
    /// The reason as it stands on record.
    pub fn name(self) -> &'static str {
        self.into()
    }

    fn decision(self) -> Decision {
        match self {
            Passage::ExemptUser
            | Passage::ExemptGroup
            | Passage::ExemptNamespace
            | Passage::ExemptNamespaceLabel => Decision::Exempt,
            _ => Decision::Allow,
        }
    }
}

/// A finding with its effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What was found.
    pub finding: Finding,
    /// What it does.
    pub effect: Effect,
}

/// What is decided on a request, and everything that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The decision.
    pub decision: Decision,
    /// Everything found, whatever its effect.
    pub judged: Vec<Judged>,
    /// Why nothing was judged, when nothing was.
    pub passage: Option<Passage>,
    /// What let the request through: the entry of the configuration that exempts it, or each lifted
    /// rule with the reason given for it. Empty otherwise.
    pub reason: String,
    /// Why an annotation that was to lift rules, or a part of it, changes nothing.
    pub objections: Vec<Objection>,
}

impl Verdict {
    /// Let through unjudged.
    pub fn passed(passage: Passage) -> Verdict {
        Verdict {
            decision: passage.decision(),
            judged: Vec::new(),
            passage: Some(passage),
            reason: String::new(),
            objections: Vec::new(),
        }
    }

    /// The same with the reason on record.
    pub fn because(mut self, reason: &str) -> Verdict {
        self.reason = cut(reason, SENTENCE_BYTES).into_owned();
        self
    }

    /// The verdict on `findings` under `modes`: the strongest effect decides.
    pub fn of(findings: Vec<Finding>, modes: &Modes) -> Verdict {
        let judged: Vec<Judged> = findings
            .into_iter()
            .map(|finding| Judged {
                effect: effect(finding.severity, modes.of(finding.rule)),
                finding: finding.bounded(),
            })
            .collect();
        Verdict {
            decision: strongest(&judged),
            judged,
            passage: None,
            reason: String::new(),
            objections: Vec::new(),
        }
    }

    /// The same when the glass is broken: refusals under the rules that it lifts are none.
    pub fn under(mut self, glass: &BreakGlass) -> Verdict {
        let mut reasons: Vec<String> = Vec::new();
        for judged in &mut self.judged {
            let rule = judged.finding.rule;
            let Some(reason) = glass.reason(rule).filter(|_| judged.effect == Effect::Deny) else {
                continue;
            };
            judged.effect = Effect::Lifted;
            let reason = format!("{}: {reason}", rule.id());
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        self.decision = strongest(&self.judged);
        self.objections = glass.objections().to_vec();
        self.because(&reasons.join("; "))
    }

    /// Whether the request goes through.
    pub fn allowed(&self) -> bool {
        self.decision != Decision::Deny
    }

    /// The findings of one effect, in the order found.
    pub fn findings(&self, effect: Effect) -> impl Iterator<Item = &Finding> {
        self.judged
            .iter()
            .filter(move |judged| judged.effect == effect)
            .map(|judged| &judged.finding)
    }

    /// The rules that found something, sorted, each once.
    pub fn rules(&self) -> Vec<Rule> {
        let mut rules: Vec<Rule> = self
            .judged
            .iter()
            .map(|judged| judged.finding.rule)
            .collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }
}

fn strongest(judged: &[Judged]) -> Decision {
    match judged.iter().map(|judged| judged.effect).max() {
        None => Decision::Allow,
        Some(Effect::Record) => Decision::Audit,
        Some(Effect::Warn) => Decision::Warn,
        Some(Effect::Lifted) => Decision::BreakGlass,
        Some(Effect::Deny) => Decision::Deny,
    }
}

fn effect(severity: Severity, mode: Mode) -> Effect {
    match (mode, severity) {
        (Mode::Audit, _) => Effect::Record,
        (Mode::Warn, _) | (Mode::Enforce, Severity::Warning) => Effect::Warn,
        (Mode::Enforce, Severity::Refusal) => Effect::Deny,
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
