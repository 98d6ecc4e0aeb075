//! Times as Go keeps and reads them.
//!
//! Source: Go `time`: `Parse` with the layout `RFC3339`, and `Unix`.

/// From the year 1, where Go counts from, to 1970, in seconds.
const YEAR_1_TO_1970: i64 = 62_135_596_800;

/// A point in time as Go's `time.Time` has it, to be compared: seconds since the year 1, and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    seconds: i64,
    nanoseconds: u32,
}

impl Time {
    /// Go's `time.Unix(seconds, 0)`, which wraps around for what is too far away.
    pub fn unix(seconds: i64) -> Time {
        Time {
            seconds: seconds.wrapping_add(YEAR_1_TO_1970),
            nanoseconds: 0,
        }
    }

    /// Seconds since 1970, without the fraction.
    pub fn unix_seconds(self) -> i128 {
        i128::from(self.seconds) - i128::from(YEAR_1_TO_1970)
    }

    /// The fraction of the second.
    pub fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }

    /// Go's `Time.IsZero`: the first second of the year 1.
    pub fn is_zero(self) -> bool {
        self == Time::unix(-YEAR_1_TO_1970)
    }

    /// The same without the fraction of the second.
    pub fn whole_second(self) -> Time {
        Time {
            nanoseconds: 0,
            ..self
        }
    }

    /// Go's `time.Parse(time.RFC3339, text)`; `None` where that is an error.
    ///
    /// More than RFC 3339 allows: an hour of one digit, a comma before the fraction, a zone of 24 hours or 60
    /// minutes. Less: `t` and `z` are errors, and so is a leap second.
    pub fn parse(text: &[u8]) -> Option<Time> {
        let mut rest = Rest(text);
        let year = i64::from(rest.digits(4)?);
        rest.skip(b'-')?;
        let month = rest.digits(2).filter(|month| (1..=12).contains(month))?;
        rest.skip(b'-')?;
        let day = rest.digits(2)?;
        rest.skip(b'T')?;
        let hour = rest.hour().filter(|hour| *hour < 24)?;
        rest.skip(b':')?;
        let minute = rest.digits(2).filter(|minute| *minute < 60)?;
        rest.skip(b':')?;
        let second = rest.digits(2).filter(|second| *second < 60)?;
        let nanoseconds = rest.fraction();
        let offset = rest.zone()?;
        if !rest.0.is_empty() || day < 1 || day > days_in(month, year) {
            return None;
        }
        let of_day = i64::from((hour * 60 + minute) * 60 + second);
        let seconds = days_since_1970(year, month, day) * 86_400 + of_day - offset;
        Some(Time {
            nanoseconds,
            ..Time::unix(seconds)
        })
    }
}

/// What is left to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn skip(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    fn digits(&mut self, count: usize) -> Option<u32> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let mut digits = digits.iter().map(|digit| char::from(*digit).to_digit(10));
        let number = digits.try_fold(0, |number, digit| Some(number * 10 + digit?))?;
        self.0 = rest;
        Some(number)
    }

    fn hour(&mut self) -> Option<u32> {
        let two = self.0.get(1).is_some_and(u8::is_ascii_digit);
        self.digits(if two { 2 } else { 1 })
    }

    /// The nanoseconds: of however many digits, nine count.
    fn fraction(&mut self) -> u32 {
        let [b'.' | b',', digits @ ..] = self.0 else {
            return 0;
        };
        let length = digits
            .iter()
            .take_while(|digit| digit.is_ascii_digit())
            .count();
        let Some((digits, rest)) = digits.split_at_checked(length).filter(|_| length > 0) else {
            return 0;
        };
        self.0 = rest;
        let zeros = std::iter::repeat(&b'0');
        let nine = digits.iter().chain(zeros).take(9);
        nine.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
    }

    /// Seconds east of Greenwich.
    fn zone(&mut self) -> Option<i64> {
        if self.skip(b'Z').is_some() {
            return Some(0);
        }
        let sign = match self.0.first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.0 = self.0.get(1..)?;
        let hours = self.digits(2).filter(|hours| *hours <= 24)?;
        self.skip(b':')?;
        let minutes = self.digits(2).filter(|minutes| *minutes <= 60)?;
        Some(sign * i64::from((hours * 60 + minutes) * 60))
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(month: u32, year: i64) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the Gregorian calendar. Counted in years that begin in March, so that the leap day is the last.
fn days_since_1970(year: i64, month: u32, day: u32) -> i64 {
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let of_year = i64::from((153 * month + 2) / 5 + day) - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // From 1 March of the year 0 to 1970.
    year * 365 + leap_days + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_go_reads_them() {
        let table = [
            ("1970-01-01T00:00:00Z", Some((0, 0))),
            ("2026-10-19T08:00:00Z", Some((1_792_396_800, 0))),
            ("2026-10-19T10:00:00+02:00", Some((1_792_396_800, 0))),
            ("2026-10-19T03:30:00-04:30", Some((1_792_396_800, 0))),
            ("2026-10-19T8:00:00Z", Some((1_792_396_800, 0))),
            ("2026-10-19T08:00:00.5Z", Some((1_792_396_800, 500_000_000))),
            ("2026-10-19T08:00:00,5Z", Some((1_792_396_800, 500_000_000))),
            (
                "2026-10-19T08:00:00.1234567899Z",
                Some((1_792_396_800, 123_456_789)),
            ),
            (
                "2026-10-19T08:00:00+24:60",
                Some((1_792_396_800 - 90_000, 0)),
            ),
            ("0000-01-01T00:00:00Z", Some((-62_167_219_200, 0))),
            ("2024-02-29T00:00:00Z", Some((1_709_164_800, 0))),
            ("2023-02-29T00:00:00Z", None),
            ("2026-10-19T08:00:00+25:00", None),
            ("2026-10-19T08:00:00+00:61", None),
            ("2026-10-19T08:00:00.Z", None),
            ("2026-10-19T08:00:60Z", None),
            ("2026-10-19T24:00:00Z", None),
            ("2026-13-19T08:00:00Z", None),
            ("2026-10-00T08:00:00Z", None),
            ("2026-10-19 08:00:00Z", None),
            ("2026-10-19t08:00:00Z", None),
            ("2026-10-19T08:00:00z", None),
            ("2026-10-19T08:00:00", None),
            ("2026-10-19T08:00:00Z\n", None),
            ("", None),
        ];
        for (text, expected) in table {
            let time = Time::parse(text.as_bytes());
            let found = time.map(|time| (time.unix_seconds(), time.nanoseconds()));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_is_too_far_away_wraps_around_as_in_go() {
        assert!(Time::unix(i64::MAX) < Time::unix(0));
        assert!(Time::unix(i64::MIN) < Time::unix(0));
        assert!(Time::unix(1 << 60) > Time::unix(0));
    }
}
