//! What a GitOps Runtime refers to: its workloads, its credentials, its mode.
//!
//! Pure: pod templates and values in, references and shapes out.

pub mod chart;
pub mod controller;
pub mod credential;
pub mod environment;
pub mod json_object;
pub mod malformed;
pub mod mode;
pub mod name;
pub mod secret_bytes;
pub mod secret_maker;
pub mod user;
pub mod user_name;
pub mod value;
pub mod workload;
