//! The report for people: by file, what is wrong, where, and how to fix it.

use std::borrow::Cow;
use std::fmt;

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width};

use super::visible::visible;
use super::{Finding, Report, Severity, place, rules};

/// Columns of the terminal that are used.
const WIDTH: u16 = 120;
/// Columns of the severity, the space at both sides among them.
const SEVERITY_WIDTH: u16 = 9;
/// The most columns of a place and of a text.
const PLACE_WIDTH: u16 = 40;
const TEXT_WIDTH: u16 = 98;

/// The whole report, with the counts as its last line.
pub fn render(report: &Report, colours: bool) -> String {
    let places = report.findings.iter().map(|finding| within(finding).len());
    let place_width = u16::try_from(places.max().unwrap_or(0)).unwrap_or(PLACE_WIDTH);
    let page = Page {
        colours,
        place_width: place_width.saturating_add(2).min(PLACE_WIDTH),
    };
    let mut text = String::new();
    for group in report.findings.chunk_by(same_group) {
        text.push_str(&page.group(group));
    }
    let broken = report.broken.iter().map(|broken| {
        let place = place(&broken.file, broken.line, broken.column);
        (line(&place).into_owned(), line(&broken.why).into_owned())
    });
    text.push_str(&page.section("Not readable", broken));
    let unseen = report.unseen.iter().map(|unseen| {
        let what = format!("{}: {}", line(&unseen.what), line(&unseen.why));
        let place = place(&unseen.file, unseen.line, 0);
        (line(&place).into_owned(), what)
    });
    text.push_str(&page.section("Not seen", unseen));
    let ignored = report.suppressed.iter().map(|suppressed| {
        let finding = &suppressed.finding;
        let reason = line(&suppressed.reason);
        let place = line(&finding.place()).into_owned();
        (place, format!("{}: {reason}", finding.rule))
    });
    text.push_str(&page.section("Ignored, as a comment asks", ignored));
    text.push_str(&counts(report));
    text.push('\n');
    text
}

/// How it is drawn.
struct Page {
    colours: bool,
    /// Columns of the place of a finding, the same for all files.
    place_width: u16,
}

/// What colours stand for.
#[derive(Clone, Copy)]
enum Paint {
    Heading,
    Of(Severity),
}

impl Page {
    /// The findings of one file, or of one object of a cluster.
    fn group(&self, findings: &[Finding]) -> String {
        let Some(first) = findings.first() else {
            return String::new();
        };
        let mut table = table();
        for finding in findings {
            table.add_row([finding.severity.name(), &within(finding), &told(finding)]);
        }
        table.set_constraints([
            ColumnConstraint::Absolute(Width::Fixed(SEVERITY_WIDTH)),
            ColumnConstraint::Absolute(Width::Fixed(self.place_width)),
            ColumnConstraint::UpperBoundary(Width::Fixed(TEXT_WIDTH)),
        ]);
        let mut text = self.painted(Paint::Heading, &line(&first.subject()));
        text.push('\n');
        for line in table.lines() {
            text.push_str(&self.with_severity(line.trim_end()));
            text.push('\n');
        }
        text.push('\n');
        text
    }

    /// Places and what is to be said of them, below a heading; nothing when there are none.
    fn section(&self, title: &str, rows: impl Iterator<Item = (String, String)>) -> String {
        let mut table = table();
        for (place, what) in rows {
            table.add_row([place, what]);
        }
        if table.is_empty() {
            return String::new();
        }
        table.set_constraints([
            ColumnConstraint::UpperBoundary(Width::Fixed(PLACE_WIDTH)),
            ColumnConstraint::UpperBoundary(Width::Fixed(WIDTH - PLACE_WIDTH)),
        ]);
        let title = self.painted(Paint::Heading, title);
        format!("{title}\n{}\n\n", table.trim_fmt())
    }

    /// Only the first line of a finding begins with its severity; the others begin with more spaces.
    fn with_severity(&self, line: &str) -> String {
        for severity in [Severity::Error, Severity::Warning, Severity::Note] {
            let rest = line
                .strip_prefix(' ')
                .and_then(|line| line.strip_prefix(severity.name()));
            if let Some(rest) = rest {
                let name = self.painted(Paint::Of(severity), severity.name());
                return format!(" {name}{rest}");
            }
        }
        line.to_owned()
    }

    fn painted(&self, paint: Paint, text: &str) -> String {
        let code = match paint {
            _ if !self.colours => return text.to_owned(),
            Paint::Heading => 1,
            Paint::Of(Severity::Error) => 31,
            Paint::Of(Severity::Warning) => 33,
            Paint::Of(Severity::Note) => 36,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

fn table() -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    table
}

fn same_group(one: &Finding, other: &Finding) -> bool {
    one.file == other.file && (!one.file.is_empty() || one.object == other.object)
}

/// Which rule and where, what is wrong, and how to fix it, each on a line of its own.
fn told(finding: &Finding) -> String {
    let object = finding.object.as_ref().filter(|_| !finding.file.is_empty());
    let object = object.map(ToString::to_string).unwrap_or_default();
    let first: Vec<Cow<'_, str>> = [finding.rule, &object, &finding.field]
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(line)
        .collect();
    let first = first.join("  ");
    let message = lines(&finding.message);
    // As at admission, a message is what is wrong, why that matters, and how to fix it.
    let why = rules::why(finding.rule).map(|why| format!(": {why}. "));
    match why.and_then(|why| message.split_once(&why).map(|(what, fix)| (what, why, fix))) {
        Some((what, why, fix)) => format!("{first}\n{what}{}\nFix: {fix}", why.trim_end()),
        None => format!("{first}\n{message}"),
    }
}

/// Line and column; nothing for an object of a cluster.
fn within(finding: &Finding) -> String {
    match finding.line {
        0 => String::new(),
        line => format!("{line}:{}", finding.column),
    }
}

fn line(text: &str) -> Cow<'_, str> {
    visible(text, &[])
}

/// In several lines, as it is.
fn lines(text: &str) -> String {
    visible(&text.replace("\r\n", "\n"), &['\n']).into_owned()
}

/// What a finding counts as, in a sentence.
struct Count(usize, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(formatter, "{} {}{plural}", self.0, self.1)
    }
}

fn counts(report: &Report) -> String {
    let of = |severity: Severity| {
        let findings = report.findings.iter();
        let count = findings
            .filter(|finding| finding.severity == severity)
            .count();
        Count(count, severity.name())
    };
    let mut text = format!(
        "{}, {}, {} in {} and {}",
        of(Severity::Error),
        of(Severity::Warning),
        of(Severity::Note),
        Count(report.checked.files, "file"),
        Count(report.checked.objects, "object"),
    );
    for (count, what) in [
        (report.broken.len(), "not readable"),
        (report.unseen.len(), "not seen"),
        (report.suppressed.len(), "ignored"),
    ] {
        if count > 0 {
            text.push_str(&format!("; {count} {what}"));
        }
    }
    text.push('.');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::odd_report::odd_report;

    #[test]
    fn a_tired_person_sees_what_where_and_how_to_fix_it() {
        let text = render(&odd_report(), false);
        assert_eq!(
            text,
            "\
Deployment codefresh/cap-app-proxy
 error          credentials/secret-missing  data[\"accounts.admin\"]
                Secret codefresh/argocd-token does not exist

apps/a b%,:日本.yaml
 error    3:5   accounts/api-key-removed  ConfigMap argocd/argocd-\\u{202e}mc\\u{202c}  data[\"accounts.admin\"]
                account \"admin\" loses <apiKey> & 100% more
                second: line, 日本語: the GitOps Runtime authenticates with an API key of this account and would
                stop at once.
                Fix: Keep apiKey in data[\"accounts.admin\"].
 warning  8:40  values/plain-not-text  data[\"accounts.admin\"]
                a number, where text is read

bell\\u{7}\\u{1b}[31m.yaml
 note           secrets/keys-unknown
                ]]> \\u{0}\\u{b}\u{fffe} --> ::error::x

Not readable
 broken.yaml:2:7  is not YAML or JSON

Not seen
 app.yaml:9  $ref values: the source is elsewhere

Ignored, as a comment asks
 apps/a b%,:日本.yaml:20:5  values/plain-credential: it is a test, 100% \"sure\"

2 errors, 1 warning, 1 note in 4 files and 7 objects; 1 not readable; 1 not seen; 1 ignored.
"
        );
    }

    #[test]
    fn nothing_found_is_one_line() {
        assert_eq!(
            render(&Report::default(), true),
            "0 errors, 0 warnings, 0 notes in 0 files and 0 objects.\n"
        );
    }

    #[test]
    fn colours_add_to_the_text_and_change_nothing_else() {
        let report = odd_report();
        let mut coloured = render(&report, true);
        assert!(coloured.contains(" \u{1b}[31merror\u{1b}[0m    3:5"));
        assert!(coloured.contains(" \u{1b}[33mwarning\u{1b}[0m  8:40"));
        assert!(coloured.contains("\u{1b}[1mNot seen\u{1b}[0m\n"));
        for code in [
            "\u{1b}[1m",
            "\u{1b}[31m",
            "\u{1b}[33m",
            "\u{1b}[36m",
            "\u{1b}[0m",
        ] {
            coloured = coloured.replace(code, "");
        }
        assert_eq!(coloured, render(&report, false));
        assert!(!coloured.contains('\u{1b}'));
    }

    #[test]
    fn wide_characters_and_long_words_stay_within_the_width() {
        let mut report = odd_report();
        for finding in &mut report.findings {
            finding.message = "日本語の長い文".repeat(40) + &"x".repeat(500);
            finding.field = "深".repeat(200);
        }
        for unseen in &mut report.unseen {
            unseen.file = "長い名前/".repeat(30);
        }
        for line in render(&report, false).lines() {
            let wide = line.chars().filter(|c| u32::from(*c) > 0x2fff).count();
            let columns = line.chars().count() + wide;
            assert!(columns <= usize::from(WIDTH), "{columns}: {line}");
        }
    }
}
