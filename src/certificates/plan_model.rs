//! A cluster in which replicas do as the plan says, in any order and with anything going wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::btree_map;
use proptest::prelude::*;

use super::tests::TERMS;
use super::*;

/// How much later than a write an API server may still go by the bundle before, in seconds.
const LAG: i64 = 2;
/// The longest that a replica does not look, in seconds.
const LONGEST_PAUSE: usize = 3;

/// A cluster in which replicas do as the plan says.
struct World {
    now: i64,
    kept: Option<Kept>,
    /// The bundle, with those before it and when each was written.
    bundles: Vec<(i64, Vec<Authority>)>,
    replicas: Vec<Replica>,
    made: usize,
}

#[derive(Default)]
struct Replica {
    seen: Seen,
    started_at: i64,
    looks_at: i64,
    exchanges: usize,
    /// How far its clock is ahead, in seconds.
    ahead: i64,
}

#[derive(Clone, Debug)]
enum Incident {
    SecretDeleted,
    SecretDamaged,
    LeafDamaged,
    Restarted(usize),
    RestartedWithoutASecret(usize),
}

impl World {
    /// A replica for each clock, by how far it is ahead.
    fn new(clocks: &[i64]) -> World {
        World {
            now: 0,
            kept: None,
            bundles: vec![(-100, Vec::new())],
            replicas: clocks
                .iter()
                .map(|ahead| Replica {
                    ahead: *ahead,
                    ..Replica::default()
                })
                .collect(),
            made: 0,
        }
    }

    fn fresh(&mut self, now: i64) -> Authority {
        self.made += 1;
        Authority {
            der: self.made.to_be_bytes().to_vec(),
            life: Life::issued(now, *TERMS.ca_lifetime),
        }
    }

    fn signed_by(authority: &Authority, now: i64) -> Option<Leaf> {
        Some(Leaf {
            life: Life::issued(now, *TERMS.lifetime).within(authority.life),
            covers_names: true,
        })
    }

    /// One look of one replica, and at most one write.
    fn look(&mut self, index: usize) {
        let at = Duration::from_secs(self.now.unsigned_abs());
        let bundles = vec![self.bundles.last().unwrap().1.clone()];
        let replica = &mut self.replicas[index];
        let seen = &mut replica.seen;
        seen.look(at, self.kept.clone(), bundles);
        seen.now = self.now + replica.ahead;
        if is_to_be_presented(seen, &TERMS)
            && let Some(Kept {
                current,
                leaf: Some(leaf),
                ..
            }) = &seen.kept
        {
            let fresh = Presented {
                authority: current.clone(),
                life: leaf.life,
            };
            replica.exchanges += usize::from(seen.presented.as_ref() != Some(&fresh));
            seen.presented = Some(fresh);
        }
        if let Some(change) = change(seen, &TERMS) {
            let seen = seen.clone();
            self.write(change, seen);
        } else if let Some(wanted) = bundle(seen, &TERMS) {
            self.bundles.push((self.now, wanted));
        }
    }

    fn write(&mut self, change: Change, seen: Seen) {
        let now = seen.now;
        let (current, next) = match seen.kept {
            Some(Kept { current, next, .. }) => (Some(current), next),
            None => (None, None),
        };
        let (current, next) = match change {
            Change::Create => (self.fresh(now), None),
            Change::Restore => (seen.presented.unwrap().authority, Some(self.fresh(now))),
            Change::RenewLeaf => (current.unwrap(), next),
            Change::StageNext => (current.unwrap(), Some(self.fresh(now))),
            Change::Promote => (next.unwrap(), None),
        };
        let leaf = World::signed_by(&current, now);
        self.kept = Some(Kept {
            current,
            leaf,
            next,
        });
    }

    fn suffer(&mut self, incident: &Incident) {
        match incident {
            Incident::SecretDeleted => self.kept = None,
            Incident::SecretDamaged => self.kept = None,
            Incident::LeafDamaged => {
                if let Some(Kept { leaf, .. }) = &mut self.kept {
                    *leaf = None;
                }
            }
            Incident::RestartedWithoutASecret(index) => {
                self.suffer(&Incident::Restarted(*index));
                self.kept = None;
                self.look(*index);
            }
            Incident::Restarted(index) => {
                let index = *index;
                self.replicas[index] = Replica {
                    started_at: self.now,
                    looks_at: self.now,
                    ahead: self.replicas[index].ahead,
                    ..Replica::default()
                };
            }
        }
    }

    /// Every replica is verified by every bundle that an API server may go by, once it has been up for `grace` seconds.
    fn check(&self, grace: i64) -> Result<(), TestCaseError> {
        let superseded_at =
            |index: usize| self.bundles.get(index + 1).map_or(i64::MAX, |(at, _)| *at);
        let in_force = self.bundles.iter().enumerate();
        let in_force =
            in_force.filter(|(index, _)| superseded_at(*index).saturating_add(LAG) > self.now);
        for (_, (_, bundle)) in in_force {
            for replica in &self.replicas {
                // The others cannot help a replica with a wrong clock.
                if self.now < replica.started_at + grace || replica.ahead != 0 {
                    continue;
                }
                let Some(presented) = &replica.seen.presented else {
                    if grace == 0 {
                        // It has not looked yet.
                        continue;
                    }
                    return Err(TestCaseError::fail(format!(
                        "{}: nothing is presented",
                        self.now
                    )));
                };
                prop_assert!(presented.life.contains(self.now), "{}: expired", self.now);
                prop_assert!(
                    bundle.contains(&presented.authority),
                    "{}: {:?} is not verified by {bundle:?}",
                    self.now,
                    presented.authority,
                );
            }
        }
        Ok(())
    }
}

fn restart() -> impl Strategy<Value = Incident> {
    prop_oneof![
        Just(Incident::LeafDamaged),
        (0..3_usize).prop_map(Incident::Restarted),
    ]
}

fn incident() -> impl Strategy<Value = Incident> {
    prop_oneof![
        Just(Incident::SecretDeleted),
        Just(Incident::SecretDamaged),
        (0..3_usize).prop_map(Incident::RestartedWithoutASecret),
        restart(),
    ]
}

/// Numbers that follow from a first one: xorshift.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// Lets three replicas look in any order, over several lives of the authority.
fn live(
    clocks: [i64; 3],
    order: u64,
    incidents: &BTreeMap<i64, Incident>,
    grace: i64,
) -> Result<World, TestCaseError> {
    let mut world = World::new(&clocks);
    let mut dice = Dice(order | 1);
    for now in 0..END {
        world.now = now;
        if let Some(incident) = incidents.get(&now) {
            world.suffer(incident);
        }
        // Some rounds in which those that are to look do so one write at a time.
        for _ in 0..4 {
            let first = dice.below(3);
            for index in [first, (first + 1) % 3, (first + 2) % 3] {
                if world.replicas[index].looks_at <= now {
                    world.look(index);
                }
            }
        }
        for replica in &mut world.replicas {
            if replica.looks_at <= now {
                let pause = 1 + dice.below(LONGEST_PAUSE);
                replica.looks_at = now + i64::try_from(pause).unwrap();
            }
        }
        world.check(if now < START { START } else { grace })?;
    }
    for replica in &world.replicas {
        // A leaf is due every 60 seconds.
        let up_for = END - replica.started_at;
        prop_assert!(
            replica.ahead != 0 || replica.exchanges >= usize::try_from(up_for / 120).unwrap()
        );
    }
    Ok(world)
}

/// Until when an empty cluster needs to be served, and until when it is looked at, in seconds.
const START: i64 = 10;
const END: i64 = 800;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_handshake_fails_while_authorities_change_not_even_with_who_has_just_started(
        order: u64,
        incidents in btree_map(20..END, restart(), 0..60),
    ) {
        let world = live([0; 3], order, &incidents, 0)?;
        let authorities = world.made;
        prop_assert!((3..=5).contains(&authorities), "{authorities} authorities");
    }

    #[test]
    fn no_handshake_fails_whatever_happens_to_the_secret(
        order: u64,
        incidents in btree_map(20..END, incident(), 0..8),
    ) {
        // Without a Secret, one that starts has nothing to present that is known already.
        let grace = i64::try_from(LONGEST_PAUSE).unwrap() + LAG + 1;
        live([0; 3], order, &incidents, grace)?;
    }

    #[test]
    fn a_replica_whose_clock_is_ahead_leaves_the_others_with_something_to_present(
        order: u64,
        ahead in 0..45_i64,
        incidents in btree_map(20..END, restart(), 0..20),
    ) {
        let grace = i64::try_from(LONGEST_PAUSE).unwrap() + LAG + 1;
        live([0, 0, ahead], order, &incidents, grace)?;
    }
}
