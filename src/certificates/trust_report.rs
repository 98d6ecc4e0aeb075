//! Whether the API server verifies what is presented, as far as the last look at the cluster told.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// One writes, `/readyz` reads. Nothing is wrong until somebody says so.
#[derive(Debug, Default)]
pub struct TrustReport(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    unverified: Option<String>,
    error: Option<String>,
}

impl TrustReport {
    /// What the last look that succeeded told; an error is one line that says what to do.
    pub fn set(&self, verified: Result<(), String>) {
        self.lock().unverified = verified.err();
    }

    /// What keeps certificates from being renewed, if anything does. While the one that is there serves, this is no reason
    /// not to be ready.
    pub fn set_error(&self, error: Option<String>) {
        self.lock().error = error;
    }

    /// Why calls of the API server fail, if they do.
    pub fn failing(&self) -> Option<String> {
        self.lock().unverified.clone()
    }

    /// What keeps certificates from being renewed, if anything does.
    pub fn error(&self) -> Option<String> {
        self.lock().error.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
