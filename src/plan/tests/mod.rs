//! Plans on simulated nodes: values only.

pub(crate) mod boards;
mod cells;
mod exhaustive;
mod joining;
mod properties;
mod refusals;
mod steps;
mod world;

pub(super) use world::World;
