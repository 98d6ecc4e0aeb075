//! Whether the API server verifies what is presented, as far as the last look at the cluster told.

use std::sync::{Mutex, PoisonError};

/// One writes, `/readyz` reads. Nothing is wrong until somebody says so.
#[derive(Debug, Default)]
pub struct TrustReport(Mutex<Option<String>>);

impl TrustReport {
    /// What the last look told; an error is one line that says what to do.
    pub fn set(&self, verified: Result<(), String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = verified.err();
    }

    /// Why calls of the API server fail, if they do.
    pub fn failing(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
