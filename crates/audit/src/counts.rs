//! What rows come to together: counts by hour, and a sum by which two sets of rows are told apart.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::entry::Columns;

/// How often what was decided, by hour, decision and rule.
pub(crate) type Hours = BTreeMap<(i64, String, String), i64>;

/// Adds a record to the counts: once for each of its rules, or once for none.
pub(crate) fn count(hours: &mut Hours, columns: &Columns) {
    let hour = columns.time.div_euclid(3_600_000);
    let no_rule = [String::new()];
    let rules = match columns.rules.as_slice() {
        [] => &no_rule[..],
        rules => rules,
    };
    for rule in rules {
        let key = (hour, columns.decision.clone(), rule.clone());
        *hours.entry(key).or_default() += 1;
    }
}

/// A sum over rows in any order: two sets of rows that differ have other sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowSum(u128);

impl RowSum {
    pub(crate) fn add(&mut self, rule: &str, time: i64, position: i64) {
        let mut hasher = Sha256::new();
        hasher.update(time.to_be_bytes());
        hasher.update(position.to_be_bytes());
        hasher.update(rule);
        let digest: [u8; 32] = hasher.finalize().into();
        let (half, _) = digest.as_chunks::<16>();
        let half = half.first().copied().unwrap_or_default();
        self.0 = self.0.wrapping_add(u128::from_be_bytes(half));
    }
}
