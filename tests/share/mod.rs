//! Steps on the node, carried out and undone.

mod ground;
mod mig;
mod modes;
mod mps;
mod stage;
