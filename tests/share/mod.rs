//! Steps on the node, carried out and undone.

mod daemons;
mod ground;
mod mig;
mod modes;
mod mps;
mod stage;
