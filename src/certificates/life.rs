//! The time in which a certificate may be used. All times are Unix seconds.

/// How long before its end a certificate counts as ending, in seconds: probes and load balancers need as long to notice.
const LONGEST_MARGIN: i64 = 60;

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
    /// Whether a certificate of this life may be used at `now`.
    pub fn at(self, now: i64) -> Validity {
        if now < self.from {
            Validity::NotYet
        } else if now > self.to {
            Validity::Expired
        } else if self.to.saturating_sub(now) < LONGEST_MARGIN.min(self.length() / 20) {
            Validity::Ending
        } else {
            Validity::Valid
        }
    }

    /// Whether `now` is within it.
    pub fn contains(self, now: i64) -> bool {
        matches!(self.at(now), Validity::Valid | Validity::Ending)
    }

    fn length(self) -> i64 {
        self.to.saturating_sub(self.from)
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

    proptest! {
        #[test]
        fn any_life_at_any_time_has_an_answer(from: i64, to: i64, now: i64) {
            let life = Life { from, to };
            prop_assert_eq!(life.contains(now), from <= now && now <= to);
        }
    }
}
