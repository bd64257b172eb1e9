//! Claims on simulated nodes, through the commands.

mod foreign;
mod life;
pub(crate) mod mps;
mod siege;
pub(crate) mod site;
mod together;
