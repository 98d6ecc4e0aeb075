//! The table that a person reads.

use comfy_table::presets::UTF8_FULL;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width};

use crate::commands::demo::client::Answer;
use crate::commands::demo::examples::{Example, Expected};

/// One line of the table.
pub(crate) struct Row<'a> {
    asked: &'a str,
    verdict: &'static str,
    message: String,
    /// Whether the verdict is the expected one.
    pub(crate) expected: bool,
}

/// Puts an answer beside what was expected of it.
pub(crate) fn row<'a>((example, answer): (&'a Example, &Answer)) -> Row<'a> {
    let message = match &answer.status {
        Some(status) => status.message.clone(),
        None => answer.warnings.join("\n"),
    };
    let verdict = match (answer.allowed, answer.warnings.is_empty()) {
        (false, _) => "refused",
        (true, false) => "warned",
        (true, true) => "allowed",
    };
    let (wanted, rule) = match example.expected {
        Expected::Allowed => ("allowed", None),
        Expected::Warned(rule) => ("warned", Some(rule)),
        Expected::Refused(rule) => ("refused", Some(rule)),
    };
    let named = rule.is_none_or(|rule| message.contains(&format!("[{}]", rule.id())));
    Row {
        asked: example.asked,
        verdict,
        message,
        expected: verdict == wanted && named,
    }
}

/// Draws the table for a terminal of 120 columns.
pub(crate) fn render(rows: &[Row<'_>]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(120)
        .set_header(["asked", "verdict", "message"]);
    for row in rows {
        let verdict = if row.expected {
            row.verdict.to_owned()
        } else {
            format!("{} (!)", row.verdict)
        };
        table.add_row([row.asked, &verdict, &row.message]);
    }
    table.set_constraints([
        ColumnConstraint::Absolute(Width::Fixed(28)),
        ColumnConstraint::Absolute(Width::Fixed(11)),
        ColumnConstraint::Absolute(Width::Fixed(77)),
    ]);
    table
}
