//! keyguard from the outside: the real program, and the real program behind a real API server.

mod chaos;
mod chart;
mod check;
mod control_plane;
mod deep_verdict;
mod demo;
mod edge;
mod imports;
mod manifests;
mod operations_document;
mod oracle;
mod printed;
mod reports;
mod rules_document;
mod scan;
mod scenarios;
mod token_inspect;
