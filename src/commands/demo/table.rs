//! The table that a person reads.

use comfy_table::presets::UTF8_FULL;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width};

use crate::commands::demo::client::Answer;
use crate::commands::demo::examples::Example;

/// Draws each example beside its answer, for a terminal of 120 columns; with the number of answers that are not the
/// expected ones.
pub(crate) fn draw(examples: &[Example], answers: &[Answer]) -> (Table, usize) {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(120)
        .set_header(["asked", "verdict", "message"]);
    let mut unexpected = 0;
    for (example, answer) in examples.iter().zip(answers) {
        let (mut verdict, message) = (answer.verdict().to_owned(), answer.message());
        if !example.expected.is_met(&verdict, &message) {
            unexpected += 1;
            verdict.push_str(" (!)");
        }
        table.add_row([example.asked, &verdict, &message]);
    }
    table.set_constraints(
        [28, 11, 77].map(|columns| ColumnConstraint::Absolute(Width::Fixed(columns))),
    );
    (table, unexpected)
}
