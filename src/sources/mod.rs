//! Where facts come from: the API server, or a folder of manifests.

pub mod any_source;
mod clock_skew;
pub mod cluster;
mod cluster_source;
pub mod dry_run;
pub mod listing;
pub mod manifest;
pub mod manifests;
pub mod object;
pub mod pages;
pub(crate) mod patience;
pub mod source;
pub mod values;
mod workload_list;
pub mod yaml;
