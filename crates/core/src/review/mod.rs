//! The wire: bytes to a request, a verdict to an AdmissionReview.

mod depth;
pub mod reply;
pub mod request;
pub mod secret;
pub mod tool;
mod undecodable;
mod wire;
