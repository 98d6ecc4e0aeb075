//! What keyguard takes, before and after.

use std::thread;

use crate::control_plane::keyguard::Keyguard;
use crate::control_plane::wait::wait_for;

/// Reviews, and how many at once, that warm it up.
const WARM_UP: (usize, usize) = (400, 8);

/// The memory of a keyguard that has been at work as on any day.
pub(super) struct Memory<'a> {
    keyguard: &'a Keyguard,
    before: u64,
}

impl<'a> Memory<'a> {
    /// Lets it answer reviews like this one, and looks at its memory then.
    pub(super) fn warmed_up(keyguard: &'a Keyguard, review: &str) -> Self {
        let (reviews, at_once) = WARM_UP;
        thread::scope(|scope| {
            for _ in 0..at_once {
                scope.spawn(|| {
                    for _ in 0..reviews / at_once {
                        assert_eq!(keyguard.post("application/json", review).status, 200);
                    }
                });
            }
        });
        Self {
            keyguard,
            before: keyguard.resident_kib(),
        }
    }

    /// Waits until it is within a tenth of what it was, and tells both.
    pub(super) fn is_as_before(&self) -> String {
        let before = self.before;
        let after = wait_for(&format!("memory as before, of {before} KiB"), || {
            let after = self.keyguard.resident_kib();
            (after * 10 <= before * 11)
                .then_some(after)
                .ok_or_else(|| format!("{after} KiB"))
        });
        format!("{before} KiB before, {after} KiB after")
    }
}
