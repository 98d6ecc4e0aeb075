//! What Argo CD itself would decide, mirrored exactly and in this one place.

pub mod accounts;
pub mod certificate;
pub mod claims;
mod json;
pub mod password;
pub mod revocation;
pub mod settings;
pub mod shown;
pub mod time;
pub mod token;
pub mod token_defect;
pub mod token_list;
pub mod verification;
