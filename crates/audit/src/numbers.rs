//! Running numbers of replicas: which are missing, and which come twice.

use std::collections::BTreeMap;

/// Numbers as the stretches that they fill: a replica counts in steps of one, so there are few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// The last number of each stretch, by its first.
    stretches: BTreeMap<i64, i64>,
    /// How many came again.
    pub(crate) repeated: u64,
}

impl Numbers {
    /// Adds a number.
    pub(crate) fn add(&mut self, number: i64) {
        let before = self.stretches.range(..=number).next_back();
        let before = before.map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| number <= last) {
            self.repeated += 1;
            return;
        }
        let first = match before {
            Some((first, last)) if last.checked_add(1) == Some(number) => first,
            _ => number,
        };
        let next = number.checked_add(1);
        let last = next.and_then(|next| self.stretches.remove(&next));
        let last = last.unwrap_or(number);
        self.stretches.insert(first, last);
    }

    /// The last one.
    pub(crate) fn last(&self) -> Option<i64> {
        self.stretches.values().next_back().copied()
    }

    /// What is missing between the first and the last: how many, and the first stretch of them.
    pub(crate) fn missing(&self) -> Option<(i64, (i64, i64))> {
        let firsts = self.stretches.keys().skip(1);
        let gaps = self.stretches.values().zip(firsts);
        let mut gaps = gaps.map(|(last, first)| (last + 1, first - 1));
        let first = gaps.next()?;
        let size = |(from, to): (i64, i64)| to.saturating_sub(from).saturating_add(1);
        let all = gaps.map(size).fold(size(first), i64::saturating_add);
        Some((all, first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_comes_twice_do_not_make_up_for_each_other() {
        type Expected = (Option<(i64, (i64, i64))>, u64);
        let table: [(&[i64], Expected); 7] = [
            (&[i64::MAX, 1], (Some((i64::MAX - 2, (2, i64::MAX - 1))), 0)),
            (&[], (None, 0)),
            (&[5], (None, 0)),
            (&[3, 1, 2], (None, 0)),
            (&[1, 2, 2, 4], (Some((1, (3, 3))), 1)),
            (&[10, 1, 5, 5, 5], (Some((7, (2, 4))), 2)),
            (&[1, 3, 2, 2, 3, 1], (None, 3)),
        ];
        for (added, expected) in table {
            let mut numbers = Numbers::default();
            added.iter().for_each(|number| numbers.add(*number));
            assert_eq!((numbers.missing(), numbers.repeated), expected, "{added:?}");
            assert_eq!(numbers.last(), added.iter().max().copied());
        }
    }
}
