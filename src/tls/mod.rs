//! What TLS presents, and which clients it accepts.

pub mod certificate_files;
pub mod client_certificates;
pub mod life;
pub mod serving_certificate;
