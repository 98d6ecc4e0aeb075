//! JUnit XML, as Jenkins, GitLab and others read it. It has no place for a warning: what fails nothing is a skipped test,
//! the one kind that all of them show with its message.

use std::fmt::{self, Write as _};

use super::{Finding, Report, Severity};

/// One test suite, with a test a file or object that has findings and a first one for all that was checked, so that the
/// suite is never empty.
pub fn render(report: &Report) -> String {
    let tests = tests(report);
    let count = |outcome: Outcome| tests.iter().filter(|test| test.outcome == outcome).count();
    let (failures, errors) = (count(Outcome::Failure), count(Outcome::Error));
    let (all, skipped) = (tests.len(), count(Outcome::Skipped));
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let counts =
        format!("name=\"keyguard\" tests=\"{all}\" failures=\"{failures}\" errors=\"{errors}\"");
    text.push_str(&format!("<testsuites {counts}>\n"));
    text.push_str(&format!("  <testsuite {counts} skipped=\"{skipped}\">\n"));
    for test in &tests {
        text.push_str(&test.to_string());
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Skipped,
    /// What was checked is wrong.
    Failure,
    /// It could not be checked.
    Error,
}

struct Test {
    class: &'static str,
    name: String,
    outcome: Outcome,
    /// In a line.
    message: String,
    /// In full.
    text: String,
}

/// Readers take one outcome a test, so that those of a file that fail and those that do not are two tests, told apart by
/// their class.
fn tests(report: &Report) -> Vec<Test> {
    let checked = report.checked;
    let mut tests = vec![Test {
        class: "keyguard",
        name: format!("{} files, {} objects", checked.files, checked.objects),
        outcome: Outcome::Passed,
        message: String::new(),
        text: String::new(),
    }];
    let groups = report
        .findings
        .chunk_by(|one, other| name(one) == name(other));
    for group in groups {
        let (errors, others): (Vec<&Finding>, Vec<&Finding>) = group
            .iter()
            .partition(|finding| finding.severity == Severity::Error);
        tests.extend(test("keyguard.errors", Outcome::Failure, &errors));
        tests.extend(test("keyguard.warnings", Outcome::Skipped, &others));
    }
    tests.extend(report.broken.iter().map(|broken| Test {
        class: "keyguard.unreadable",
        name: place(&broken.file, broken.line, broken.column),
        outcome: Outcome::Error,
        message: broken.why.clone(),
        text: String::new(),
    }));
    tests.extend(report.unseen.iter().map(|unseen| Test {
        class: "keyguard.unseen",
        name: place(&unseen.file, unseen.line, 0),
        outcome: Outcome::Skipped,
        message: format!("not seen: {}: {}", unseen.what, unseen.why),
        text: String::new(),
    }));
    tests.extend(report.suppressed.iter().map(|suppressed| Test {
        class: "keyguard.ignored",
        name: match &suppressed.finding {
            finding if finding.file.is_empty() => name(finding),
            finding => place(&finding.file, finding.line, finding.column),
        },
        outcome: Outcome::Skipped,
        message: format!("ignored: {}", suppressed.reason),
        text: told(&suppressed.finding),
    }));
    tests
}

fn test(class: &'static str, outcome: Outcome, findings: &[&Finding]) -> Option<Test> {
    let first = findings.first()?;
    let message = match findings.len() {
        1 => format!("{}: {}", first.rule, first.message),
        count => format!(
            "{count} findings, the first: {}: {}",
            first.rule, first.message
        ),
    };
    let texts: Vec<String> = findings.iter().map(|finding| told(finding)).collect();
    Some(Test {
        class,
        name: name(first),
        outcome,
        message,
        text: texts.join("\n\n"),
    })
}

/// The file, or else the object.
fn name(finding: &Finding) -> String {
    match &finding.object {
        _ if !finding.file.is_empty() => finding.file.clone(),
        Some(object) => object.to_string(),
        None => "the cluster".to_owned(),
    }
}

/// A finding in full: severity, rule, place and message.
fn told(finding: &Finding) -> String {
    let mut text = format!("{} {}", finding.severity.name(), finding.rule);
    let object = finding.object.as_ref().map(ToString::to_string);
    let place = place(&finding.file, finding.line, finding.column);
    for part in [place, object.unwrap_or_default(), finding.field.clone()] {
        if !part.is_empty() {
            text.push_str(" · ");
            text.push_str(&part);
        }
    }
    text.push('\n');
    text.push_str(&finding.message);
    text
}

fn place(file: &str, line: u32, column: u32) -> String {
    match (line, column) {
        (0, _) => file.to_owned(),
        (line, 0) => format!("{file}:{line}"),
        (line, column) => format!("{file}:{line}:{column}"),
    }
}

impl fmt::Display for Test {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (class, name) = (self.class, Escaped(&self.name));
        write!(
            formatter,
            "    <testcase classname=\"{class}\" name=\"{name}\""
        )?;
        let element = match self.outcome {
            Outcome::Passed => return formatter.write_str("/>\n"),
            Outcome::Skipped => "skipped",
            Outcome::Failure => "failure",
            Outcome::Error => "error",
        };
        let (message, text) = (Escaped(&self.message), Escaped(&self.text));
        writeln!(formatter, ">")?;
        writeln!(
            formatter,
            "      <{element} type=\"{class}\" message=\"{message}\">{text}</{element}>"
        )?;
        writeln!(formatter, "    </testcase>")
    }
}

/// As the text of an element or attribute; what XML 1.0 does not allow is replaced.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => formatter.write_str("&amp;")?,
                '<' => formatter.write_str("&lt;")?,
                '>' => formatter.write_str("&gt;")?,
                '"' => formatter.write_str("&quot;")?,
                // A reader would make them spaces in an attribute, and lose \r everywhere.
                '\t' | '\n' | '\r' => write!(formatter, "&#{};", u32::from(character))?,
                '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                    formatter.write_char(char::REPLACEMENT_CHARACTER)?;
                }
                character => formatter.write_char(character)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "junit_tests.rs"]
mod tests;
