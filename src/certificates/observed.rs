//! For how long things have been as they are, as one replica has seen it. Moments are times since its start.

use std::time::Duration;

use super::kept::{Authority, Kept};

/// What a replica remembers between its looks.
#[derive(Debug, Default)]
pub struct Observer {
    trusted: Vec<(Authority, Duration)>,
    kept: Option<(Vec<Authority>, Duration)>,
}

/// For how long things have been as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Each authority that every webhook's `caBundle` holds, and for how long.
    pub trusted: Vec<(Authority, Duration)>,
    /// For how long the Secret has held the same authorities.
    pub kept_unchanged_for: Duration,
}

impl Observer {
    /// Takes in what is seen at `at`.
    pub fn look(&mut self, at: Duration, kept: &Kept, bundles: &[Vec<Authority>]) -> Observed {
        let everywhere = bundles
            .split_first()
            .map_or_else(Vec::new, |(first, others)| {
                let trusted = first
                    .iter()
                    .filter(|authority| others.iter().all(|bundle| bundle.contains(authority)));
                trusted.cloned().collect()
            });
        let since = |authority: &Authority| {
            let known = self.trusted.iter().find(|(known, _)| known == authority);
            known.map_or(at, |(_, since)| *since)
        };
        self.trusted = everywhere
            .into_iter()
            .map(|authority| {
                let since = since(&authority);
                (authority, since)
            })
            .collect();
        let held = held(kept);
        let unchanged_since = match &self.kept {
            Some((known, since)) if *known == held => *since,
            _ => at,
        };
        self.kept = Some((held, unchanged_since));
        let for_how_long = |(authority, since): &(Authority, Duration)| {
            (authority.clone(), at.saturating_sub(*since))
        };
        Observed {
            trusted: self.trusted.iter().map(for_how_long).collect(),
            kept_unchanged_for: at.saturating_sub(unchanged_since),
        }
    }
}

impl Observed {
    /// For how long every webhook has trusted an authority; nothing when one does not.
    pub fn trusted_for(&self, authority: &Authority) -> Option<Duration> {
        let known = self.trusted.iter().find(|(known, _)| known == authority);
        known.map(|(_, duration)| *duration)
    }
}

fn held(kept: &Kept) -> Vec<Authority> {
    match kept {
        Kept::Missing | Kept::Damaged => Vec::new(),
        Kept::Holds { current, next, .. } => [Some(current), next.as_ref()]
            .into_iter()
            .flatten()
            .cloned()
            .collect(),
    }
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
        let mut observer = Observer::default();
        let mut trusted_for = |at, of: &[&[&str]]| {
            let observed = observer.look(Duration::from_secs(at), &Kept::Missing, &bundles(of));
            observed
                .trusted_for(&authority("a"))
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
        let holds = |current: &str, next: Option<&str>, leaf| Kept::Holds {
            current: authority(current),
            leaf,
            next: next.map(authority),
        };
        let leaf = crate::certificates::kept::Leaf {
            life: LIFE,
            covers_names: true,
        };
        let mut observer = Observer::default();
        let mut unchanged_for = |at, kept: &Kept| {
            let observed = observer.look(Duration::from_secs(at), kept, &[]);
            observed.kept_unchanged_for.as_secs()
        };
        assert_eq!(unchanged_for(5, &Kept::Missing), 0);
        assert_eq!(unchanged_for(7, &Kept::Damaged), 2);
        assert_eq!(unchanged_for(8, &holds("a", None, None)), 0);
        assert_eq!(unchanged_for(10, &holds("a", None, Some(leaf))), 2);
        assert_eq!(unchanged_for(11, &holds("a", Some("b"), Some(leaf))), 0);
        assert_eq!(unchanged_for(12, &holds("b", None, Some(leaf))), 0);
    }
}
