//! Reviews and health over HTTP: sockets, connections, limits, routes.

mod activity;
mod body;
mod connection;
mod connections;
pub mod health;
pub mod http_service;
mod intake;
pub mod listener;
pub mod rejection;
pub mod request_limits;
pub mod reviews;
pub mod timeout_hint;
mod watchdog;
