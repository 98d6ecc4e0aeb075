//! keyguard from the outside: the real program, and the real program behind a real API server.

mod control_plane;
mod edge;
mod scenarios;
