//! Situations from public reports, put to the running server: each with what is right, and why.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

use serde::Deserialize;
use serde_json::{Value, json};

use crate::control_plane::ControlPlane;
use crate::control_plane::keyguard::{Keyguard, Options, Reads};
use crate::control_plane::workspace::Workspace;

const REPORTS: &str = include_str!("../fixtures/reports.json");
/// Changes under the guards, of the same form: who loses what, and who does not.
const GUARDS: &str = include_str!("../fixtures/guards.json");

/// One situation; what else the file has is for people.
#[derive(Deserialize)]
struct Report {
    name: String,
    why: String,
    config: Option<Value>,
    state: Vec<Value>,
    review: Value,
    want: Want,
}

#[derive(Debug, Deserialize)]
struct Want {
    allowed: bool,
    finding: Finding,
    says: Vec<String>,
    never: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Finding {
    None,
    Warn,
    Deny,
}

#[test]
fn every_report_is_answered_as_is_right() {
    assert_eq!(all_right(REPORTS), 27);
}

#[test]
fn every_change_under_the_guards_is_answered_as_is_right() {
    assert_eq!(all_right(GUARDS), 31);
}

/// How many there are, once each is answered as is right.
fn all_right(reports: &str) -> usize {
    let reports: Vec<Report> = serde_json::from_str(reports).unwrap();
    let plane = ControlPlane::shared();
    let wrong: Vec<String> = reports
        .iter()
        .filter_map(|report| report.difference(plane))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    reports.len()
}

impl Report {
    /// As it ships where the report has no setting: the tests' own would be another.
    fn config(&self) -> Value {
        let mut config = self.config.clone().unwrap_or_else(|| json!({}));
        config["dryRun"] = json!("warn");
        config
    }

    /// What is answered otherwise than is right, if anything is.
    fn difference(&self, plane: &ControlPlane) -> Option<String> {
        let state = Workspace::new();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": self.state});
        state.write("state.json", list.to_string());
        let options = Options {
            config: Some(self.config().to_string()),
            reads: Reads::State(state.path("")),
            ..Options::default()
        };
        let keyguard = Keyguard::start(plane, &options);
        let answer = keyguard.post("application/json", &self.review.to_string());
        let review: Value = serde_json::from_str(&answer.body).unwrap();
        let response = &review["response"];
        let message = response["status"]["message"].as_str().unwrap_or_default();
        let warnings = response["warnings"].as_array();
        let warnings = warnings.map(Vec::as_slice).unwrap_or_default();
        let allowed = response["allowed"] == true;
        let finding = match (allowed, warnings) {
            (false, _) => Finding::Deny,
            (true, []) => Finding::None,
            (true, _) => Finding::Warn,
        };
        let mut said = message.to_lowercase();
        for warning in warnings {
            said.push(' ');
            said.push_str(&warning.as_str().unwrap().to_lowercase());
        }
        let says = |text: &String| said.contains(&text.to_lowercase());
        let want = &self.want;
        let right = (allowed, finding) == (want.allowed, want.finding)
            && want.says.iter().all(says)
            && !want.never.iter().any(says);
        (!right).then(|| {
            let Report { name, why, .. } = self;
            format!("{name} ({why}): wanted {want:?}, was {finding:?}: {said}")
        })
    }
}
