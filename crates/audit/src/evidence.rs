//! What the store is compared with.

use std::collections::BTreeMap;

use crate::findings::Findings;
use crate::merkle::Hash;
use crate::note::{Checkpoint, NoteError, VerifyingKey};
use crate::witness::Witness;

/// What is compared with the store.
pub struct Evidence<'a> {
    /// The key that checkpoints are signed by.
    pub key: &'a VerifyingKey,
    /// Checkpoints from before, as somebody kept them.
    pub older: &'a [String],
    /// Audit logs of the API server.
    pub witness: Option<&'a Witness>,
    /// The last running number that was given, if the store has one replica and it is known.
    pub last_number: Option<i64>,
}

/// Roots that logs must have had, by week and size, each with who says so.
pub(crate) type Pinned = BTreeMap<String, BTreeMap<u64, Vec<(Hash, String)>>>;

impl Evidence<'_> {
    /// The roots that the logs must have had.
    ///
    /// # Errors
    /// When a checkpoint that was given is none.
    pub(crate) fn pinned(&self, findings: &mut Findings) -> Result<Pinned, NoteError> {
        let mut pinned = Pinned::new();
        let mut pin = |origin: &str, size: u64, root: Hash, by: String| {
            let week = origin.rsplit('/').next().unwrap_or_default();
            let sizes = pinned.entry(week.to_owned()).or_default();
            // An empty log fits everything.
            if size > 0 {
                sizes.entry(size).or_default().push((root, by));
            }
        };
        for note in self.older {
            let read = Checkpoint::parse(note)?;
            let by = "a checkpoint that was kept".to_owned();
            match Checkpoint::verify(note, &read.origin, self.key) {
                Ok(read) => pin(&read.origin, read.size, read.root, by),
                Err(error) => findings.fault(format!("{by}: {error}")),
            }
        }
        for ((log, size), roots) in self.witness.iter().flat_map(|witness| &witness.checkpoints) {
            let Some(origin) = self.origin_of(log) else {
                continue;
            };
            for (root, event) in roots {
                pin(
                    origin,
                    *size,
                    *root,
                    format!("the checkpoint in the API server's event {event}"),
                );
            }
        }
        Ok(pinned)
    }

    /// The origin of a log by its name, if its key is that of this store.
    pub(crate) fn origin_of<'b>(&self, log: &'b str) -> Option<&'b str> {
        let (origin, _) = log.rsplit_once('+')?;
        (self.key.log_name(origin) == log).then_some(origin)
    }
}
