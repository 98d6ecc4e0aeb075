//! JUnit XML, as Jenkins, GitLab and others read it. It has no place for a warning: what fails nothing is a skipped
//! test, the one kind that all of them show with its message.

use std::fmt::{self, Write as _};

use super::{Finding, Report, Severity, place};

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
    text.push_str("    <properties>\n");
    for (name, count) in [
        ("files", report.checked.files),
        ("objects", report.checked.objects),
    ] {
        text.push_str(&format!(
            "      <property name=\"{name}\" value=\"{count}\"/>\n"
        ));
    }
    text.push_str("    </properties>\n");
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

/// Readers take one outcome a test, so that the errors of a file are one test and its warnings and notes another, told
/// apart by their class.
fn tests(report: &Report) -> Vec<Test> {
    let mut tests = vec![Test {
        class: "keyguard",
        name: "files and objects were checked".to_owned(),
        outcome: Outcome::Passed,
        message: String::new(),
        text: String::new(),
    }];
    let groups = report
        .findings
        .chunk_by(|one, other| one.subject() == other.subject());
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
        name: match unseen.file.as_str() {
            "" => unseen.what.clone(),
            file => place(file, unseen.line, 0),
        },
        outcome: Outcome::Skipped,
        message: format!("not seen: {}: {}", unseen.what, unseen.why),
        text: String::new(),
    }));
    tests.extend(report.suppressed.iter().map(|suppressed| Test {
        class: "keyguard.ignored",
        name: suppressed.finding.place(),
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
        name: first.subject(),
        outcome,
        message,
        text: texts.join("\n\n"),
    })
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
