//! What is counted of configurations.

/// What became of another configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigOutcome {
    /// It is in force.
    Applied,
    /// It has faults; the one before stays.
    Refused,
}

impl ConfigOutcome {
    /// Every outcome.
    pub const ALL: [ConfigOutcome; 2] = [ConfigOutcome::Applied, ConfigOutcome::Refused];

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            ConfigOutcome::Applied => "applied",
            ConfigOutcome::Refused => "refused",
        }
    }
}
