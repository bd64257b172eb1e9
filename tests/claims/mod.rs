//! Claims on simulated nodes, through the commands.

mod foreign;
mod life;
mod mps;
mod siege;
mod site;
mod together;
