//! What a replica does about the certificates that keyguard keeps by itself, given what it sees.
//!
//! The Secret holds an authority with the serving certificate it signed, and, while authorities change, the next one.
//! All replicas present what the Secret holds, and all of them keep it and the `caBundle` as they should be. When a write
//! of a replica comes second, the replica looks again. So that no handshake fails,
//!
//! 1. the next authority is in the `caBundle` for the overlap before anything signed by it is presented, because API
//!    servers learn of a bundle a little later than it is written;
//! 2. the one before stays in the `caBundle` for twice the overlap after the Secret has changed, because replicas learn
//!    of that a little later, too;
//! 3. a replica gives up what the `caBundle` in force verifies only for what it has verified for the overlap.

use strum::IntoStaticStr;

use super::kept::{Authority, Kept, Leaf};
use super::seen::{Presented, Seen};
use crate::config::Certificates;
use crate::tls::life::{Life, Validity};

/// The most CAs in a `caBundle` that the Secret does not hold.
const MAX_FOREIGN_CAS: usize = 6;

/// What to write into the Secret, with its name in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
pub enum Change {
    /// An authority and a serving certificate, both new.
    #[strum(serialize = "created")]
    Create,
    /// What this replica presents, with its authority, and a new next one: the Secret may have been deleted because a key
    /// leaked.
    #[strum(serialize = "restored")]
    Restore,
    /// A serving certificate, signed by the authority that is there.
    #[strum(serialize = "serving certificate renewed")]
    RenewLeaf,
    /// A new next authority beside what is there.
    #[strum(serialize = "next CA made")]
    StageNext,
    /// The next authority in place of the one that is there, and a serving certificate signed by it.
    #[strum(serialize = "next CA in use")]
    Promote,
}

/// What to write into the Secret, if it is not as it should be.
pub fn change(seen: &Seen, terms: &Certificates) -> Option<Change> {
    let Some(Kept {
        current,
        leaf,
        next,
    }) = &seen.kept
    else {
        return Some(match &seen.presented {
            Some(presented) if seen.holds_good(presented) => Change::Restore,
            _ => Change::Create,
        });
    };
    let next = next.as_ref().filter(|next| !next.life.is_due(seen.now));
    if !current.life.contains(seen.now) {
        return Some(match next {
            Some(_) => Change::Promote,
            None => Change::Create,
        });
    }
    if leaf.is_none_or(|leaf| seen.wants_another(leaf, current, terms)) {
        return Some(Change::RenewLeaf);
    }
    match next {
        Some(next) if seen.trusted_for(next) >= Some(*terms.overlap) => Some(Change::Promote),
        Some(_) => None,
        None => current.life.is_due(seen.now).then_some(Change::StageNext),
    }
}

/// What each webhook's `caBundle` should hold, unless all of them do.
pub fn bundle(seen: &Seen, terms: &Certificates) -> Option<Vec<Authority>> {
    let Kept { current, next, .. } = seen.kept.as_ref()?;
    let mut wanted = vec![current.clone()];
    let mut want = |authority: &Authority| {
        if authority.life.contains(seen.now) && !wanted.contains(authority) {
            wanted.push(authority.clone());
        }
    };
    next.iter().for_each(&mut want);
    if let Some(presented) = &seen.presented {
        want(&presented.authority);
    }
    if seen.kept_unchanged_for < *terms.overlap * 2 {
        let in_force = seen.bundles.iter().flatten();
        in_force.take(MAX_FOREIGN_CAS).for_each(&mut want);
    }
    let same = |bundle: &Vec<Authority>| {
        bundle.iter().all(|authority| wanted.contains(authority))
            && wanted.iter().all(|authority| bundle.contains(authority))
    };
    (!seen.bundles.iter().all(same)).then_some(wanted)
}

/// Whether to present the serving certificate in the Secret, which is another than this replica presents.
pub fn is_to_be_presented(seen: &Seen, terms: &Certificates) -> bool {
    let Some(Kept {
        current,
        leaf: Some(leaf),
        ..
    }) = &seen.kept
    else {
        return false;
    };
    let Some(presented) = &seen.presented else {
        return leaf.life.contains(seen.now);
    };
    leaf.life.contains(seen.now)
        && (presented.authority == *current
            || !seen.holds_good(presented)
            || seen.trusted_for(current) >= Some(*terms.overlap))
}

impl Seen {
    /// Whether the API server accepts what is presented, as far as this replica knows.
    fn holds_good(&self, presented: &Presented) -> bool {
        presented.life.contains(self.now)
            && presented.authority.life.contains(self.now)
            && self.trusted_for(&presented.authority).is_some()
    }

    /// Whether a serving certificate is worth being issued again.
    fn wants_another(&self, leaf: Leaf, authority: &Authority, terms: &Certificates) -> bool {
        let fresh = Life::issued(self.now, *terms.lifetime).within(authority.life);
        let outlives = leaf.life.to > authority.life.to;
        let due = leaf.life.is_due(self.now) && fresh.to > leaf.life.to;
        // A replica with a fast clock made it. A replica that waits for it may have nothing to present.
        let early = leaf.life.at(self.now) == Validity::NotYet && fresh.from < leaf.life.from;
        !leaf.covers_names || outlives || due || early
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "plan_model.rs"]
mod model;
