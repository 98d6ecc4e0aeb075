//! Records for people and for spreadsheets.

use clap::ValueEnum;
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use keyguard_audit::entry::milliseconds;

use crate::report::ocsf;
use crate::report::visible::visible;
use keyguard_core::policy::subject::Operation;
use keyguard_core::policy::verdict::Decision;
use keyguard_core::record::Record;

/// What a formula begins with, also in full width.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// The columns of a record.
const COLUMNS: [&str; 11] = [
    "time",
    "decision",
    "operation",
    "dryRun",
    "namespace",
    "object",
    "user",
    "tool",
    "rules",
    "fingerprint",
    "id",
];

fn columns(record: &Record) -> [String; 11] {
    let rules: Vec<&str> = record.rules.iter().map(|rule| rule.id()).collect();
    let dry_run = if record.dry_run { "yes" } else { "no" };
    [
        record.time.clone(),
        record.decision.name().to_owned(),
        record.operation.map_or("", Operation::name).to_owned(),
        dry_run.to_owned(),
        record.object.namespace.clone(),
        match record.object.kind.as_str() {
            "" => String::new(),
            kind => format!("{kind}/{}", record.object.name),
        },
        record.user.name.clone(),
        record.tool.name().to_owned(),
        rules.join(" "),
        record.fingerprint.clone(),
        record.id.clone(),
    ]
}

/// A table, with what was found below each record and how to go on.
pub fn table(records: &[Record], next: Option<&str>) -> String {
    if records.is_empty() {
        return "no records\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    // Without the ids, and a dry run is told beside the decision.
    const SHOWN: [usize; 9] = [0, 1, 2, 4, 5, 6, 7, 8, 9];
    let shown = |all: &[String]| -> Vec<String> {
        SHOWN
            .iter()
            .filter_map(|place| all.get(*place))
            .map(|text| visible(text, &[]).into_owned())
            .collect()
    };
    table.set_header(shown(&COLUMNS.map(|name| name.to_uppercase())));
    for record in records {
        let mut columns = columns(record);
        if record.dry_run {
            columns[1].push_str(" (dry run)");
        }
        table.add_row(shown(&columns));
    }
    let rows = table.lines().map(|line| line.trim_end().to_owned());
    let mut text: String = rows.map(|line| format!("{line}\n")).collect();
    if let Some(next) = next {
        text.push_str(&format!("more: --after {next}\n"));
    }
    text
}

/// A line a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Lines {
    /// The record itself, as JSON
    Jsonl,
    /// For spreadsheets, after a line with the names of the columns
    Csv,
    /// API Activity of OCSF 1.8.0
    Ocsf,
}

impl Lines {
    /// What comes before the first record.
    pub fn header(self) -> String {
        match self {
            Lines::Csv => line(&COLUMNS.map(str::to_owned)),
            Lines::Jsonl | Lines::Ocsf => String::new(),
        }
    }

    /// The line of a record, of which `body` is what the log has.
    pub fn line(self, body: &str, record: &Record) -> String {
        match self {
            Lines::Csv => line(&columns(record)),
            Lines::Jsonl => format!("{body}\n"),
            Lines::Ocsf => {
                let time = milliseconds(&record.time).unwrap_or_default();
                format!("{}\n", ocsf::activity(record, time))
            }
        }
    }
}

/// The records for spreadsheets.
pub fn csv(records: &[Record]) -> String {
    let rows = records.iter().map(|record| Lines::Csv.line("", record));
    std::iter::once(Lines::Csv.header()).chain(rows).collect()
}

fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell_of(cell)).collect();
    format!("{}\r\n", cells.join(","))
}

/// What a decision means.
pub fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "Allowed",
        Decision::Exempt => "Exempt",
        Decision::Audit => "On record only",
        Decision::Warn => "Warned",
        Decision::BreakGlass => "Break glass",
        Decision::Deny => "Refused",
        Decision::Shed => "Not looked at",
        Decision::Failed => "Not understood",
    }
}

/// What was to be done, such as `Change ConfigMap argocd-cm`; empty when it is not known.
pub fn what(record: &Record) -> String {
    let verb = match record.operation {
        Some(Operation::Create) => "Create",
        Some(Operation::Update) => "Change",
        Some(Operation::Delete) => "Delete",
        Some(Operation::Connect) => "Connect to",
        None => "",
    };
    let parts = [verb, &record.object.kind, &record.object.name];
    let known: Vec<&str> = parts.into_iter().filter(|it| !it.is_empty()).collect();
    visible(&known.join(" "), &[]).into_owned()
}

/// A record in one line, such as `Refused: Change ConfigMap argocd-cm in argocd, by alice [accounts/api-key-removed]`.
pub fn sentence(record: &Record) -> String {
    let mut said = format!("{}: {}", word(record.decision), what(record));
    let parts = [
        (" in ", &record.object.namespace),
        (", by ", &record.user.name),
    ];
    for (before, name) in parts.into_iter().filter(|(_, name)| !name.is_empty()) {
        said.push_str(before);
        said.push_str(&visible(name, &[]));
    }
    if record.dry_run {
        said.push_str(", a dry run");
    }
    let rules: Vec<&str> = record.rules.iter().map(|rule| rule.id()).collect();
    match rules.is_empty() {
        true => said,
        false => format!("{said} [{}]", rules.join(", ")),
    }
}

/// A cell in quotes, that no spreadsheet takes for a formula; some take what follows a semicolon for another cell.
fn cell_of(text: &str) -> String {
    let text = visible(text, &[]).replace('"', "\"\"");
    let guarded = text.split(';').map(|part| match part.starts_with(FORMULA) {
        true => format!("'{part}"),
        false => part.to_owned(),
    });
    format!("\"{}\"", guarded.collect::<Vec<_>>().join(";"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_taken_for_a_formula_whatever_parts_them() {
        for (text, cell) in [
            ("plain", r#""plain""#),
            ("a;b", r#""a;b""#),
            ("=1+1", r#""'=1+1""#),
            (r#"x;=HYPERLINK("a")"#, r#""x;'=HYPERLINK(""a"")""#),
            ("＝1", r#""'＝1""#),
        ] {
            assert_eq!(cell_of(text), cell);
        }
    }
}
