//! What a replica sees, and for how long it has been so.

use std::mem;
use std::time::Duration;

use super::kept::{Authority, Kept};
use crate::tls::life::Life;

/// What this replica presents in handshakes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The authority that signed it.
    pub authority: Authority,
    /// Its validity.
    pub life: Life,
}

/// Everything that a decision depends on.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Unix seconds.
    pub now: i64,
    /// What is in the Secret; nothing when there is no Secret, or no authority in it that could sign.
    pub kept: Option<Kept>,
    /// For how long the Secret has held the same authorities.
    pub kept_unchanged_for: Duration,
    /// The CA certificates in each webhook's `caBundle`; none where there is no webhook.
    pub bundles: Vec<Vec<Authority>>,
    /// Each authority that every webhook's `caBundle` holds, and for how long.
    pub trusted: Vec<(Authority, Duration)>,
    /// What this replica presents, if anything yet.
    pub presented: Option<Presented>,
    /// When it was looked last, since the start.
    pub(super) looked_at: Duration,
}

impl Seen {
    /// Takes in what is seen at `at`, a time since the start.
    pub fn look(&mut self, at: Duration, kept: Option<Kept>, bundles: Vec<Vec<Authority>>) {
        let passed = at.saturating_sub(mem::replace(&mut self.looked_at, at));
        let (first, others) = bundles
            .split_first()
            .unwrap_or((const { &Vec::new() }, &[]));
        let everywhere = first
            .iter()
            .filter(|authority| others.iter().all(|bundle| bundle.contains(authority)));
        let trusted = everywhere.map(|authority| {
            let known = self.trusted_for(authority);
            let duration = known.map_or(Duration::ZERO, |duration| duration + passed);
            (authority.clone(), duration)
        });
        self.trusted = trusted.collect();
        self.bundles = bundles;
        self.kept_unchanged_for =
            match authorities(self.kept.as_ref()) == authorities(kept.as_ref()) {
                true => self.kept_unchanged_for + passed,
                false => Duration::ZERO,
            };
        self.kept = kept;
    }

    /// For how long every webhook has trusted an authority; nothing when one does not.
    pub fn trusted_for(&self, authority: &Authority) -> Option<Duration> {
        let known = self.trusted.iter().find(|(known, _)| known == authority);
        known.map(|(_, duration)| *duration)
    }
}

fn authorities(kept: Option<&Kept>) -> Option<(&Authority, Option<&Authority>)> {
    kept.map(|kept| (&kept.current, kept.next.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::life::Life;

    const LIFE: Life = Life { from: 0, to: 100 };

    fn authority(name: &str) -> Authority {
        Authority {
            der: name.as_bytes().to_vec(),
            life: LIFE,
        }
    }

    fn bundles(bundles: &[&[&str]]) -> Vec<Vec<Authority>> {
        let bundle = |names: &&[&str]| names.iter().map(|name| authority(name)).collect();
        bundles.iter().map(bundle).collect()
    }

    #[test]
    fn an_authority_is_trusted_since_every_webhook_does_without_a_break() {
        let mut seen = Seen::default();
        let mut trusted_for = |at, of: &[&[&str]]| {
            seen.look(Duration::from_secs(at), None, bundles(of));
            seen.trusted_for(&authority("a"))
                .map(|duration| duration.as_secs())
        };
        let table: [(u64, &[&[&str]], Option<u64>, &str); 8] = [
            (1, &[], None, "no webhook"),
            (2, &[&["a"], &["b"]], None, "one of two"),
            (3, &[&["a"], &["b", "a"]], Some(0), "both"),
            (5, &[&["a"], &["a"]], Some(2), "still"),
            (9, &[&["c", "a"], &["a"]], Some(6), "beside another"),
            (10, &[&["c"], &["a"]], None, "no longer"),
            (11, &[&["a"], &["a"]], Some(0), "again"),
            (12, &[&["a"]], Some(1), "a webhook less"),
        ];
        for (at, of, expected, why) in table {
            assert_eq!(trusted_for(at, of), expected, "{why}");
        }
    }

    #[test]
    fn another_leaf_is_no_change_of_the_authorities() {
        let holds = |current: &str, next: Option<&str>, leaf| {
            Some(Kept {
                current: authority(current),
                leaf,
                next: next.map(authority),
            })
        };
        let leaf = crate::certificates::kept::Leaf {
            life: LIFE,
            covers_names: true,
        };
        let mut seen = Seen::default();
        let mut unchanged_for = |at, kept: Option<Kept>| {
            seen.look(Duration::from_secs(at), kept, Vec::new());
            seen.kept_unchanged_for.as_secs()
        };
        assert_eq!(unchanged_for(0, None), 0);
        assert_eq!(unchanged_for(7, None), 7);
        assert_eq!(unchanged_for(8, holds("a", None, None)), 0);
        assert_eq!(unchanged_for(10, holds("a", None, Some(leaf))), 2);
        assert_eq!(unchanged_for(11, holds("a", Some("b"), Some(leaf))), 0);
        assert_eq!(unchanged_for(12, holds("b", None, Some(leaf))), 0);
    }
}
