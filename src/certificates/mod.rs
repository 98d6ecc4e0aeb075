//! When certificates end and what is to be done about it. Nothing here parses, signs or reads a clock.

pub mod kept;
pub mod life;
pub mod observed;
pub mod plan;
