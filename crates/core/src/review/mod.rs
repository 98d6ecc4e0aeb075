//! The wire: bytes to a request, a verdict to an AdmissionReview.

mod depth;
mod familiar;
mod marks;
mod reader;
pub mod reply;
pub mod request;
mod scan;
pub mod secret;
mod undecodable;
mod wire;
