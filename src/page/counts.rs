//! What each rule found, by day.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use keyguard_audit::attempts::DayCount;

use super::access::Viewer;
use super::frame::Frame;
use super::scope::Scope;
use super::{Page, PageError, Visit, zone};
use crate::telemetry::audit_store::now;

/// The days that are shown.
const DAYS: i64 = 30;
const MILLISECONDS_OF_A_DAY: i64 = 86_400_000;
/// From one bar to the next, and the height of the highest, in pixels.
const STEP: i64 = 8;
const HEIGHT: i64 = 36;
/// Where bars stand.
const GROUND: i64 = 39;

#[derive(Template)]
#[template(path = "counts.html", config = "src/page/askama.toml")]
struct Counts {
    frame: Frame,
    days: i64,
    width: i64,
    rules: Vec<RuleRow>,
}

struct RuleRow {
    id: String,
    denied: i64,
    broken: i64,
    other: i64,
    label: String,
    bars: Vec<Bar>,
}

struct Bar {
    class: &'static str,
    x: i64,
    y: i64,
    height: i64,
    title: String,
}

/// What a rule came to on a day: refused, by break glass, other.
type Day = [i64; 3];
const CLASSES: [&str; 3] = ["deny", "break-glass", "other"];

pub(super) async fn show(
    page: &Page,
    visit: &Visit,
    viewer: &Viewer,
) -> Result<Response, PageError> {
    if page.scope(viewer, "").await? != Scope::All {
        return Err(PageError::Forbidden(
            "Counts are of all namespaces together, and you may see some of them.".to_owned(),
        ));
    }
    visit.takes_no_filter()?;
    page.looked(viewer, visit).await?;
    let until = now().div_euclid(MILLISECONDS_OF_A_DAY) + 1;
    let counts = page.store.days(until - DAYS, until).await?;
    let shown = Counts {
        frame: Frame::new("Counts", page, visit, viewer),
        days: DAYS,
        width: DAYS * STEP,
        rules: rows(&counts, until - DAYS),
    };
    Ok(Html(shown.render()?).into_response())
}

/// The rules, those that found most first.
fn rows(counts: &[DayCount], since: i64) -> Vec<RuleRow> {
    let mut rules: BTreeMap<&str, BTreeMap<i64, Day>> = BTreeMap::new();
    for count in counts.iter().filter(|count| !count.rule.is_empty()) {
        let days = rules.entry(&count.rule).or_default();
        let [denied, broken, other] = days.entry(count.day).or_default();
        *match count.decision.as_str() {
            "deny" => denied,
            "break-glass" => broken,
            _ => other,
        } += count.count;
    }
    let mut rows: Vec<RuleRow> = rules
        .into_iter()
        .map(|(id, days)| row(id, &days, since))
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.denied + row.broken + row.other));
    rows
}

fn row(id: &str, days: &BTreeMap<i64, Day>, since: i64) -> RuleRow {
    let [denied, broken, other] = days.values().fold([0; 3], |sum, day| {
        [0, 1, 2].map(|it: usize| nth(&sum, it) + nth(day, it))
    });
    let most = days.values().map(|day| day.iter().sum()).max().unwrap_or(0);
    let bars = days
        .iter()
        .flat_map(|(day, counts)| bars(*day, counts, since, most));
    RuleRow {
        id: id.to_owned(),
        denied,
        broken,
        other,
        label: format!(
            "{id} by day: at most {most} a day, on {} of {DAYS} days",
            days.len()
        ),
        bars: bars.collect(),
    }
}

fn nth(day: &Day, place: usize) -> i64 {
    day.get(place).copied().unwrap_or_default()
}

/// The bars of a day, one on the other; what is there is seen, be it ever so little.
fn bars(day: i64, counts: &Day, since: i64, most: i64) -> Vec<Bar> {
    let mut top = GROUND;
    let title = format!(
        "{}: {} refused, {} by break glass, {} other",
        zone::day(day),
        nth(counts, 0),
        nth(counts, 1),
        nth(counts, 2)
    );
    let seen = counts.iter().zip(CLASSES).filter(|(count, _)| **count > 0);
    seen.map(|(count, class)| {
        let height = (count * HEIGHT / most.max(1)).max(2);
        top -= height;
        Bar {
            class,
            x: (day - since) * STEP + 1,
            y: top,
            height,
            title: title.clone(),
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_told_by_how_much_they_found_and_bars_stand_on_each_other() {
        let count = |day, decision: &str, rule: &str, count| DayCount {
            day,
            decision: decision.to_owned(),
            rule: rule.to_owned(),
            count,
        };
        let counts = [
            count(100, "allow", "", 900),
            count(100, "deny", "a", 1),
            count(100, "deny", "b", 30),
            count(100, "break-glass", "b", 1),
            count(101, "warn", "b", 5),
        ];
        let rows = rows(&counts, 72);
        let told: Vec<_> = rows
            .iter()
            .map(|row| (row.id.as_str(), row.denied, row.broken, row.other))
            .collect();
        assert_eq!(told, [("b", 30, 1, 5), ("a", 1, 0, 0)]);
        let bars: Vec<_> = rows[0]
            .bars
            .iter()
            .map(|bar| (bar.class, bar.x, bar.y, bar.height))
            .collect();
        let expected = [
            ("deny", 225, 5, 34),
            ("break-glass", 225, 3, 2),
            ("other", 233, 34, 5),
        ];
        assert_eq!(bars, expected);
        assert_eq!(
            rows[0].bars[0].title,
            "1970-04-11: 30 refused, 1 by break glass, 0 other"
        );
    }
}
