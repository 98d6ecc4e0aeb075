//! What changed from one scan to the next.

use std::collections::{BTreeMap, HashSet};

use crate::report::{Finding, ObjectReference};

/// Where something may be that a scan did not see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Kinds that could not be listed, in one namespace or in all.
    pub kinds: Vec<(&'static str, Option<String>)>,
    /// Objects for which something was needed that could not be read.
    pub objects: HashSet<ObjectReference>,
}

impl Gaps {
    /// Whether the scan saw everything.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty() && self.objects.is_empty()
    }

    /// Whether anything in a namespace may be there that the scan does not have.
    pub fn may_hide_in(&self, namespace: &str) -> bool {
        let mut kinds = self.kinds.iter();
        kinds.any(|(_, of)| of.as_deref().is_none_or(|of| of == namespace))
            || self
                .objects
                .iter()
                .any(|object| object.namespace == namespace)
    }

    /// Whether a finding may still be there although the scan does not have it.
    fn may_hide(&self, finding: &Finding) -> bool {
        let Some(object) = &finding.object else {
            return !self.is_empty();
        };
        let listed = self.kinds.iter().any(|(kind, namespace)| {
            *kind == object.kind
                && namespace
                    .as_ref()
                    .is_none_or(|namespace| *namespace == object.namespace)
        });
        listed || self.objects.contains(object)
    }
}

/// A finding that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The finding.
    pub finding: Finding,
    /// When a scan saw it first, in Unix seconds.
    pub since: i64,
}

/// The findings that stand, by their fingerprints.
#[derive(Debug, Default)]
pub struct Drift {
    standing: BTreeMap<String, Standing>,
}

/// What a scan changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What was not there before.
    pub new: Vec<Finding>,
    /// What is there no more.
    pub gone: Vec<Standing>,
}

impl Drift {
    /// Takes in what a scan at `now`, in Unix seconds, found. What it may have missed stays as it was.
    pub fn next(&mut self, findings: &[Finding], gaps: &Gaps, now: i64) -> Change {
        let mut change = Change::default();
        let mut before = std::mem::take(&mut self.standing);
        for finding in findings {
            let known = before.remove(&finding.fingerprint);
            if known.is_none() {
                change.new.push(finding.clone());
            }
            let standing = Standing {
                finding: finding.clone(),
                since: known.map_or(now, |known| known.since),
            };
            self.standing.insert(finding.fingerprint.clone(), standing);
        }
        for (fingerprint, standing) in before {
            match gaps.may_hide(&standing.finding) {
                true => drop(self.standing.insert(fingerprint, standing)),
                false => change.gone.push(standing),
            }
        }
        change
    }

    /// Everything that stands, in the order of the fingerprints.
    pub fn standing(&self) -> impl Iterator<Item = &Standing> {
        self.standing.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Severity;

    fn finding(name: &str) -> Finding {
        Finding {
            file: String::new(),
            line: 0,
            column: 0,
            end_line: 0,
            end_column: 0,
            rule: "credentials/secret-missing",
            severity: Severity::Error,
            object: Some(ObjectReference {
                api_version: "apps/v1".into(),
                kind: "Deployment".into(),
                namespace: "codefresh".into(),
                name: name.into(),
            }),
            field: "spec".into(),
            message: "it is missing".into(),
            fingerprint: name.into(),
        }
    }

    fn names(standing: &Drift) -> Vec<(&str, i64)> {
        let standing = standing.standing();
        standing
            .map(|it| (it.finding.fingerprint.as_str(), it.since))
            .collect()
    }

    #[test]
    fn what_is_new_and_what_is_gone_is_told_with_since_when() {
        let mut drift = Drift::default();
        let gaps = Gaps::default();
        let change = drift.next(&[finding("a"), finding("b")], &gaps, 10);
        assert_eq!(change.new.len(), 2);
        let mut other_words = finding("b");
        other_words.message.push('!');
        let change = drift.next(&[other_words.clone(), finding("c")], &gaps, 20);
        assert_eq!(change.new, [finding("c")]);
        let gone = Standing {
            finding: finding("a"),
            since: 10,
        };
        assert_eq!(change.gone, [gone]);
        assert_eq!(names(&drift), [("b", 10), ("c", 20)]);
        let told = drift.standing().next().map(|it| &it.finding);
        assert_eq!(told, Some(&other_words), "the words are the last ones");
        assert_eq!(
            drift.next(&[other_words, finding("c")], &gaps, 30),
            Change::default()
        );
    }

    #[test]
    fn what_a_scan_may_have_missed_is_not_gone() {
        let of = |kinds: &[(&'static str, Option<&str>)], objects: &[&str]| Gaps {
            kinds: kinds
                .iter()
                .map(|(kind, namespace)| (*kind, namespace.map(str::to_owned)))
                .collect(),
            objects: objects
                .iter()
                .filter_map(|name| finding(name).object)
                .collect(),
        };
        for (gaps, stays) in [
            (of(&[("Deployment", None)], &[]), true),
            (of(&[("Deployment", Some("codefresh"))], &[]), true),
            (of(&[("Deployment", Some("other"))], &[]), false),
            (of(&[("StatefulSet", None)], &[]), false),
            (of(&[], &["a"]), true),
            (of(&[], &["b"]), false),
        ] {
            let mut drift = Drift::default();
            drift.next(&[finding("a")], &Gaps::default(), 10);
            let change = drift.next(&[], &gaps, 20);
            assert_eq!(change.gone.is_empty(), stays, "{gaps:?}");
            assert_eq!(names(&drift), [("a", 10)][..usize::from(stays)]);
            // It is gone once it would have been seen.
            let change = drift.next(&[], &Gaps::default(), 30);
            assert_eq!(change.gone.len(), usize::from(stays));
        }
    }
}
