//! The report as JSON, its members named and shaped as those of the model.

use super::Report;

/// One JSON object, indented, with a line break at its end.
///
/// # Errors
/// As far as serde_json has them.
pub fn render(report: &Report) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::report::odd_report::{RIGHT_TO_LEFT, odd_report};

    fn rendered(report: &Report) -> Value {
        serde_json::from_str(&render(report).unwrap()).unwrap()
    }

    #[test]
    fn an_empty_report_has_its_members() {
        assert_eq!(
            rendered(&Report::default()),
            json!({"findings": [], "unseen": [], "checked": {"files": 0, "objects": 0}})
        );
    }

    #[test]
    fn members_are_those_that_are_promised() {
        let report = rendered(&odd_report());
        let first = &report["findings"][1];
        assert_eq!(first["rule"], "accounts/api-key-removed");
        assert_eq!(first["severity"], "error");
        assert_eq!(first["file"], "apps/a b%,:日本.yaml");
        assert_eq!((&first["line"], &first["column"]), (&json!(3), &json!(5)));
        assert_eq!(
            (&first["endLine"], &first["endColumn"]),
            (&json!(3), &json!(30))
        );
        assert_eq!(
            first["object"],
            json!({"apiVersion": "v1", "kind": "ConfigMap", "namespace": "argocd", "name": RIGHT_TO_LEFT})
        );
        assert_eq!(first["fingerprint"].as_str().unwrap().len(), 32);
        assert_eq!(
            report["suppressed"][0]["reason"],
            "it is a test, 100% \"sure\""
        );
        assert_eq!(report["suppressed"][0]["severity"], "warning");
        assert_eq!(
            report["unseen"][0],
            json!({"file": "app.yaml", "line": 9, "what": "$ref values", "why": "the source is elsewhere"})
        );
        assert_eq!(report["broken"][0]["file"], "broken.yaml");
        assert_eq!(report["checked"], json!({"files": 4, "objects": 7}));
    }
}
