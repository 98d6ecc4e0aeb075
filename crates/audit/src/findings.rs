//! What verifying found.

use std::fmt;

/// The most faults, and notes on records, that are listed; the rest is counted.
pub(crate) const MOST_FAULTS: usize = 1_000;

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Each sign that something was changed, in a sentence.
    pub faults: Vec<String>,
    /// How many more there are.
    pub more: usize,
    /// What is worth knowing and no sign of that.
    pub notes: Vec<String>,
    /// How many entries were read.
    pub entries: u64,
    /// How many logs.
    pub logs: usize,
}

impl Findings {
    /// Adds a fault as long as there is room.
    pub(crate) fn fault(&mut self, fault: String) {
        match self.faults.len() < MOST_FAULTS {
            true => self.faults.push(fault),
            false => self.more += 1,
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(formatter, "TAMPERED  {fault}")?;
        }
        if self.more > 0 {
            writeln!(formatter, "TAMPERED  {} more", self.more)?;
        }
        for note in &self.notes {
            writeln!(formatter, "note      {note}")?;
        }
        let (entries, logs) = (self.entries, self.logs);
        match self.faults.is_empty() {
            true => writeln!(
                formatter,
                "intact    {entries} entries in {logs} logs fit their checkpoints"
            ),
            false => Ok(()),
        }
    }
}
