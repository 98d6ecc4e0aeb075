//! Reviews and health over HTTP: sockets, connections, limits, routes.

mod body;
mod connections;
pub mod health;
pub mod limits;
pub mod rejection;
pub mod reviews;
pub mod scan;
pub mod server;
pub mod timeout_hint;
