//! Breaking the glass: somebody who may lifts named rules for one change, with a reason, on the record.
//!
//! The object says so itself, in an annotation. It counts for the user who asks now, not for the one who wrote it.

use std::collections::BTreeMap;
use std::fmt;

use super::cut::cut;
use super::rules::Rule;
use crate::runtime::name::looks_like_a_token;

/// The annotation: `<rule id>: <reason>`, several separated by semicolons or newlines.
pub const ANNOTATION: &str = "keyguard.dev/allow";
/// The most bytes of the annotation that are read.
pub const ANNOTATION_BYTES: usize = 4096;

/// The most bytes of one reason.
const REASON_BYTES: usize = 256;
/// The most objections that are told.
const OBJECTIONS: usize = 8;

/// What the annotation comes to for the user who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BreakGlass {
    lifted: BTreeMap<Rule, String>,
    objections: Vec<Objection>,
}

/// Why the annotation, or a part of it, changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// The user is in none of the groups that may.
    NotPermitted,
    /// There is no such rule.
    UnknownRule(String),
    /// No reason is given for a rule.
    NoReason(Rule),
}

impl fmt::Display for Objection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the annotation {ANNOTATION} ")?;
        match self {
            Objection::NotPermitted => formatter.write_str(
                "changes nothing, because you are in none of the groups that may break the glass (breakGlassGroups)",
            ),
            Objection::UnknownRule(named) => write!(
                formatter,
                "names {named:?}, which is no rule; write <rule id>: <reason>"
            ),
            Objection::NoReason(rule) => {
                write!(formatter, "gives no reason for {}", rule.id())
            }
        }
    }
}

impl BreakGlass {
    /// Reads the annotation for somebody who may break the glass, or may not.
    pub fn read(annotation: &str, permitted: bool) -> BreakGlass {
        let mut glass = BreakGlass::default();
        if !permitted {
            glass.objections.push(Objection::NotPermitted);
            return glass;
        }
        let entries = annotation.split([';', '\n']).map(str::trim);
        for entry in entries.filter(|entry| !entry.is_empty()) {
            let (id, reason) = entry.split_once(':').unwrap_or((entry, ""));
            let reason = clean(reason);
            match Rule::from_id(id.trim()) {
                None => glass.objections.push(Objection::UnknownRule(clean(id))),
                Some(rule) if reason.is_empty() => {
                    glass.objections.push(Objection::NoReason(rule));
                }
                Some(rule) => {
                    glass.lifted.entry(rule).or_insert(reason);
                }
            }
        }
        glass.objections.truncate(OBJECTIONS);
        glass
    }

    /// The reason for which a rule is lifted, if it is: one line of at most 256 bytes.
    pub fn reason(&self, rule: Rule) -> Option<&str> {
        self.lifted.get(&rule).map(String::as_str)
    }

    /// Why it, or a part of it, changes nothing.
    pub fn objections(&self) -> &[Objection] {
        &self.objections
    }
}

/// What somebody wrote, on one line, at a length that can be shown, without what may be a token.
fn clean(text: &str) -> String {
    let mut line = String::new();
    let breaks = |character: char| character.is_whitespace() || character.is_control();
    for word in text.split(breaks).filter(|word| !word.is_empty()) {
        if line.len() > REASON_BYTES {
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(if looks_like_a_token(word) {
            "<what looks like a token>"
        } else {
            word
        });
    }
    cut(&line, REASON_BYTES).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REMOVED: Rule = Rule::ApiKeyRemoved;

    #[test]
    fn exactly_the_rules_that_are_named_with_a_reason_are_lifted() {
        let unknown = |named: &str| Objection::UnknownRule(named.to_owned());
        let no_reason = Objection::NoReason(REMOVED);
        let table: [(&str, Option<&str>, Vec<Objection>); 11] = [
            (
                "accounts/api-key-removed: key leaked",
                Some("key leaked"),
                vec![],
            ),
            (
                "  accounts/api-key-removed :key: leaked  ",
                Some("key: leaked"),
                vec![],
            ),
            (
                "credentials/value-malformed: a; accounts/api-key-removed: b",
                Some("b"),
                vec![],
            ),
            (
                "credentials/value-malformed: a\naccounts/api-key-removed: b\n",
                Some("b"),
                vec![],
            ),
            (
                "accounts/api-key-removed: a; accounts/api-key-removed: b",
                Some("a"),
                vec![],
            ),
            ("accounts/api-key-removed:", None, vec![no_reason.clone()]),
            ("accounts/api-key-removed", None, vec![no_reason.clone()]),
            (
                "accounts/api-key-removed: \u{2028}\t",
                None,
                vec![no_reason],
            ),
            ("accounts/*: all of it", None, vec![unknown("accounts/*")]),
            ("because I say so", None, vec![unknown("because I say so")]),
            (" ;\n; ", None, vec![]),
        ];
        for (annotation, reason, objections) in table {
            let glass = BreakGlass::read(annotation, true);
            assert_eq!(glass.reason(REMOVED), reason, "{annotation}");
            assert_eq!(glass.objections(), objections, "{annotation}");
            assert_eq!(glass.reason(Rule::LoginRemoved), None);
        }
    }

    #[test]
    fn without_the_right_nothing_is_lifted_and_that_is_all_that_is_said() {
        let glass = BreakGlass::read("accounts/api-key-removed: x; nonsense", false);
        assert_eq!(glass.reason(REMOVED), None);
        assert_eq!(glass.objections(), [Objection::NotPermitted]);
    }

    #[test]
    fn no_token_gets_on_record_with_a_reason() {
        let token = format!("eyJ{}.eyJ{}.{}", "hbGciOiJI", "pc3MiOiJh", "Zm9vYmFyYmF6");
        let annotation = format!("accounts/api-key-removed: replaced token={token} by another");
        let glass = BreakGlass::read(&annotation, true);
        let expected = "replaced <what looks like a token> by another";
        assert_eq!(glass.reason(REMOVED), Some(expected));
    }

    proptest! {
        #[test]
        fn whatever_is_written_gets_on_record_as_one_short_line(text in "(?s).{0,600}") {
            let annotation = format!("accounts/api-key-removed:{text}");
            let glass = BreakGlass::read(&annotation, true);
            let objections = glass.objections().iter().map(ToString::to_string);
            for shown in glass.reason(REMOVED).map(str::to_owned).into_iter().chain(objections) {
                prop_assert!(shown.len() <= 1200 && !shown.contains(char::is_control), "{shown:?}");
            }
            prop_assert!(glass.objections().len() <= OBJECTIONS);
        }
    }
}
