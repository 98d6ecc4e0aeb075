//! Each command, from what was typed to what it does.

pub mod demo;
pub mod self_test;
pub mod serve;
pub mod token_inspect;
pub mod webhook_config;
