//! keyguard from the outside: the real program behind a real API server.

mod control_plane;
