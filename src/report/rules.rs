//! The rules as a report describes them: those of admission, then those that only `check` has.

use keyguard_core::policy::check_rules::CheckRule;
use keyguard_core::policy::rules::Rule;

use super::Severity;

/// A rule, as a report describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleDescription {
    /// Its id.
    pub id: &'static str,
    /// Why it matters, a clause without a full stop.
    pub why: &'static str,
    /// How bad its findings are as a rule; a finding has a severity of its own.
    pub severity: Severity,
    /// Where keyguard's documents say more, such as `docs/rules.md#accountsunreadable`.
    pub documentation: String,
}

impl RuleDescription {
    /// The id in words, such as `API key removed`.
    pub fn title(&self) -> String {
        let name = self.id.rsplit('/').next().unwrap_or(self.id);
        let words: Vec<&str> = name
            .split('-')
            .map(|word| match word {
                "api" => "API",
                "argocd" => "Argo CD",
                word => word,
            })
            .collect();
        sentence_case(&words.join(" "))
    }
}

/// Every rule, in the order of the documentation.
pub fn all() -> impl Iterator<Item = RuleDescription> {
    let admission = Rule::ALL.iter().map(|rule| RuleDescription {
        id: rule.id(),
        why: rule.why(),
        severity: severity(*rule),
        documentation: format!("docs/rules.md#{}", rule.id().replace('/', "")),
    });
    let check = CheckRule::ALL.iter().map(|rule| RuleDescription {
        id: rule.id(),
        why: rule.why(),
        severity: check_severity(*rule),
        documentation: "docs/check.md#rules-of-check".to_owned(),
    });
    admission.chain(check)
}

/// Why the rule of this id matters, if there is such a rule.
pub fn why(id: &str) -> Option<&'static str> {
    all().find(|rule| rule.id == id).map(|rule| rule.why)
}

/// With its first letter in upper case.
pub(super) fn sentence_case(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default()
}

/// Admission refuses what most rules find; of these it only warns.
fn severity(rule: Rule) -> Severity {
    match rule {
        Rule::PasswordAccountUntold | Rule::ArgocdNotFound | Rule::Unresolvable => {
            Severity::Warning
        }
        Rule::SecretNotYetMade => Severity::Note,
        _ => Severity::Error,
    }
}

fn check_severity(rule: CheckRule) -> Severity {
    match rule {
        CheckRule::PlainCredential | CheckRule::MadeTooLate | CheckRule::IgnoreIncomplete => {
            Severity::Warning
        }
        CheckRule::KeysUnknown => Severity::Note,
        _ => Severity::Error,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_is_described_once() {
        let ids: Vec<_> = all().map(|rule| rule.id).collect();
        let different: BTreeSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), different.len());
        assert_eq!(ids.len(), Rule::ALL.len() + CheckRule::ALL.len());
        assert!(all().all(|rule| why(rule.id) == Some(rule.why)));
        assert_eq!(why("accounts/none"), None);
    }

    #[test]
    fn a_title_is_the_id_in_words() {
        let title = |id| {
            all()
                .find(|rule| rule.id == id)
                .map(|rule| rule.title())
                .unwrap()
        };
        assert_eq!(title("accounts/api-key-removed"), "API key removed");
        assert_eq!(title("credentials/argocd-not-found"), "Argo CD not found");
        assert_eq!(title("values/path-not-read"), "Path not read");
    }
}
