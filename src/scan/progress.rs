//! How far a scan is, for a person who waits.

use std::io::{IsTerminal, Stderr, Write, stderr};
use std::time::{Duration, Instant};

use crate::sources::listing::Listed;

/// From one line to the next.
const INTERVAL: Duration = Duration::from_millis(200);

/// Tells on standard error how far a scan is, when that is a terminal.
pub struct Progress {
    terminal: Option<Stderr>,
    told: Option<Instant>,
}

impl Progress {
    /// To a person, if one is there.
    pub fn to_terminal() -> Progress {
        Progress {
            terminal: Some(stderr()).filter(Stderr::is_terminal),
            told: None,
        }
    }

    /// To nobody.
    pub fn silent() -> Progress {
        Progress {
            terminal: None,
            told: None,
        }
    }

    /// So many objects were looked at, the last of them of this kind.
    pub(crate) fn tell(&mut self, listed: Listed, objects: usize) {
        if self.told.is_some_and(|told| told.elapsed() < INTERVAL) {
            return;
        }
        if let Some(terminal) = &mut self.terminal {
            let resource = listed.resource();
            // Nobody is there to tell that it cannot be told.
            let _ = write!(terminal, "\r\x1b[K{objects} objects looked at ({resource})");
            let _ = terminal.flush();
            self.told = Some(Instant::now());
        }
    }

    /// Takes the line away.
    pub(crate) fn end(&mut self) {
        if self.told.take().is_some()
            && let Some(terminal) = &mut self.terminal
        {
            let _ = write!(terminal, "\r\x1b[K");
            let _ = terminal.flush();
        }
    }
}
