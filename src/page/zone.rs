//! Times as the viewer wants to read them: in UTC, or in a named zone.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The name of the cookie that says which.
pub(super) const COOKIE: &str = "__Host-keyguard-zone";
/// For how long a weekday alone tells the day.
const DAYS_BY_NAME: i64 = 6;

/// A time zone, and the time of the request.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    zone: TimeZone,
    now: Timestamp,
}

/// The zone with a name of the IANA database, such as `Europe/Berlin`.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    match name {
        "" | "UTC" => Some(TimeZone::UTC),
        name => TimeZone::get(name).ok(),
    }
}

impl Clock {
    /// One for a zone; `now` is in milliseconds since 1970.
    pub(super) fn new(zone: TimeZone, now: i64) -> Clock {
        let now = Timestamp::from_millisecond(now).unwrap_or_default();
        Clock { zone, now }
    }

    /// The name of the zone.
    pub(super) fn name(&self) -> String {
        self.zone.iana_name().unwrap_or("UTC").to_owned()
    }

    /// Milliseconds since 1970 as `2026-11-27 15:59:41`, in a named zone as `2026-11-27 16:59:41 +01:00`: an hour comes twice
    /// when summer ends.
    pub(super) fn full(&self, milliseconds: i64) -> String {
        match self.zone == TimeZone::UTC {
            true => self.format(milliseconds, "%Y-%m-%d %H:%M:%S"),
            false => self.format(milliseconds, "%Y-%m-%d %H:%M:%S %:z"),
        }
    }

    /// The same as short as it can be told: `Tuesday 15:59` of the last days, else `2026-11-27 15:59`.
    pub(super) fn short(&self, milliseconds: i64) -> String {
        let Ok(time) = Timestamp::from_millisecond(milliseconds) else {
            return String::new();
        };
        let age = self.now.duration_since(time);
        let is_lately = age < SignedDuration::from_hours(24 * DAYS_BY_NAME)
            && age > -SignedDuration::from_hours(1);
        match is_lately {
            true => self.format(milliseconds, "%A %H:%M"),
            false => self.format(milliseconds, "%Y-%m-%d %H:%M"),
        }
    }

    fn format(&self, milliseconds: i64, format: &str) -> String {
        let time = Timestamp::from_millisecond(milliseconds);
        let time = time.map(|time| time.to_zoned(self.zone.clone()));
        time.map_or_else(|_| String::new(), |time| time.strftime(format).to_string())
    }
}

/// A day, counted from 1 January 1970, as `2026-11-27`.
pub(super) fn day(day: i64) -> String {
    let clock = Clock::new(TimeZone::UTC, 0);
    clock.format(day.saturating_mul(86_400_000), "%Y-%m-%d")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_the_zone_and_lately_by_weekday() {
        let now = 1_795_737_600_000; // Friday, 27 November 2026, 00:00 UTC
        let day = 86_400_000;
        let table = [
            ("UTC", now, "2026-11-27 00:00:00", "Friday 00:00"),
            (
                "Europe/Berlin",
                now,
                "2026-11-27 01:00:00 +01:00",
                "Friday 01:00",
            ),
            (
                "America/New_York",
                now,
                "2026-11-26 19:00:00 -05:00",
                "Thursday 19:00",
            ),
            (
                "Asia/Kathmandu",
                now - 9 * day,
                "2026-11-18 05:45:00 +05:45",
                "2026-11-18 05:45",
            ),
            (
                "Europe/Berlin",
                now - 150 * day,
                "2026-06-30 02:00:00 +02:00",
                "2026-06-30 02:00",
            ),
            ("", i64::MAX, "", ""),
        ];
        for (name, time, full, short) in table {
            let clock = Clock::new(zone(name).unwrap(), now);
            assert_eq!(
                (clock.full(time).as_str(), clock.short(time).as_str()),
                (full, short)
            );
        }
        for none in ["Mars/Olympus", "../etc/passwd", "<script>"] {
            assert!(zone(none).is_none(), "{none}");
        }
    }
}
