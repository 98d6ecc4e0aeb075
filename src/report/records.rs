//! Records for people and for spreadsheets.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use crate::report::visible::visible;
use keyguard_core::policy::subject::Operation;
use keyguard_core::record::Record;

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
    const SHOWN: [usize; 8] = [0, 1, 2, 4, 5, 6, 8, 9];
    let shown = |all: &[String]| -> Vec<String> {
        SHOWN
            .iter()
            .filter_map(|place| all.get(*place))
            .map(|text| visible(text, &[]).into_owned())
            .collect()
    };
    table.set_header(shown(&COLUMNS.map(|name| name.to_uppercase())));
    for record in records {
        table.add_row(shown(&columns(record)));
    }
    let rows = table.lines().map(|line| line.trim_end().to_owned());
    let mut text: String = rows.map(|line| format!("{line}\n")).collect();
    if let Some(next) = next {
        text.push_str(&format!("more: --after {next}\n"));
    }
    text
}

/// A line a record, after one with the names of the columns.
pub fn csv(records: &[Record]) -> String {
    let rows = records.iter().map(csv_row);
    std::iter::once(csv_header()).chain(rows).collect()
}

/// The line with the names of the columns.
pub fn csv_header() -> String {
    line(&COLUMNS.map(str::to_owned))
}

/// The line of a record.
pub fn csv_row(record: &Record) -> String {
    line(&columns(record))
}

fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell_of(cell)).collect();
    format!("{}\r\n", cells.join(","))
}

/// A cell in quotes, that no spreadsheet takes for a formula.
fn cell_of(text: &str) -> String {
    let text = visible(text, &[]).replace('"', "\"\"");
    let formula = text.starts_with(['=', '+', '-', '@']);
    let guard = if formula { "'" } else { "" };
    format!("\"{guard}{text}\"")
}
