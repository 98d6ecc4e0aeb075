//! Whether the API server verifies what is presented, as far as the last look at the cluster told.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

/// Written by what looks at the cluster and read by `/readyz`. At first nothing is wrong.
#[derive(Debug, Default)]
pub struct TrustReport {
    unverified: ArcSwapOption<String>,
    keeper_error: ArcSwapOption<String>,
}

impl TrustReport {
    /// What the last look that succeeded told; an error is one line that says what to do.
    pub fn set(&self, verified: Result<(), String>) {
        self.unverified.store(verified.err().map(Arc::new));
    }

    /// What keeps certificates from being renewed, if anything does. While the one that is there serves, this is no reason
    /// not to be ready.
    pub fn set_keeper_error(&self, error: Option<String>) {
        self.keeper_error.store(error.map(Arc::new));
    }

    /// Why calls of the API server fail, if they do.
    pub fn failing(&self) -> Option<String> {
        self.unverified.load().as_deref().cloned()
    }

    /// What keeps certificates from being renewed, if anything does.
    pub fn keeper_error(&self) -> Option<String> {
        self.keeper_error.load().as_deref().cloned()
    }
}
