//! What the person at kubectl reads, taken apart.

use std::collections::BTreeMap;

use keyguard_core::policy::rules::Rule;
use serde_json::{Value, json};

use crate::control_plane::kubectl::{Client, Finished};

/// The ids of the rules that a text names, in its order.
pub(crate) fn rules(text: &str) -> Vec<&str> {
    let bracketed = text.split('[').skip(1);
    bracketed
        .filter_map(|rest| rest.split_once(']'))
        .map(|(inside, _)| inside)
        .filter(|inside| Rule::from_id(inside).is_some())
        .collect()
}

/// Expects that a change was refused, under exactly these rules, and returns
/// what the person reads.
pub(crate) fn refused_by(finished: Finished, expected: &[&str]) -> String {
    let refusal = finished.expect_refused();
    assert_eq!(rules(&refusal), expected, "{refusal}");
    refusal
}

/// Expects that a change went through, and that keyguard warned of exactly
/// these rules.
pub(crate) fn warned_of(finished: Finished, expected: &[&str]) -> Finished {
    let finished = finished.expect_ok();
    let warnings = finished.warnings().join("\n");
    assert_eq!(rules(&warnings), expected, "{}", finished.stderr);
    finished
}

/// What was said to each of many objects that one kubectl created.
pub(crate) struct Answers {
    refusals: BTreeMap<String, String>,
    warnings: Vec<String>,
}

impl Answers {
    /// Creates them with this kubectl, which speaks of `namespace`.
    pub(crate) fn create(
        kubectl: Client<'_>,
        namespace: &str,
        objects: &[Value],
        arguments: &[&str],
    ) -> Self {
        // kubectl prints what went through as it goes, and every refusal at
        // the end, both in the order of the list.
        let output = r#"--output=jsonpath={.kind}/{.metadata.namespace}/{.metadata.name}{"\n"}"#;
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let create = ["create", output, "-f", "-"];
        let finished = kubectl
            .stdin(list.to_string())
            .run(create.iter().chain(arguments));
        let created: Vec<_> = finished.stdout.lines().collect();
        let names = objects.iter().map(|object| name(object, namespace));
        let others = names.filter(|name| !created.contains(&name.as_str()));
        let refusals: Vec<_> = finished
            .stderr
            .lines()
            .filter(|line| !line.starts_with("Warning: "))
            .collect();
        for refusal in &refusals {
            assert!(refusal.contains("denied the request: "), "{refusal}");
        }
        let others: Vec<_> = others.collect();
        assert_eq!(others.len(), refusals.len(), "{others:?} {refusals:#?}");
        let refusals = refusals.into_iter().map(str::to_owned);
        Self {
            refusals: others.into_iter().zip(refusals).collect(),
            warnings: finished.warnings().into_iter().map(str::to_owned).collect(),
        }
    }

    /// What was said to the person when this object was refused; empty when it
    /// was not.
    pub(crate) fn refusal(&self, object: &Value, namespace: &str) -> &str {
        let refusal = self.refusals.get(&name(object, namespace));
        refusal.map(String::as_str).unwrap_or_default()
    }

    /// Everything that the person read.
    pub(crate) fn text(&self) -> String {
        let refusals = self.refusals.values().chain(&self.warnings);
        refusals.map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// The rules under which keyguard warned, once for each different warning
    /// that has `text` in it.
    pub(crate) fn warnings(&self, text: &str) -> Vec<&str> {
        let warnings = self.warnings.iter();
        warnings
            .filter(|warning| warning.contains(text))
            .flat_map(|warning| rules(warning))
            .collect()
    }

    /// Expects that nothing was refused.
    pub(crate) fn expect_no_refusal(self) -> Self {
        assert!(self.refusals.is_empty(), "{:#?}", self.refusals);
        self
    }

    /// Expects that nothing was refused, and that keyguard said nothing.
    pub(crate) fn expect_silence(self) -> Self {
        let answers = self.expect_no_refusal();
        assert!(answers.warnings("").is_empty(), "{:#?}", answers.warnings);
        answers
    }
}

fn name(object: &Value, namespace: &str) -> String {
    let text = |field: &Value| field.as_str().map(str::to_owned);
    let metadata = &object["metadata"];
    format!(
        "{}/{}/{}",
        text(&object["kind"]).expect("an object has a kind"),
        text(&metadata["namespace"]).unwrap_or_else(|| namespace.to_owned()),
        text(&metadata["name"]).expect("an object has a name"),
    )
}
