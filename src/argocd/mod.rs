//! What Argo CD itself would decide, mirrored exactly and in this one place.

pub mod accounts;
pub mod token;
