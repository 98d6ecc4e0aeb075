//! What the store is compared with.

use std::collections::BTreeMap;

use crate::findings::Findings;
use crate::merkle::Hash;
use crate::note::{Checkpoint, VerifyingKey};
use crate::witness::Witness;

/// What is compared with the store.
pub struct Evidence<'a> {
    /// The key that checkpoints are signed by.
    pub key: &'a VerifyingKey,
    /// Checkpoints from before, as somebody kept them.
    pub older: &'a [String],
    /// Audit logs of the API server.
    pub witness: Option<&'a Witness>,
}

impl Evidence<'_> {
    /// The roots that the logs must have had, by week and size.
    pub(crate) fn pinned(
        &self,
        findings: &mut Findings,
    ) -> BTreeMap<String, BTreeMap<u64, Vec<(Hash, String)>>> {
        let mut pinned: BTreeMap<String, BTreeMap<u64, Vec<(Hash, String)>>> = BTreeMap::new();
        let mut pin = |week: &str, size: u64, root: Hash, by: String| {
            let sizes = pinned.entry(week.to_owned()).or_default();
            // An empty log fits everything.
            if size > 0 {
                sizes.entry(size).or_default().push((root, by));
            }
        };
        for note in self.older {
            let read = Checkpoint::parse(note);
            match read.and_then(|read| Checkpoint::verify(note, &read.origin, self.key)) {
                Ok(read) => {
                    let week = read
                        .origin
                        .rsplit('/')
                        .next()
                        .unwrap_or_default()
                        .to_owned();
                    pin(
                        &week,
                        read.size,
                        read.root,
                        "the older checkpoint".to_owned(),
                    );
                }
                Err(error) => findings.fault(format!("the older checkpoint: {error}")),
            }
        }
        if let Some(witness) = self.witness {
            for ((week, size), roots) in &witness.checkpoints {
                for (root, event) in roots {
                    pin(
                        week,
                        *size,
                        *root,
                        format!("the API server's event {event}"),
                    );
                }
            }
        }
        pinned
    }
}
