//! The use cases: what the commands do.

pub mod bind;
pub mod generate;
pub mod list;
pub mod refresh;
pub mod validate;
