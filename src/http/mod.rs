//! Reviews and health over HTTP: sockets, connections, limits, routes.

pub(crate) mod body;
mod connections;
pub mod health;
pub mod limits;
pub mod probes;
pub mod rejection;
pub mod reviews;
pub mod server;
pub mod timeout_hint;
