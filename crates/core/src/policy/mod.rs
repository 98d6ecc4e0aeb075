//! Facts to verdict: what keyguard refuses, warns of and lets through.
//!
//! Everything here is pure and total: not knowing is a fact to decide on, and
//! nothing is looked up.

pub mod accounts;
pub mod accounts_change;
pub mod accounts_in_use;
mod accounts_keys;
mod accounts_missing;
pub mod argocd_secret;
pub mod argocd_secret_change;
pub mod break_glass;
pub mod chart_values;
pub mod check_finding;
pub mod check_rules;
pub mod credential_defects;
pub mod credentials;
pub mod cut;
pub mod decide;
pub mod facts;
pub mod guard;
pub mod in_use;
pub mod namespace_label;
pub mod plan;
pub mod rules;
pub mod secret_values;
pub mod secrets_in_use;
pub mod subject;
pub mod users;
pub mod verdict;
pub mod verification;
