//! `certificates`: how the certificate is kept up to date.

use std::time::Duration;

use super::section::Section;
use crate::certificates::plan::Terms;

/// How the certificate is kept up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// How long what keyguard makes by itself lasts.
    pub terms: Terms,
    /// From one look for another certificate to the next.
    pub check_interval: Duration,
}

impl Default for Certificates {
    fn default() -> Certificates {
        Certificates {
            terms: Terms {
                authority: 365 * DAY,
                leaf: 90 * DAY,
                overlap: Duration::from_secs(300),
            },
            check_interval: Duration::from_secs(1),
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Certificates {
    pub(super) fn read(&mut self, section: &mut Section<'_>) {
        let terms = &mut self.terms;
        let lifetimes = (3 * SECOND..=3650 * DAY, "from 3s to 87600h");
        section.duration_within("caLifetime", &mut terms.authority, &lifetimes);
        section.duration_within("lifetime", &mut terms.leaf, &lifetimes);
        let overlaps = (Duration::from_millis(30)..=DAY, "from 30ms to 24h");
        section.duration_within("overlap", &mut terms.overlap, &overlaps);
        // Looking without a pause would leave no time for reviews.
        let intervals = (Duration::from_millis(10)..=600 * SECOND, "from 10ms to 10m");
        section.duration_within("checkInterval", &mut self.check_interval, &intervals);
        if terms.overlap < self.check_interval * 3 {
            let problem =
                "must be at least three times checkInterval, so that every replica has looked";
            section.fault("overlap", problem);
        }
        if terms.overlap * 6 > terms.authority {
            let problem =
                "must be at most a sixth of caLifetime, so that it fits into the last third";
            section.fault("overlap", problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn two_authorities_must_have_the_time_to_take_over_from_each_other() {
        let overlap = |text: &str| {
            let text = format!("certificates: {{{text}}}");
            Config::parse("test", &text).unwrap_err().to_string()
        };
        let told = overlap("overlap: 5s, checkInterval: 2s");
        assert!(
            told.contains("at least three times checkInterval"),
            "{told}"
        );
        let told = overlap("overlap: 11s, caLifetime: 60s, lifetime: 60s");
        assert!(told.contains("at most a sixth of caLifetime"), "{told}");
    }
}
