//! A decision as people read it, and what the attempts of its fingerprint come to.

use keyguard_audit::attempts::{Attempts, MOST_ATTEMPTS};
use keyguard_audit::entry::milliseconds;

use super::asked::Asked;
use super::zone::Clock;
use crate::report::records::{what, word};
use crate::report::visible::visible;
use keyguard_core::record::Record;

/// The most users whom a row names.
const MOST_NAMED: usize = 3;

/// A decision as people read it.
pub(super) struct Row {
    pub id: String,
    pub iso: String,
    pub time: String,
    /// Its name, and what it means.
    pub decision: &'static str,
    pub word: &'static str,
    pub is_dry_run: bool,
    pub what: String,
    pub place: String,
    pub who: String,
    pub tool: String,
    pub rules: Vec<String>,
    /// What was found first.
    pub why: String,
    pub reason: String,
    pub attempts: Option<Told>,
}

/// What attempts come to, in words.
pub(super) struct Told {
    /// How often what is filtered was tried, and by whom since when; empty when it is not among the latest attempts.
    pub often: String,
    pub by: String,
    /// How often it was tried in all, when that is more.
    pub in_all: String,
    /// Whether any went through.
    pub passed: String,
    /// The queries for what is filtered of them, and for all.
    pub filtered: String,
    pub all: String,
}

impl Row {
    /// The row of a record; `asked` is what was filtered.
    pub(super) fn of(
        record: &Record,
        attempts: Option<&Attempts>,
        asked: &Asked,
        clock: &Clock,
    ) -> Row {
        let shown = |text: &str| visible(text, &[]).into_owned();
        let time = milliseconds(&record.time).unwrap_or_default();
        Row {
            id: record.id.clone(),
            iso: record.time.clone(),
            time: clock.full(time),
            decision: record.decision.name(),
            word: word(record.decision),
            is_dry_run: record.dry_run,
            what: what(record),
            place: shown(&record.object.namespace),
            who: shown(&record.user.name),
            tool: shown(record.tool.name()),
            rules: record.rules.iter().map(|it| it.id().to_owned()).collect(),
            why: record
                .findings
                .first()
                .map_or_else(String::new, |it| shown(&it.message)),
            reason: shown(&record.reason),
            attempts: attempts
                .filter(|it| it.all > 1)
                .map(|it| told(it, &same(record, asked), clock)),
        }
    }
}

/// What asks for the attempts of the fingerprint of a record. Who may see some namespaces sees one at a time.
fn same(record: &Record, asked: &Asked) -> Asked {
    Asked {
        fingerprint: record.fingerprint.clone(),
        namespace: record.object.namespace.clone(),
        ..asked.clone()
    }
}

/// "13 times (2 dry runs)" "by alice (9), bob (4) since Tuesday 10:04", "14 in all", "went through on Thursday 09:12 by break
/// glass".
fn told(attempts: &Attempts, same: &Asked, clock: &Clock) -> Told {
    let Attempts { all, count, .. } = *attempts;
    let more = if all >= MOST_ATTEMPTS {
        "at least "
    } else {
        ""
    };
    let times = match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    };
    let dry_runs = match attempts.dry_runs {
        0 => String::new(),
        dry_runs if dry_runs == count => " as a dry run".to_owned(),
        1 => " (1 dry run)".to_owned(),
        dry_runs => format!(" ({dry_runs} dry runs)"),
    };
    let since = if count == 1 { "on" } else { "since" };
    let passed = attempts.passed.map_or_else(String::new, |passed| {
        let glass = match attempts.broke_glass == Some(passed) {
            true => " by break glass",
            false => "",
        };
        format!("went through on {}{glass}", clock.short(passed))
    });
    let (often, by) = match count {
        0 => Default::default(),
        _ => (
            format!("{more}{times}{dry_runs}"),
            format!(
                "by {} {since} {}",
                users(&attempts.users),
                clock.short(attempts.first)
            ),
        ),
    };
    let in_all = match count < all {
        true => format!("{more}{all} in all"),
        false => String::new(),
    };
    let all = Asked {
        fingerprint: same.fingerprint.clone(),
        namespace: same.namespace.clone(),
        ..Asked::default()
    };
    Told {
        often,
        by,
        in_all,
        passed,
        filtered: same.query(),
        all: all.query(),
    }
}

/// Who tried, those who did most often first, such as `alice (9), bob (4), carol (1) and 2 others`.
fn users(users: &[(String, i64)]) -> String {
    let shown = |name: &String| visible(name, &[]).into_owned();
    if let [(name, _)] = users {
        return shown(name);
    }
    let named = users.iter().take(MOST_NAMED);
    let named = named.map(|(name, count)| format!("{} ({count})", shown(name)));
    let named = named.collect::<Vec<_>>().join(", ");
    match users.len().saturating_sub(MOST_NAMED) {
        0 => named,
        1 => format!("{named} and 1 other"),
        others => format!("{named} and {others} others"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_told_in_words() {
        let now = 1_795_737_600_000; // Friday, 27 November 2026, 00:00 UTC
        let clock = Clock::new(jiff::tz::TimeZone::UTC, now);
        let day = 86_400_000;
        let by = |name: &str, count| (name.to_owned(), count);
        let same = Asked {
            fingerprint: "f1".to_owned(),
            user: "bob".to_owned(),
            ..Asked::default()
        };
        let said = |attempts: &Attempts| {
            let told = told(attempts, &same, &clock);
            [told.often, told.by, told.in_all, told.passed].join("|")
        };
        let attempts = Attempts {
            all: 17,
            count: 17,
            users: vec![by("alice", 16), by("b\u{202e}b", 1)],
            first: now - 3 * day,
            ..Attempts::default()
        };
        assert_eq!(
            said(&attempts),
            "17 times|by alice (16), b\\u{202e}b (1) since Tuesday 00:00||"
        );
        let some = Attempts {
            count: 13,
            dry_runs: 2,
            users: ["a", "b", "c", "d", "e"].map(|name| by(name, 2)).into(),
            passed: Some(now - day),
            ..attempts.clone()
        };
        assert_eq!(
            said(&some),
            "13 times (2 dry runs)|by a (2), b (2), c (2) and 2 others since Tuesday 00:00|17 in all\
             |went through on Thursday 00:00"
        );
        let one = Attempts {
            count: 1,
            dry_runs: 1,
            all: MOST_ATTEMPTS,
            users: vec![by("alice", 1)],
            broke_glass: some.passed,
            ..some.clone()
        };
        assert_eq!(
            said(&one),
            "at least once as a dry run|by alice on Tuesday 00:00|at least 1000 in all\
             |went through on Thursday 00:00 by break glass"
        );
        let none = Attempts {
            count: 0,
            users: Vec::new(),
            passed: None,
            ..one
        };
        assert_eq!(said(&none), "||at least 1000 in all|");
        let links = told(&attempts, &same, &clock);
        assert_eq!(
            (links.filtered.as_str(), links.all.as_str()),
            ("user=bob&fingerprint=f1", "fingerprint=f1")
        );
    }
}
