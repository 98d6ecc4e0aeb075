//! Wiring: each command from what was typed to what it does.

pub mod admit;
mod admit_in_use;
mod argocd_read;
pub mod certificates;
pub mod clients;
pub mod configuration;
pub mod demo;
mod follow;
pub mod inspect;
pub mod match_conditions;
pub mod password_checks;
pub mod self_test;
pub mod serve;
mod tokens_in_use;
mod verification;
pub mod webhook_config;
mod webhook_namespaces;
