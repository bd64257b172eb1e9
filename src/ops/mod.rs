//! The use cases: what the commands do.

pub mod generate;
