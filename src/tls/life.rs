//! The time in which a certificate may be used. All times are Unix seconds.

use std::time::Duration;

use x509_parser::certificate::X509Certificate;

/// How long before its end a certificate counts as ending, in seconds: probes and load balancers need as long to notice.
const MAX_MARGIN: i64 = 60;
/// How far back a certificate's life begins at most, in seconds: a machine whose clock is a day behind the one that made it
/// must take it too.
const MAX_BACKDATE: i64 = 86_400;

/// From when until when a certificate is valid, both ends included (RFC 5280, 4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// The first moment of validity.
    pub from: i64,
    /// The last moment of validity.
    pub to: i64,
}

/// Whether a certificate may be used at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It may.
    Valid,
    /// It may, but ends within a minute, or within a twentieth of its life if that is shorter.
    Ending,
    /// It has not begun.
    NotYet,
    /// It has ended.
    Expired,
}

impl Life {
    /// The life of a certificate.
    pub fn of(certificate: &X509Certificate<'_>) -> Life {
        let validity = certificate.validity();
        Life {
            from: validity.not_before.timestamp(),
            to: validity.not_after.timestamp(),
        }
    }

    /// Whether a certificate of this life may be used at `now`.
    pub fn at(self, now: i64) -> Validity {
        if now < self.from {
            Validity::NotYet
        } else if now > self.to {
            Validity::Expired
        } else if self.to.saturating_sub(now)
            < MAX_MARGIN.min(self.to.saturating_sub(self.from) / 20)
        {
            Validity::Ending
        } else {
            Validity::Valid
        }
    }

    /// The life of a certificate that is issued at `now` for `lifetime`. It begins a day before, or a tenth of
    /// `lifetime` if that is shorter.
    pub fn issued(now: i64, lifetime: Duration) -> Life {
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        Life {
            from: now.saturating_sub(MAX_BACKDATE.min(lifetime / 10)),
            to: now.saturating_add(lifetime),
        }
    }

    /// As much of it as is within `outer`.
    pub fn within(self, outer: Life) -> Life {
        Life {
            from: self.from.max(outer.from),
            to: self.to.min(outer.to),
        }
    }

    /// Whether two thirds of it are over.
    pub fn is_due(self, now: i64) -> bool {
        let passed = i128::from(now) - i128::from(self.from);
        passed * 3 >= (i128::from(self.to) - i128::from(self.from)) * 2
    }

    /// Whether `now` is within it.
    pub fn contains(self, now: i64) -> bool {
        (self.from..=self.to).contains(&now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_ends_belong_to_it_and_before_the_last_a_certificate_ends() {
        let day = Life {
            from: 1000,
            to: 87_400,
        };
        let table = [
            // now     validity            why
            (999, Validity::NotYet, "one too early"),
            (1000, Validity::Valid, "the first moment"),
            (87_340, Validity::Valid, "a minute is left"),
            (87_341, Validity::Ending, "less than a minute is left"),
            (87_400, Validity::Ending, "the last moment"),
            (87_401, Validity::Expired, "one too late"),
        ];
        for (now, validity, why) in table {
            assert_eq!(day.at(now), validity, "{why}");
        }
    }

    #[test]
    fn a_short_life_has_a_short_end() {
        let minute = Life { from: 0, to: 60 };
        assert_eq!(minute.at(57), Validity::Valid);
        assert_eq!(minute.at(58), Validity::Ending);
        let moment = Life { from: 0, to: 6 };
        assert_eq!(moment.at(6), Validity::Valid);
        assert_eq!(moment.at(7), Validity::Expired);
    }

    #[test]
    fn a_certificate_begins_a_little_early_and_never_outlives_who_signed_it() {
        let day = Duration::from_secs(86_400);
        let long = Life::issued(1_000_000, 90 * day);
        assert_eq!((long.from, long.to), (913_600, 8_776_000));
        let short = Life::issued(1_000_000, Duration::from_secs(6));
        assert_eq!((short.from, short.to), (1_000_000, 1_000_006));
        let leaf = Life::issued(1_000_000, 365 * day).within(long);
        assert_eq!(leaf, long);
    }

    #[test]
    fn it_is_due_from_two_thirds_on() {
        let life = Life { from: 10, to: 40 };
        assert!(!life.is_due(29));
        assert!(life.is_due(30));
        assert!(life.is_due(41));
        assert!(!life.is_due(0));
    }

    proptest! {
        #[test]
        fn any_life_at_any_time_has_an_answer(from: i64, to: i64, now: i64) {
            let life = Life { from, to };
            prop_assert_eq!(life.contains(now), from <= now && now <= to);
        }
    }
}
