//! How often somebody looks: what keeps those who do again and again from filling the log.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For how long looks at the same address are one.
const ONE: Duration = Duration::from_secs(60);
/// The most addresses that somebody looks at in that time.
pub(super) const MOST: usize = 120;

/// Who looked at what lately.
#[derive(Default)]
pub(super) struct Looks(Mutex<HashMap<String, (Instant, HashSet<String>)>>);

/// What a look is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// One that is put on record.
    New,
    /// One that is on record already.
    Again,
    /// One too many.
    TooMany,
}

impl Looks {
    /// Somebody looks at an address.
    pub(super) fn at(&self, viewer: &str, address: &str, now: Instant) -> Look {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.retain(|_, (began, _)| now.duration_since(*began) < ONE);
        let (_, addresses) = looks
            .entry(viewer.to_owned())
            .or_insert_with(|| (now, HashSet::new()));
        if addresses.contains(address) {
            return Look::Again;
        }
        if addresses.len() >= MOST {
            return Look::TooMany;
        }
        addresses.insert(address.to_owned());
        Look::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_at_the_same_are_one_in_a_minute_and_those_at_too_many_are_none() {
        let (looks, now) = (Looks::default(), Instant::now());
        let seen: Vec<_> = (0..=MOST)
            .map(|place| looks.at("a", &place.to_string(), now))
            .collect();
        let (last, all) = seen.split_last().unwrap();
        assert!(all.iter().all(|look| *look == Look::New));
        assert_eq!(*last, Look::TooMany);
        assert_eq!(looks.at("a", "0", now), Look::Again);
        assert_eq!(looks.at("b", "0", now), Look::New);
        for address in ["0", "1"] {
            assert_eq!(looks.at("a", address, now + ONE), Look::New);
        }
        assert_eq!(looks.0.lock().unwrap().len(), 1);
    }
}
