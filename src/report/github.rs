//! Annotations of GitHub Actions: one command of its runner a line.

use std::borrow::Cow;

use super::visible::visible;
use super::{Finding, Report, Severity};

/// One line each for findings, ignored findings, files that are no YAML and what could not be seen; nothing when there
/// are none. GitHub shows ten of a kind a step.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let command = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        push(
            &mut text,
            command,
            &of(finding),
            finding.rule,
            &told(finding),
        );
    }
    for broken in &report.broken {
        let place = at(&broken.file, broken.line, broken.column);
        push(&mut text, "error", &place, "not readable", &broken.why);
    }
    for unseen in &report.unseen {
        let place = at(&unseen.file, unseen.line, 0);
        let message = format!("{}: {}", unseen.what, unseen.why);
        push(&mut text, "warning", &place, "not seen", &message);
    }
    for suppressed in &report.suppressed {
        let finding = &suppressed.finding;
        let title = format!("ignored {}", finding.rule);
        push(
            &mut text,
            "notice",
            &of(finding),
            &title,
            &suppressed.reason,
        );
    }
    text
}

/// Where an annotation is shown; a line or column of 0 is not known.
struct Place<'a> {
    file: &'a str,
    line: u32,
    end_line: u32,
    column: u32,
}

fn of(finding: &Finding) -> Place<'_> {
    Place {
        end_line: finding.end_line,
        ..at(&finding.file, finding.line, finding.column)
    }
}

fn at(file: &str, line: u32, column: u32) -> Place<'_> {
    Place {
        file,
        line,
        end_line: line,
        column,
    }
}

fn told(finding: &Finding) -> Cow<'_, str> {
    match &finding.object {
        Some(object) => format!("{object}: {}", finding.message).into(),
        None => finding.message.as_str().into(),
    }
}

fn push(text: &mut String, command: &str, place: &Place<'_>, title: &str, message: &str) {
    let mut properties = Vec::new();
    if !place.file.is_empty() {
        properties.push(format!("file={}", property(place.file)));
        if place.line > 0 {
            let end_line = place.end_line.max(place.line);
            properties.push(format!("line={},endLine={end_line}", place.line));
            // The runner drops a column of what is longer than a line.
            if place.column > 0 && end_line == place.line {
                properties.push(format!("col={}", place.column));
            }
        }
    }
    properties.push(format!("title={}", property(title)));
    let properties = properties.join(",");
    text.push_str(&format!("::{command} {properties}::{}\n", data(message)));
}

/// A message, as `escapeData` of the runner's toolkit has it.
fn data(text: &str) -> String {
    visible(text, &['\n', '\r', '\t'])
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A property, as `escapeProperty` of the runner's toolkit has it.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::odd_report::odd_report;

    #[test]
    fn each_is_one_line_that_the_runner_reads_as_it_was_meant() {
        let text = render(&odd_report());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "::error title=credentials/secret-missing::Deployment codefresh/cap-app-proxy: Secret codefresh/argocd-token \
                 does not exist",
                "::error file=apps/a b%25%2C%3A日本.yaml,line=3,endLine=3,col=5,title=accounts/api-key-removed::ConfigMap \
                 argocd/argocd-\\u{202e}mc\\u{202c}: account \"admin\" loses <apiKey> & 100%25 more%0D%0Asecond: line, 日本語: \
                 the GitOps Runtime authenticates with an API key of this account and would stop at once. Keep apiKey in \
                 data[\"accounts.admin\"].",
                "::warning file=apps/a b%25%2C%3A日本.yaml,line=8,endLine=10,title=values/plain-not-text::a number, where \
                 text is read",
                "::notice file=bell\\u{7}\\u{1b}[31m.yaml,title=secrets/keys-unknown::]]> \\u{0}\\u{b}\u{fffe} --> \
                 ::error::x",
                "::error file=broken.yaml,line=2,endLine=2,col=7,title=not readable::is not YAML or JSON",
                "::warning file=app.yaml,line=9,endLine=9,title=not seen::$ref values: the source is elsewhere",
                "::notice file=apps/a b%25%2C%3A日本.yaml,line=20,endLine=20,col=5,title=ignored \
                 values/plain-credential::it is a test, 100%25 \"sure\"",
            ]
        );
    }

    #[test]
    fn nothing_found_is_nothing() {
        assert_eq!(render(&Report::default()), "");
    }

    #[test]
    fn a_message_cannot_begin_a_command_of_its_own() {
        let mut report = odd_report();
        report.findings[0].message = "x\n::set-env name=a::b\r::stop-commands::c".into();
        report.findings[0].file = "a\n::error::b".into();
        let text = render(&report);
        assert_eq!(text.lines().count(), 7);
        assert!(!text.contains('\r'));
        assert!(text.starts_with("::error file=a%0A%3A%3Aerror%3A%3Ab,title="));
    }
}
