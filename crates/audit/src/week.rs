//! Weeks from Monday to Sunday in UTC: each has a log of its own.

use std::fmt;

use time::{Date, Duration, OffsetDateTime, Weekday};

/// A week, counted from that of 1 January 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Week(u32);

/// Where an entry is: its week, and its place in the log of that week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The week.
    pub week: Week,
    /// How many entries come before it in the log of the week.
    pub index: u64,
}

const MILLISECONDS_OF_A_DAY: i64 = 86_400_000;
/// 1 January 1970 was a Thursday.
const DAYS_BEFORE: i64 = 3;

impl Week {
    /// The week of a time in milliseconds since 1970.
    pub fn of(milliseconds: i64) -> Week {
        let days = milliseconds.div_euclid(MILLISECONDS_OF_A_DAY) + DAYS_BEFORE;
        Week(u32::try_from(days.div_euclid(7)).unwrap_or(0))
    }

    /// The number as the store has it.
    pub fn number(self) -> i64 {
        i64::from(self.0)
    }

    /// The week with a number of the store.
    pub fn numbered(number: i64) -> Option<Week> {
        // The last one that ends before the year 10000, which has no name.
        const LAST: u32 = 418_000;
        u32::try_from(number)
            .ok()
            .filter(|number| *number <= LAST)
            .map(Week)
    }

    /// The week with a name such as `2026-W48`.
    pub fn named(name: &str) -> Option<Week> {
        let (year, week) = name.split_once("-W")?;
        let monday =
            Date::from_iso_week_date(year.parse().ok()?, week.parse().ok()?, Weekday::Monday);
        let week = Week::of(
            monday
                .ok()?
                .midnight()
                .assume_utc()
                .unix_timestamp()
                .checked_mul(1000)?,
        );
        (week.to_string() == name).then_some(week)
    }

    /// When it ends, in milliseconds since 1970.
    pub fn end(self) -> i64 {
        ((i64::from(self.0) + 1) * 7 - DAYS_BEFORE) * MILLISECONDS_OF_A_DAY
    }
}

/// As ISO 8601 writes it, such as `2026-W48`.
impl fmt::Display for Week {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thursday = OffsetDateTime::UNIX_EPOCH + Duration::weeks(i64::from(self.0));
        let (year, week, _) = thursday.to_iso_week_date();
        write!(formatter, "{year}-W{week:02}")
    }
}

impl Place {
    /// The place as one number, in which the store sorts.
    pub fn position(self) -> i64 {
        (self.week.number() << 32) | i64::try_from(self.index & 0xffff_ffff).unwrap_or(0)
    }

    /// The place with a position of the store; `None` when it can be none.
    pub fn at(position: i64) -> Option<Place> {
        Some(Place {
            week: Week::numbered(position >> 32)?,
            index: u64::try_from(position & 0xffff_ffff).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_monday_and_are_called_as_iso_8601_has_it() {
        let table = [
            (0, "1970-W01"),
            (1_798_416_000_000 - 1, "2026-W52"),
            (1_795_737_600_000, "2026-W48"), // Friday, 27 November 2026
            (1_483_228_799_000, "2016-W52"), // Saturday, 31 December 2016
            (1_483_315_200_000, "2017-W01"), // Monday, 2 January 2017
        ];
        for (milliseconds, expected) in table {
            assert_eq!(
                Week::of(milliseconds).to_string(),
                expected,
                "{milliseconds}"
            );
        }
        for (milliseconds, name) in table {
            let week = Week::of(milliseconds);
            assert_eq!(Week::named(name), Some(week));
            assert_eq!(Week::of(week.end()).number(), week.number() + 1);
            assert_eq!(Week::of(week.end() - 1), week);
        }
        for name in ["", "2026-W54", "2026-W8", "+2026-W48", "2026-48"] {
            assert_eq!(Week::named(name), None, "{name}");
        }
        let week = Week::of(1_795_737_600_000);
        let place = Place {
            week,
            index: 70_000,
        };
        assert_eq!(Place::at(place.position()), Some(place));
    }
}
