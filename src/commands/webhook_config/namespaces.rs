//! Which namespaces the API server asks about, and how: to be judged, or for the record only.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use keyguard_core::policy::namespace_label::NamespaceLabel;
use keyguard_core::policy::plan::is_object_name;

/// The label that every namespace has, with its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// What the operator says of namespaces.
pub(crate) struct Namespaces {
    /// Those that are guarded; all when there are none.
    pub(crate) guarded: Vec<String>,
    /// The one that keyguard is in.
    pub(crate) own: String,
    /// Those that are exempt by name.
    pub(crate) exempt: Vec<String>,
    /// Labels by which others are exempt.
    pub(crate) exempt_labels: Vec<NamespaceLabel>,
}

impl Namespaces {
    /// A guarded namespace that cannot be one.
    pub(crate) fn fault(&self) -> Option<&str> {
        let mut guarded = self.guarded.iter().map(String::as_str);
        guarded.find(|name| !is_object_name(name) || name.contains('.'))
    }

    /// Those that are judged: never kube-system, the own one and those that are exempt. Only those among `names`,
    /// unless there are no names.
    pub(crate) fn judged(&self, names: &[String]) -> LabelSelector {
        let labels = self.labels().into_iter();
        let mut more: Vec<_> = labels.map(|label| has("NotIn", label)).collect();
        if !names.is_empty() {
            more.push(condition(NAME_LABEL, "In", names.to_vec()));
        }
        self.selector(&self.exempt, more)
    }

    /// Those that are exempt and asked about for the record only: by name, then by each label. Each
    /// with what tells the webhooks for it from the others.
    pub(crate) fn recorded(&self) -> Vec<(String, LabelSelector)> {
        let mut recorded = Vec::new();
        if !self.exempt.is_empty() {
            let named = condition(NAME_LABEL, "In", self.exempt.clone());
            recorded.push(("exempt".to_owned(), self.selector(&[], vec![named])));
        }
        for (index, label) in self.labels().into_iter().enumerate() {
            let labelled = vec![has("In", label)];
            let selector = self.selector(&self.exempt, labelled);
            recorded.push((format!("exempt-label-{index}"), selector));
        }
        recorded
    }

    fn labels(&self) -> Vec<&NamespaceLabel> {
        let mut labels: Vec<_> = self.exempt_labels.iter().collect();
        // As a chart sorts texts, so that both come to the same.
        labels.sort_by_cached_key(ToString::to_string);
        labels.dedup();
        labels
    }

    fn selector(&self, without: &[String], more: Vec<LabelSelectorRequirement>) -> LabelSelector {
        let mut left_out = vec!["kube-system".to_owned(), self.own.clone()];
        left_out.extend_from_slice(without);
        let mut conditions = vec![condition(NAME_LABEL, "NotIn", left_out)];
        if !self.guarded.is_empty() {
            conditions.push(condition(NAME_LABEL, "In", self.guarded.clone()));
        }
        conditions.extend(more);
        LabelSelector {
            match_expressions: Some(conditions),
            match_labels: None,
        }
    }
}

fn has(operator: &str, label: &NamespaceLabel) -> LabelSelectorRequirement {
    condition(label.key(), operator, vec![label.value().to_owned()])
}

fn condition(key: &str, operator: &str, mut values: Vec<String>) -> LabelSelectorRequirement {
    values.sort_unstable();
    values.dedup();
    LabelSelectorRequirement {
        key: key.to_owned(),
        operator: operator.to_owned(),
        values: Some(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespaces(guarded: &[&str]) -> Namespaces {
        Namespaces {
            guarded: guarded.iter().map(|name| (*name).to_owned()).collect(),
            own: "keyguard".to_owned(),
            exempt: vec!["sandbox".to_owned()],
            exempt_labels: ["team=b", "tier=test", "team=b"]
                .map(|text| NamespaceLabel::parse(text).unwrap())
                .into(),
        }
    }

    fn told(selector: LabelSelector) -> String {
        let conditions = selector.match_expressions.unwrap().into_iter();
        let conditions = conditions.map(|condition| {
            let values = condition.values.unwrap().join(" ");
            let key = condition.key.replace(NAME_LABEL, "name");
            format!("{key} {} [{values}]", condition.operator)
        });
        conditions.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn what_is_exempt_is_not_judged_and_asked_about_for_the_record() {
        let all = namespaces(&[]);
        let left_out = "name NotIn [keyguard kube-system sandbox]";
        assert_eq!(
            told(all.judged(&[])),
            format!("{left_out}, team NotIn [b], tier NotIn [test]")
        );
        let recorded = all.recorded().into_iter();
        let recorded: Vec<_> = recorded.map(|(name, of)| (name, told(of))).collect();
        let expected = [
            (
                "exempt",
                "name NotIn [keyguard kube-system], name In [sandbox]".to_owned(),
            ),
            ("exempt-label-0", format!("{left_out}, team In [b]")),
            ("exempt-label-1", format!("{left_out}, tier In [test]")),
        ];
        assert_eq!(recorded, expected.map(|(name, of)| (name.to_owned(), of)));
    }

    #[test]
    fn guarded_namespaces_are_named_beside_those_that_never_are() {
        let some = namespaces(&["runtime", "argocd", "runtime"]);
        assert_eq!(some.fault(), None);
        let both = "name NotIn [keyguard kube-system sandbox], name In [argocd runtime]";
        assert_eq!(
            told(some.judged(&[])),
            format!("{both}, team NotIn [b], tier NotIn [test]")
        );
        let (_, labelled) = some.recorded().swap_remove(1);
        assert_eq!(told(labelled), format!("{both}, team In [b]"));
        for bad in ["", "a.b", "A"] {
            assert_eq!(namespaces(&["a", bad]).fault(), Some(bad));
        }
    }

    #[test]
    fn without_exemptions_nothing_is_asked_about_for_the_record() {
        let none = Namespaces {
            exempt: Vec::new(),
            exempt_labels: Vec::new(),
            ..namespaces(&[])
        };
        assert!(none.recorded().is_empty());
        assert_eq!(told(none.judged(&[])), "name NotIn [keyguard kube-system]");
    }
}
