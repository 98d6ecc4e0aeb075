//! Who is let in: so many requests at once, and so many bytes of their bodies.
//!
//! Room is taken before a body is read, so that what is not yet read is bounded too. A body that is slow to arrive
//! would keep others out that long; so it gives way to whoever needs its room.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Whose room is taken.
#[derive(Debug, Default)]
pub(super) struct Intake {
    state: Mutex<State>,
    /// Somebody left, or will not leave after all.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    requests: usize,
    bytes: usize,
    /// Slow bodies in the order in which they turned out to be slow, each with what asks it to give way.
    slow: BTreeMap<u64, Arc<Notify>>,
    /// How many were asked to give way and have not yet.
    asked: usize,
    next: u64,
}

/// There is no room, and nobody slow to make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Intake {
    /// Takes the room of one request of at most `limit`, until the result is dropped.
    pub(super) async fn enter(&self, limit: usize) -> Result<Place<'_>, Full> {
        self.room(|state| {
            let has_room = state.requests < limit;
            state.requests += usize::from(has_room);
            has_room
        })
        .await?;
        Ok(Place {
            intake: self,
            bytes: 0,
        })
    }

    /// Waits, while slow bodies give way, until `take` has found room.
    async fn room(&self, take: impl Fn(&mut State) -> bool) -> Result<(), Full> {
        // Nearly always there is, and nothing needs to be told of changes.
        if take(&mut self.state()) {
            return Ok(());
        }
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let mut state = self.state();
                if take(&mut state) {
                    return Ok(());
                }
                if state.asked == 0 && !state.ask_the_slowest() {
                    return Err(Full);
                }
            }
            changed.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ask_the_slowest(&mut self) -> bool {
        let slowest = self.slow.pop_first();
        if let Some((_, gives_way)) = &slowest {
            gives_way.notify_one();
            self.asked += 1;
        }
        slowest.is_some()
    }
}

/// The room of one request.
#[derive(Debug)]
pub(super) struct Place<'a> {
    intake: &'a Intake,
    bytes: usize,
}

impl<'a> Place<'a> {
    /// Takes the room of `more` bytes, of at most `limit` for all requests together.
    pub(super) async fn hold(&mut self, more: usize, limit: usize) -> Result<(), Full> {
        self.intake
            .room(|state| {
                let all = state.bytes.saturating_add(more);
                let has_room = all <= limit;
                if has_room {
                    state.bytes = all;
                }
                has_room
            })
            .await?;
        self.bytes += more;
        Ok(())
    }

    /// The intake that it is of.
    pub(super) fn intake(&self) -> &'a Intake {
        self.intake
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.intake.state();
        state.requests -= 1;
        state.bytes -= self.bytes;
        drop(state);
        self.intake.changed.notify_waiters();
    }
}

/// A body that is slow, until the result is dropped.
#[derive(Debug)]
pub(super) struct Slow<'a> {
    intake: &'a Intake,
    number: u64,
    gives_way: Arc<Notify>,
}

impl Intake {
    /// From now on whoever needs room may have that of this body.
    pub(super) fn slow(&self) -> Slow<'_> {
        let gives_way = Arc::new(Notify::new());
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.slow.insert(number, Arc::clone(&gives_way));
        Slow {
            intake: self,
            number,
            gives_way,
        }
    }
}

impl Slow<'_> {
    /// Resolves when somebody needs the room.
    pub(super) async fn asked_to_give_way(&self) {
        self.gives_way.notified().await;
    }
}

impl Drop for Slow<'_> {
    fn drop(&mut self) {
        let mut state = self.intake.state();
        if state.slow.remove(&self.number).is_none() {
            state.asked -= 1;
            drop(state);
            self.intake.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const BRIEF: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn no_more_requests_than_the_limit_get_in_and_who_leaves_makes_room() {
        let intake = Intake::default();
        let first = intake.enter(2).await.unwrap();
        let _second = intake.enter(2).await.unwrap();
        assert_eq!(intake.enter(2).await.unwrap_err(), Full);
        let _raised = intake.enter(3).await.unwrap();
        drop(first);
        assert!(intake.enter(3).await.is_ok());
    }

    #[tokio::test]
    async fn no_more_bytes_than_the_limit_are_held_and_all_are_given_back() {
        let intake = Intake::default();
        let mut first = intake.enter(9).await.unwrap();
        let mut second = intake.enter(9).await.unwrap();
        first.hold(60, 100).await.unwrap();
        second.hold(40, 100).await.unwrap();
        assert_eq!(second.hold(1, 100).await, Err(Full));
        assert_eq!(second.hold(usize::MAX, 100).await, Err(Full));
        drop(first);
        second.hold(60, 100).await.unwrap();
        drop(second);
        let state = intake.state();
        assert_eq!((state.requests, state.bytes), (0, 0));
    }

    #[tokio::test]
    async fn who_has_been_slow_for_longest_gives_way_one_for_each_that_comes() {
        let intake = Intake::default();
        let places = [
            intake.enter(2).await.unwrap(),
            intake.enter(2).await.unwrap(),
        ];
        let [slowest, slow] = [intake.slow(), intake.slow()];
        let mut newcomer = pin!(intake.enter(2));
        assert!(timeout(BRIEF, &mut newcomer).await.is_err());
        timeout(BRIEF, slowest.asked_to_give_way()).await.unwrap();
        assert!(timeout(BRIEF, slow.asked_to_give_way()).await.is_err());
        let [leaves, _stays] = places;
        drop((slowest, leaves));
        assert!(newcomer.await.is_ok());
    }

    #[tokio::test]
    async fn who_is_asked_but_done_just_then_keeps_its_place_and_the_next_is_asked() {
        let intake = Intake::default();
        let _places = [
            intake.enter(2).await.unwrap(),
            intake.enter(2).await.unwrap(),
        ];
        let [done, slow] = [intake.slow(), intake.slow()];
        let mut newcomer = pin!(intake.enter(2));
        assert!(timeout(BRIEF, &mut newcomer).await.is_err());
        drop(done);
        assert!(timeout(BRIEF, &mut newcomer).await.is_err());
        timeout(BRIEF, slow.asked_to_give_way()).await.unwrap();
        drop(slow);
        assert_eq!(newcomer.await.unwrap_err(), Full);
    }
}
